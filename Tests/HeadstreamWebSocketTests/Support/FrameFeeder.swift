import HeadstreamWebSocket

/// A frame parser's event, with its bytes copied out.
enum RecordedEvent: Equatable {
    case text(String)
    case binary([UInt8])
    case ping([UInt8])
    case pong([UInt8])
    case close(UInt16?, String)
    case failed(WebSocketError.Code)
}

/// Feeds a parser as a channel does: what it leaves comes again in front of the next bytes, and 64 bytes follow.
struct FrameFeeder: ~Copyable {
    var parser: FrameParser
    private(set) var events: [RecordedEvent] = []
    /// The most bytes that were left unconsumed.
    private(set) var mostLeft = 0
    /// The most bytes that the parser held.
    private(set) var mostBuffered = 0
    private var left: [UInt8] = []

    init(
        role: WebSocketRole,
        maxMessageSize: Int = FrameParser.defaultMaxMessageSize,
        compression: DeflateAgreement? = nil
    ) {
        self.parser = FrameParser(role: role, maxMessageSize: maxMessageSize)
        if let compression { self.parser.agreed(on: compression) }
    }

    mutating func feed(_ bytes: some Sequence<UInt8>) {
        self.feed(Array(bytes), pieces: { _ in .max })
    }

    /// Feeds `bytes` in pieces of the sizes that `pieces` gives for the rest's size.
    mutating func feed(_ bytes: [UInt8], pieces: (Int) -> Int) {
        var buffer = self.left + bytes
        let total = buffer.count
        buffer += [UInt8](repeating: 0xEE, count: 64)
        var consumed = 0
        buffer.withUnsafeMutableBytes { buffer in
            var end = self.left.count
            while end < total {
                let size = max(1, pieces(total - end))
                end = size < total - end ? end + size : total
                let window = UnsafeMutableRawBufferPointer(rebasing: buffer[consumed..<end])
                consumed += self.read(window)
                self.mostLeft = max(self.mostLeft, end - consumed)
                self.mostBuffered = max(self.mostBuffered, self.parser.bufferedBytes)
            }
        }
        self.left = Array(buffer[consumed..<total])
    }

    private mutating func read(_ window: UnsafeMutableRawBufferPointer) -> Int {
        var offset = 0
        while true {
            switch self.parser.next(in: window, at: &offset) {
            case .needMore: return offset
            case .message(let payload, .text): self.events.append(.text(String(decoding: payload, as: UTF8.self)))
            case .message(let payload, .binary): self.events.append(.binary(Array(payload)))
            case .ping(let payload): self.events.append(.ping(Array(payload)))
            case .pong(let payload): self.events.append(.pong(Array(payload)))
            case .close(let code, let reason):
                self.events.append(.close(code, String(decoding: reason, as: UTF8.self)))
            case .failed(let error): self.events.append(.failed(error.code))
            }
        }
    }

    /// All events of `stream`, fed in pieces of at most `chunk` bytes.
    static func events(
        of stream: [UInt8],
        role: WebSocketRole = .client,
        maxMessageSize: Int = FrameParser.defaultMaxMessageSize,
        compression: DeflateAgreement? = nil,
        chunk: Int = .max
    ) -> [RecordedEvent] {
        var feeder = FrameFeeder(role: role, maxMessageSize: maxMessageSize, compression: compression)
        feeder.feed(stream, pieces: { _ in chunk })
        return feeder.events
    }
}

/// A frame as ``FrameWriter`` writes it.
func frame(
    _ opcode: Opcode,
    _ payload: [UInt8] = [],
    mask: UInt32? = nil,
    isFinal: Bool = true,
    isCompressed: Bool = false
) -> [UInt8] {
    var output: [UInt8] = []
    payload.withUnsafeBytes {
        FrameWriter.append(
            opcode,
            payload: $0,
            mask: mask,
            isFinal: isFinal,
            isCompressed: isCompressed,
            to: &output
        )
    }
    return output
}

func frame(_ opcode: Opcode, _ text: String, mask: UInt32? = nil, isFinal: Bool = true) -> [UInt8] {
    frame(opcode, Array(text.utf8), mask: mask, isFinal: isFinal)
}

/// A mask from its bytes in wire order.
func mask(_ bytes: [UInt8]) -> UInt32 {
    bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
}
