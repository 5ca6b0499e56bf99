import Headstream
import HeadstreamSockets

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What an endpoint and its headers hold that must not be written down, and how it is kept out of a recording.
///
/// A handshake is never recorded. But a node may quote a token back, in an error or in the reason of a close: such a
/// place is overwritten with as many asterisks, so that JSON stays JSON.
struct Secrets {
    /// The longest first, so that a whole goes before its parts.
    private let values: [[UInt8]]

    init(of endpoint: Endpoint, headers: [(name: String, value: String)]) {
        var found: Set<String> = []
        if case .webSocket(_, _, let path, let userInfo) = endpoint.target {
            if let userInfo { Self.addCredentials(userInfo, to: &found) }
            let parts = path.split(separator: "?", maxSplits: 1)
            for segment in (parts.first ?? "").split(separator: "/") where Self.looksLikeToken(segment) {
                Self.add(segment, atLeast: 12, to: &found)
            }
            for pair in (parts.count > 1 ? parts[1] : "").split(separator: "&") {
                let value = pair.firstIndex(of: "=").map { pair[pair.index(after: $0)...] } ?? pair
                Self.add(value, atLeast: 6, to: &found)
            }
        }
        for (_, value) in headers {
            Self.add(Substring(value), atLeast: 6, to: &found)
            for token in value.split(whereSeparator: { " \t,;=".contains($0) }) {
                Self.add(token, atLeast: 8, to: &found)
            }
        }
        self.values = found.map { Array($0.utf8) }.sorted { left, right in
            left.count != right.count ? left.count > right.count : left.lexicographicallyPrecedes(right)
        }
    }

    /// `user:password`, its parts, and what basic authentication makes of it.
    private static func addCredentials(_ userInfo: String, to found: inout Set<String>) {
        let parts = userInfo.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        // A name alone may be a word of any message; some providers put a key there.
        if let name = parts.first, parts.count == 1 || self.looksLikeToken(name) {
            self.add(name, atLeast: 8, to: &found)
        }
        if parts.count == 2 {
            self.add(parts[1], atLeast: 4, to: &found)
            self.add(Substring(userInfo), atLeast: 4, to: &found)
        }
        var encoded: [UInt8] = []
        let plain = self.decoded(Substring(userInfo))
        Base64.encode((plain.contains(":") ? plain : plain + ":").utf8, to: &encoded)
        found.insert(String(decoding: encoded, as: UTF8.self))
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

    // MARK: Cleaning

    func cleaned(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for value in self.values {
            var start = 0
            while let place = Self.find(value, in: bytes, from: start) {
                for index in place..<place + value.count { bytes[index] = UInt8(ascii: "*") }
                start = place + value.count
            }
        }
        return bytes
    }

    func cleaned(_ text: String) -> String {
        self.values.isEmpty ? text : String(decoding: self.cleaned(Array(text.utf8)), as: UTF8.self)
    }

    /// The first place of `value`, which is not empty, in `bytes` from `start` on.
    static func find(_ value: [UInt8], in bytes: [UInt8], from start: Int = 0) -> Int? {
        guard let first = value.first else { return nil }
        return bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return nil }
            var place = start
            while bytes.count - place >= value.count,
                let found = memchr(base + place, CInt(first), bytes.count - place - value.count + 1)
            {
                if memcmp(found, value, value.count) == 0 { return UnsafeRawPointer(found) - base }
                place = UnsafeRawPointer(found) - base + 1
            }
            return nil
        }
    }
}
