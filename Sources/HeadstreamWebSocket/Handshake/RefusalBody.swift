/// The first bytes of a refusal's body, and whether more of it is worth waiting for (RFC 9112 §6.3).
struct RefusalBody {
    /// Cleaned to one line.
    let text: String
    /// The body is over, or as much of it is there as is kept.
    let isComplete: Bool

    init(_ bytes: UnsafeRawBufferPointer, head: HTTPHead, status: Int) {
        let limit = UpgradeRefusal.maxBodySize
        if status == 204 || status == 304 {
            self.text = ""
            self.isComplete = true
        } else if head.list(of: "Transfer-Encoding").last == "chunked" {
            let (content, isOver) = Self.unchunked(bytes, limit: limit)
            self.text = content.withUnsafeBytes { CleanText.line($0, limit: limit) }
            // Chunks of one byte must not make the undecoded bytes grow without bound.
            self.isComplete = isOver || content.count > limit || bytes.count >= 8 * limit
        } else {
            // Without a usable length the body ends with the stream.
            let length = head.first("Content-Length").flatMap(Int.init).flatMap { $0 >= 0 ? $0 : nil } ?? Int.max
            self.text = CleanText.line(UnsafeRawBufferPointer(rebasing: bytes.prefix(length)), limit: limit)
            self.isComplete = bytes.count >= min(length, limit)
        }
    }

    /// The content of chunks (RFC 9112 §7.1), as far as it is there; a malformed size ends it.
    private static func unchunked(_ bytes: UnsafeRawBufferPointer, limit: Int) -> (content: [UInt8], isOver: Bool) {
        var content: [UInt8] = []
        var rest = bytes[...]
        while content.count <= limit, let feed = rest.firstIndex(of: 0x0A) {
            let line = String(decoding: rest[..<feed], as: UTF8.self)
            let digits = line.prefix { $0.isHexDigit }
            guard let size = Int(digits, radix: 16), size > 0 else { return (content, true) }
            rest = rest[(feed + 1)...]
            content += rest.prefix(min(size, limit + 1))
            guard size <= rest.count - 2 else { return (content, false) }
            rest = rest.dropFirst(size + 2)
        }
        return (content, false)
    }
}
