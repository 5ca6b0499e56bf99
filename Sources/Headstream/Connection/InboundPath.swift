import HeadstreamRPC
import HeadstreamWebSocket

/// The inbound path of one connection, from bytes to messages to ``RequestProcessor``.
///
/// It is a struct of its own so that a read's messages pass through it in one go, without the actor's checks for each.
struct InboundPath: ~Copyable {
    /// How bytes are cut into messages.
    enum Framing: Sendable {
        case webSocket
        case ipc
    }

    /// What interrupts the messages, or says that more bytes are needed.
    enum Event {
        case needMore
        case ping(UnsafeRawBufferPointer)
        case close(code: UInt16?, reason: UnsafeRawBufferPointer)
        case broken(WebSocketError)
        case unreadable(RPCError)
    }

    var processor: RequestProcessor
    private let framing: Framing
    private var frames: FrameParser
    private var framer: IPCFramer

    init(framing: Framing, maxMessageSize: Int, processor: consuming RequestProcessor) {
        self.framing = framing
        self.frames = FrameParser(role: .client, maxMessageSize: maxMessageSize)
        self.framer = IPCFramer(maxMessageSize: maxMessageSize)
        self.processor = processor
    }

    /// Messages may be compressed from here on.
    mutating func agreed(on compression: DeflateAgreement) {
        self.frames.agreed(on: compression)
    }

    /// Hands the messages in `bytes` from `offset` on to the processor, until something else comes.
    mutating func received(
        _ bytes: UnsafeMutableRawBufferPointer,
        at offset: inout Int,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) -> Event {
        switch self.framing {
        case .webSocket:
            while true {
                while let message = self.frames.nextPlainText(in: bytes, at: &offset) {
                    self.processor.received(message, now: now, actions: &actions)
                }
                switch self.frames.next(in: bytes, at: &offset) {
                case .message(let message, _):
                    // Text or binary: some servers send JSON in binary frames.
                    self.processor.received(message, now: now, actions: &actions)
                case .pong: continue
                case .needMore: return .needMore
                case .ping(let payload): return .ping(payload)
                case .close(let code, let reason): return .close(code: code, reason: reason)
                case .failed(let error): return .broken(error)
                }
            }
        case .ipc:
            while true {
                switch self.framer.next(in: UnsafeRawBufferPointer(bytes), at: &offset) {
                case .message(let message): self.processor.received(message, now: now, actions: &actions)
                case .needMore: return .needMore
                case .failed(let error): return .unreadable(error)
                }
            }
        }
    }

    /// After this side has ended the connection: passes over everything but the other's close frame.
    mutating func skipMessages(in bytes: UnsafeMutableRawBufferPointer, at offset: inout Int) -> Event {
        guard case .webSocket = self.framing else {
            offset = bytes.count
            return .needMore
        }
        while true {
            switch self.frames.next(in: bytes, at: &offset) {
            case .message, .ping, .pong: continue
            case .needMore: return .needMore
            case .close(let code, let reason): return .close(code: code, reason: reason)
            case .failed(let error): return .broken(error)
            }
        }
    }
}
