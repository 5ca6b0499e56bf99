import HeadstreamJSON

/// A JSON-RPC message as bytes, with the places of what a replay reads or replaces.
struct WireMessage {
    /// One request, response or notification: offsets into the message's bytes.
    struct Element {
        var range: Range<Int>
        var isVersion2 = false
        var method: String?
        var id: Range<Int>?
        var params: Range<Int>?
        var result: Range<Int>?
        var hasError = false
        /// `params.subscription`, or `params.subscription_id` as Starknet's nodes call it.
        var subscription: Range<Int>?
    }

    let bytes: [UInt8]
    /// nil where the message is not JSON, or holds something else than objects.
    let elements: [Element]?
    /// Whether the elements stand in an array; it may be empty.
    let isBatch: Bool

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        let parsed = bytes.withUnsafeBytes { try? Self.parse($0).get() }
        self.elements = parsed?.elements
        self.isBatch = parsed?.isBatch ?? false
    }

    subscript(range: Range<Int>) -> ArraySlice<UInt8> { self.bytes[range] }

    /// The first of an array of parameters, where it is a short string of ASCII letters: a block tag, the kind of a
    /// subscription.
    func firstWord(_ params: Range<Int>) -> String? {
        let text = self.bytes[params].prefix(64).drop { $0 != UInt8(ascii: "\"") }
        let head = self.bytes[params.lowerBound..<text.startIndex]
        guard head.first == UInt8(ascii: "["), head.dropFirst().allSatisfy({ $0 <= 0x20 }) else { return nil }
        let word = text.dropFirst().prefix { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0 | 0x20) }
        guard !word.isEmpty, text[word.endIndex...].first == UInt8(ascii: "\"") else { return nil }
        return String(decoding: word, as: UTF8.self)
    }

    private static func parse(_ bytes: UnsafeRawBufferPointer) -> Result<
        (elements: [Element]?, isBatch: Bool), ValueError
    > {
        var reader = JSONReader(bytes)
        do throws(ValueError) {
            var elements: [Element]? = []
            let isBatch = try reader.peek() == .array
            if isBatch {
                try reader.beginArray()
                while try reader.nextElement() {
                    if try reader.peek() == .object {
                        elements?.append(try Self.element(&reader))
                    } else {
                        try reader.skipValue()
                        elements = nil
                    }
                }
            } else if try reader.peek() == .object {
                elements?.append(try Self.element(&reader))
            } else {
                try reader.skipValue()
                elements = nil
            }
            try reader.finish()
            return .success((elements, isBatch))
        } catch {
            return .failure(error)
        }
    }

    private static func element(_ reader: inout JSONReader) throws(ValueError) -> Element {
        var element = Element(range: 0..<0)
        try reader.beginObject()
        let start = reader.offset - 1
        while let key = try reader.nextKey() {
            switch key {
            case "jsonrpc":
                let range = try reader.skipValue()
                element.isVersion2 = reader.bytes(in: range).elementsEqual(#""2.0""#.utf8)
            case "method":
                if try reader.peek() == .string {
                    element.method = try reader.readString()
                } else {
                    try reader.skipValue()
                }
            case "id": element.id = try reader.skipValue()
            case "result": element.result = try reader.skipValue()
            case "error":
                try reader.skipValue()
                element.hasError = true
            case "params":
                let range = try reader.skipValue()
                element.params = range
                element.subscription = try Self.subscription(in: reader.bytes(in: range), at: range.lowerBound)
            default: try reader.skipValue()
            }
        }
        element.range = start..<reader.offset
        return element
    }

    private static func subscription(
        in params: UnsafeRawBufferPointer,
        at offset: Int
    ) throws(ValueError) -> Range<Int>? {
        var reader = JSONReader(params)
        guard try reader.peek() == .object else { return nil }
        var found: Range<Int>?
        try reader.beginObject()
        while let key = try reader.nextKey() {
            let range = try reader.skipValue()
            if key == "subscription" || key == "subscription_id" {
                found = range.lowerBound + offset..<range.upperBound + offset
            }
        }
        return found
    }
}

extension WireMessage.Element {
    /// Whether it is a request that any node would take: version 2.0, a method, an id that is a string or a number or
    /// none. Other messages are played by their bytes.
    func isCall(in message: WireMessage) -> Bool {
        guard self.isVersion2, self.method != nil else { return false }
        guard let id = self.id, let first = message[id].first else { return true }
        return first == UInt8(ascii: "\"") || first == UInt8(ascii: "-")
            || UInt8(ascii: "0")...UInt8(ascii: "9") ~= first
    }
}
