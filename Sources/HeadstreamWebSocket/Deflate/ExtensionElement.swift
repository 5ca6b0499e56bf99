/// One element of a `Sec-WebSocket-Extensions` header (RFC 6455 §9.1): a name and its parameters.
struct ExtensionElement: Hashable {
    struct Parameter: Hashable {
        /// In lower case.
        var name: String
        /// Without quotation marks; nil where there is none.
        var value: String?
    }

    /// In lower case.
    var name: String
    var parameters: [Parameter]

    /// The elements of all headers of that name, in order; nil if one breaks the grammar.
    static func parse(_ values: [String]) -> [ExtensionElement]? {
        var elements: [ExtensionElement] = []
        for value in values {
            var scanner = Scanner(value)
            repeat {
                // Empty elements are to be ignored (RFC 9110 §5.6.1).
                scanner.skipBlanks()
                if scanner.isAtEnd || scanner.peek == UInt8(ascii: ",") { continue }
                guard let element = scanner.element() else { return nil }
                elements.append(element)
            } while scanner.take(",")
            guard scanner.isAtEnd else { return nil }
        }
        return elements
    }

    private struct Scanner {
        private var rest: ArraySlice<UInt8>

        init(_ text: String) {
            self.rest = Array(text.utf8)[...]
        }

        var isAtEnd: Bool { self.rest.isEmpty }
        var peek: UInt8? { self.rest.first }

        mutating func skipBlanks() {
            self.rest = self.rest.drop { $0 == 0x20 || $0 == 0x09 }
        }

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            self.skipBlanks()
            guard self.rest.first == UInt8(ascii: character) else { return false }
            self.rest.removeFirst()
            return true
        }

        private mutating func token() -> String? {
            self.skipBlanks()
            let token = self.rest.prefix(while: HTTPHead.isTokenByte)
            guard !token.isEmpty else { return nil }
            self.rest = self.rest[token.endIndex...]
            return String(decoding: token, as: UTF8.self)
        }

        /// A value in quotation marks, which must be a token without them (RFC 6455 §9.1).
        private mutating func value() -> String? {
            guard self.take("\"") else { return self.token() }
            var value: [UInt8] = []
            while let byte = self.rest.popFirst() {
                if byte == UInt8(ascii: "\"") {
                    guard !value.isEmpty, value.allSatisfy(HTTPHead.isTokenByte) else { return nil }
                    return String(decoding: value, as: UTF8.self)
                }
                guard byte == UInt8(ascii: "\\") else {
                    value.append(byte)
                    continue
                }
                guard let escaped = self.rest.popFirst() else { return nil }
                value.append(escaped)
            }
            return nil
        }

        mutating func element() -> ExtensionElement? {
            guard let name = self.token() else { return nil }
            var parameters: [Parameter] = []
            while self.take(";") {
                guard let name = self.token() else { return nil }
                guard self.take("=") else {
                    parameters.append(Parameter(name: name.lowercased(), value: nil))
                    continue
                }
                guard let value = self.value() else { return nil }
                parameters.append(Parameter(name: name.lowercased(), value: value))
            }
            self.skipBlanks()
            return ExtensionElement(name: name.lowercased(), parameters: parameters)
        }
    }
}
