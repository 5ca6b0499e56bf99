import CHeadstreamBytes

/// The bytes that a node writes around what changes, learnt from one message and tried on the next.
///
/// A node writes all its notifications alike: the same bytes up to the subscription id, the same between the id and
/// the result, the same behind the result. So it does with its responses, up to the request's id and so on. Where those
/// bytes stand, nothing needs to be scanned; where one of them differs, the message is scanned as any other. Nothing here is
/// wired to one node.
///
/// A match is certain: for every frame that ``EnvelopeScanner`` accepts it finds the same one message with the same
/// places, because the result's end is proven too (see ``match(_:)``). A frame that the scanner would refuse may match
/// when what is broken is inside the result; whoever decodes that finds it.
struct EnvelopeShape {
    /// Messages of another shape until the shape is learnt anew: a node that writes each message in an order of its
    /// own must not cost a lesson each time.
    private static let patience = 16

    /// For comparisons by wide loads past the text's end, as past a message's.
    private static let padding = 64

    /// Up to the id, its opening quote included; from the id's closing quote, if it has one, to the result; behind the
    /// result. One after another, then the padding.
    private var text: [UInt8] = []
    private var prefixCount = 0
    private var middleCount = 0
    private var suffixCount = 0
    /// Whether the id is a string; a number ends before the first byte that is no digit.
    private var idIsQuoted = true
    private var misses = 0

    /// Whether a shape was learnt.
    private(set) var isUsable = false

    /// Learns from a notification that was scanned and did not match.
    mutating func learn(_ message: UnsafeRawBufferPointer, _ envelope: Envelope) {
        self.learn(message, envelope, id: envelope.subscription, result: envelope.notification)
    }

    /// Learns from a response with a result that was scanned and did not match.
    mutating func learn(response message: UnsafeRawBufferPointer, _ envelope: Envelope) {
        guard envelope.error == nil else { return }
        self.learn(message, envelope, id: envelope.idPlace, result: envelope.result)
    }

    private mutating func learn(
        _ message: UnsafeRawBufferPointer,
        _ envelope: Envelope,
        id: Range<Int>?,
        result: Range<Int>?
    ) {
        if self.isUsable {
            self.misses += 1
            guard self.misses >= Self.patience else { return }
        }
        guard let id, let result, id.upperBound <= result.lowerBound, envelope.bounds.lowerBound == 0, !id.isEmpty,
            id.count <= 128, id.lowerBound <= 512,
            result.lowerBound - id.upperBound <= 512, message.count - result.upperBound <= 512,
            // Alone in its frame: a suffix that held another message would swallow that message's equals.
            message[envelope.bounds.upperBound...].allSatisfy({ $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }),
            // Without escapes a suffix that begins outside a string cannot be taken for one that begins inside.
            !message[result.upperBound...].contains(0x5C)
        else { return }
        let isQuoted = message[id.lowerBound - 1] == 0x22
        guard isQuoted || message[id].allSatisfy({ $0 &- 0x30 < 10 }) else { return }
        self.text =
            Array(message[..<id.lowerBound]) + message[id.upperBound..<result.lowerBound]
            + message[result.upperBound...] + [UInt8](repeating: 0, count: Self.padding)
        self.prefixCount = id.lowerBound
        self.middleCount = result.lowerBound - id.upperBound
        self.suffixCount = message.count - result.upperBound
        self.idIsQuoted = isQuoted
        self.misses = 0
        self.isUsable = true
    }

    /// The places of id and result, if the message has this shape.
    ///
    /// An object is proven to be the whole result by its first `}` being its last byte, a string by its first quote;
    /// a key behind the result, or a second message in the frame, would need one earlier. Objects with objects inside,
    /// arrays, numbers and literals are left to the scanner.
    @inline(__always)
    func match(_ message: UnsafeRawBufferPointer) -> (id: Range<Int>, result: Range<Int>)? {
        guard self.isUsable, let base = message.baseAddress else { return nil }
        return self.text.withUnsafeBytes { text in
            guard let expected = text.baseAddress else { return nil }
            let count = message.count
            let start = self.prefixCount
            guard count > text.count &- Self.padding, hs_equal_padded(expected, base, start) else { return nil }
            var end = start
            if self.idIsQuoted {
                let limit = min(count, start &+ 130)
                end = start &+ hs_find_byte(base + start, limit &- start, 0x22)
                guard end < limit, end > start, base.load(fromByteOffset: end &- 1, as: UInt8.self) != 0x5C else {
                    return nil
                }
            } else {
                while end < count, base.load(fromByteOffset: end, as: UInt8.self) &- 0x30 < 10 { end &+= 1 }
                guard end > start else { return nil }
            }
            let result = end &+ self.middleCount
            let last = count &- self.suffixCount
            guard result &+ 1 < last, hs_equal_padded(expected + start, base + end, self.middleCount),
                hs_equal_padded(expected + (start &+ self.middleCount), base + last, self.suffixCount)
            else { return nil }
            let closing: UInt8
            switch base.load(fromByteOffset: result, as: UInt8.self) {
            case 0x7B: closing = 0x7D
            case 0x22: closing = 0x22
            default: return nil
            }
            let inside = result &+ 1
            // The C library's search: the result is long enough for its wider vectors to pay.
            guard
                memchr(base + inside, Int32(closing), last &- inside)
                    == UnsafeMutableRawPointer(mutating: base + (last &- 1)),
                base.load(fromByteOffset: last &- 2, as: UInt8.self) != 0x5C
            else { return nil }
            return (start..<end, result..<last)
        }
    }
}
