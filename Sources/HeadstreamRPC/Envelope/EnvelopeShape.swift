import CHeadstreamBytes

/// The bytes that a node writes around what changes, learnt from one message and tried on the next.
///
/// A node writes all its notifications alike: the same bytes up to the subscription id, the same between the id and
/// the result, the same behind the result. Where those bytes stand, nothing needs to be scanned; where one of them
/// differs, the message is scanned as any other. Nothing here is wired to one node.
struct NotificationShape {
    /// Up to the id, its opening quote included.
    private var prefix: [UInt8] = []
    /// From the id's closing quote, if it has one, to the result.
    private var middle: [UInt8] = []
    /// Behind the result.
    private var suffix: [UInt8] = []
    /// Whether the id is a string; a number ends before the first byte that is no digit.
    private var idIsQuoted = true

    /// Whether a shape was learnt.
    private(set) var isUsable = false

    /// Learns from a message that was scanned.
    mutating func learn(_ message: UnsafeRawBufferPointer, _ envelope: Envelope) {
        guard let id = envelope.subscription, let result = envelope.notification, id.upperBound <= result.lowerBound,
            envelope.bounds.lowerBound == 0, !id.isEmpty, id.count <= 128, id.lowerBound <= 512,
            result.lowerBound - id.upperBound <= 512, message.count - result.upperBound <= 512
        else { return }
        self.prefix = Array(message[0..<id.lowerBound])
        self.middle = Array(message[id.upperBound..<result.lowerBound])
        self.suffix = Array(message[result.upperBound..<message.count])
        self.idIsQuoted = message[id.lowerBound - 1] == 0x22
        // Several messages may come in one frame. Each of them would hold its `jsonrpc` member, so a `j` behind the
        // first result sends the frame to the scanner; that works only where the node writes the member at all.
        self.isUsable = self.prefix.contains(0x6A)
    }

    /// The places of id and result, if the message has this shape.
    @inline(__always)
    func match(_ message: UnsafeRawBufferPointer) -> (id: Range<Int>, result: Range<Int>)? {
        guard self.isUsable, let base = message.baseAddress else { return nil }
        let count = message.count
        let start = self.prefix.count
        let fixed = start &+ self.middle.count &+ self.suffix.count
        guard count > fixed, Self.matches(self.prefix, base) else { return nil }
        var end = start
        if self.idIsQuoted {
            guard let quote = find(0x22, base, from: start, to: min(count, start &+ 130)) else { return nil }
            end = quote
        } else {
            while end < count, base.load(fromByteOffset: end, as: UInt8.self) &- 0x30 < 10 { end &+= 1 }
        }
        let result = end &+ self.middle.count
        let last = count &- self.suffix.count
        guard result < last, Self.matches(self.middle, base + end), Self.matches(self.suffix, base + last),
            find(0x6A, base, from: result, to: last) == nil
        else { return nil }
        return (start..<end, result..<last)
    }

    @inline(__always)
    private static func matches(_ expected: [UInt8], _ place: UnsafeRawPointer) -> Bool {
        expected.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return true }
            return hs_equal(base, place, bytes.count)
        }
    }
}
