import HeadstreamJSON
import HeadstreamWebSocket

/// What an endpoint and a configuration hold that is shown nowhere: a user and password, tokens in path and query, the
/// values of headers, a proxy's credentials, each also as it is on the wire.
///
/// A node or a proxy may quote them back, in the body of a refusal, an error or the reason of a close. Whatever of a
/// peer's text is told, logged or recorded passes through here.
package struct Secrets: Sendable {
    /// The longest first, so that a whole goes before its parts.
    package let values: [String]

    /// - Parameter sparesWords: leaves parts of a path that look like words (`ethereum-mainnet`) alone. For recordings,
    ///   in which they may well stand in their own right.
    package init(of endpoint: Endpoint, _ configuration: Configuration, sparesWords: Bool = false) {
        self.init(of: [endpoint], configuration, sparesWords: sparesWords)
    }

    /// The same of several endpoints.
    package init(of endpoints: [Endpoint], _ configuration: Configuration, sparesWords: Bool = false) {
        var found: Set<String> = []
        for parts in endpoints.compactMap({ $0.authority() }) {
            if let userInfo = parts.userInfo { Self.addCredentials(userInfo, sparesWords: sparesWords, to: &found) }
            let path = parts.path.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
            for segment in (path.first ?? "").split(separator: "/") where !sparesWords || Self.looksLikeToken(segment) {
                Self.add(segment, atLeast: 12, to: &found)
            }
            for pair in (path.count > 1 ? path[1] : "").split(separator: "&") {
                let value = pair.firstIndex(of: "=").map { pair[pair.index(after: $0)...] } ?? pair
                Self.add(value, atLeast: 6, to: &found)
            }
        }
        for userInfo in configuration.proxyCredentials {
            Self.addCredentials(userInfo, sparesWords: sparesWords, to: &found)
        }
        for (_, value) in configuration.headers {
            Self.add(Substring(value), atLeast: 6, to: &found)
            for token in value.split(whereSeparator: { " \t,;=".contains($0) }) {
                Self.add(token, atLeast: 8, to: &found)
            }
        }
        self.values = found.sorted { ($1.utf8.count, $1) < ($0.utf8.count, $0) }
    }

    /// `text` without them, and without the beginning of one where the text was cut (`…`).
    package func redacting(_ text: String) -> String {
        self.values.reduce(text) { text, value in
            let text = text.contains(value) ? text.replacing(value, with: "***") : text
            return text.contains("…") ? Self.withoutCut(value, text) : text
        }
    }

    private static func withoutCut(_ value: String, _ text: String) -> String {
        let pieces = text.split(separator: "…", omittingEmptySubsequences: false)
        let cleaned = pieces.enumerated().map { index, piece -> String in
            guard index + 1 < pieces.count else { return String(piece) }
            var count = min(value.count, piece.count)
            while count >= 4, !piece.hasSuffix(value.prefix(count)) { count -= 1 }
            return count >= 4 ? piece.dropLast(count) + "***" : String(piece)
        }
        return cleaned.joined(separator: "…")
    }

    /// `user:password`, its parts, and what basic authentication makes of it.
    private static func addCredentials(_ userInfo: String, sparesWords: Bool, to found: inout Set<String>) {
        let parts = userInfo.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        // A name alone may be a word of any message; some providers put a key there.
        if let name = parts.first, !sparesWords || parts.count == 1 || self.looksLikeToken(name) {
            self.add(name, atLeast: 8, to: &found)
        }
        if parts.count == 2 {
            self.add(parts[1], atLeast: 4, to: &found)
            self.add(Substring(userInfo), atLeast: 4, to: &found)
        }
        let plain = self.decoded(Substring(userInfo))
        found.insert(Base64.encode((plain.contains(":") ? plain : plain + ":").utf8))
    }

    private static func add(_ text: Substring, atLeast minimum: Int, to found: inout Set<String>) {
        for form in [String(text), self.decoded(text)] where form.utf8.count >= minimum { found.insert(form) }
    }

    /// Whether part of a path is made by a machine, and not a word such as `ethereum-mainnet`.
    private static func looksLikeToken(_ text: Substring) -> Bool {
        text.utf8.count >= 24 || text.utf8.contains { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    }

    /// Without percent-encoding (RFC 3986 §2.1); what is encoded wrongly stays.
    private static func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2, let value = UInt8(String(rest.prefix(2)) ?? "", radix: 16) {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension Secrets: CustomStringConvertible, CustomReflectable {
    package var description: String { "\(self.values.count) secrets" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

extension Web3Error {
    /// This error without what `secrets` holds, in whatever the node wrote.
    func redacted(by secrets: Secrets) -> Web3Error {
        guard !secrets.values.isEmpty else { return self }
        var error = self
        error.message = secrets.redacting(self.message)
        error.rpcMessage = self.rpcMessage.map(secrets.redacting)
        error.rpcData = self.rpcData.map(secrets.redacting)
        return error
    }
}

extension Secrets {
    /// The same for the texts of a JSON value; one that has none of them stays as it is, to the byte.
    func redacting(_ value: JSONValue) -> JSONValue {
        switch value {
        case .string(let text): .string(self.redacting(text))
        case .array(let values): .array(values.map(self.redacting))
        case .object(let object):
            .object(self.redacting(object))
        case .null, .bool, .number: value
        }
    }

    private func redacting(_ object: JSONObject) -> JSONObject {
        var result = JSONObject()
        for (key, value) in object { result[key] = self.redacting(value) }
        return result
    }
}
