import HeadstreamRPC
import HeadstreamSockets
import HeadstreamWebSocket

/// One side of a recorded connection above its handshake: whole messages over a channel, as a WebSocket's client or
/// server or over IPC.
///
/// Pings are answered here, and close frames too: each side of the recorder has its own. Confined to the actor that
/// owns it, and so to the loop.
final class MessagePipe {
    enum Framing {
        case webSocket(WebSocketRole)
        case ipc
    }

    /// What the next bytes were. Pointers are valid until the next call.
    enum Event {
        case needMore
        /// A whole message; from IPC it is always `.text`.
        case message(UnsafeRawBufferPointer, MessageKind)
        /// The peer's close frame, which has its answer.
        case close(code: UInt16?, reason: String)
        /// The peer broke a rule, and was told so where there is a way to. The text says which.
        case failed(String)
    }

    /// nil before the channel is there and after its end.
    private(set) var channel: (any Channel)?
    let isIPC: Bool
    private let role: WebSocketRole
    private var frames: FrameParser
    private var framer: IPCFramer
    private var closing: ClosingHandshake
    private var pongs = PongPolicy()
    private let loop: any Loop
    private var outbound: [UInt8] = []
    /// This side writes nothing any more: it has half-closed.
    private var isFinished = false
    /// A pong was held back and goes out when the channel's queue is empty.
    private(set) var holdsPong = false

    init(_ framing: Framing, maxMessageSize: Int, loop: any Loop) {
        switch framing {
        case .webSocket(let role): (self.role, self.isIPC) = (role, false)
        case .ipc: (self.role, self.isIPC) = (.client, true)
        }
        self.frames = FrameParser(role: self.role, maxMessageSize: maxMessageSize)
        self.framer = IPCFramer(maxMessageSize: maxMessageSize)
        self.closing = ClosingHandshake(role: self.role)
        self.loop = loop
    }

    func attach(_ channel: any Channel) {
        self.channel = channel
    }

    /// Whether messages go in and out.
    var isOpen: Bool { self.channel != nil && !self.isFinished && self.closing.isOpen }

    /// Bytes that the peer has not taken yet.
    var queuedBytes: Int { self.channel?.queuedBytes ?? 0 }

    // MARK: Reading

    /// Takes the next event from `bytes`; answers pings on the way.
    func next(in bytes: UnsafeMutableRawBufferPointer, at offset: inout Int) -> Event {
        if self.isIPC {
            switch self.framer.next(in: UnsafeRawBufferPointer(bytes), at: &offset) {
            case .needMore: return .needMore
            case .message(let message): return .message(message, .text)
            case .failed(let error):
                self.finishWriting()
                return .failed(error.message)
            }
        }
        while true {
            switch self.frames.next(in: bytes, at: &offset) {
            case .needMore: return .needMore
            case .message(let message, let kind): return .message(message, kind)
            case .pong: continue
            case .ping(let payload): self.answer(ping: payload)
            case .close(let code, let reason):
                self.follow(self.closing.receivedClose(code: code, reason: reason))
                return .close(code: code, reason: String(decoding: reason, as: UTF8.self))
            case .failed(let error):
                self.follow(self.closing.failed(error))
                return .failed(error.message)
            }
        }
    }

    private func answer(ping payload: UnsafeRawBufferPointer) {
        guard self.isOpen else { return }
        if self.pongs.receivedPing(payload) {
            self.write(.pong, payload)
        } else {
            self.holdsPong = true
        }
    }

    /// The channel's queue may be empty: a pong that was held back goes out.
    func pongsWentOut() {
        guard self.isOpen, self.queuedBytes == 0 else { return }
        self.holdsPong = false
        if let payload = self.pongs.drained() { payload.withUnsafeBytes { self.write(.pong, $0) } }
    }

    // MARK: Writing

    func send(_ message: UnsafeRawBufferPointer, _ kind: MessageKind) {
        guard self.isOpen else { return }
        self.write(kind == .text ? .text : .binary, message)
    }

    private func write(_ opcode: Opcode, _ payload: UnsafeRawBufferPointer) {
        self.outbound.removeAll(keepingCapacity: self.outbound.capacity <= 1 << 20)
        if self.isIPC {
            self.outbound.append(contentsOf: payload)
            self.outbound.append(UInt8(ascii: "\n"))
        } else {
            FrameWriter.append(opcode, payload: payload, mask: self.newMask(), to: &self.outbound)
        }
        self.outbound.withUnsafeBytes { self.channel?.write($0) }
    }

    // MARK: Ends

    /// Closes in order: with a close frame, or on IPC by writing no more. The peer's part of it is to come.
    func close(code: UInt16?, reason: String) {
        if self.isIPC { self.finishWriting() } else { self.follow(self.closing.close(code: code, reason: reason)) }
    }

    /// Lets what is queued go out and then the stream end, without a close frame.
    func finishWriting() {
        self.isFinished = true
        self.channel?.finishWriting()
    }

    /// The channel is gone, by its own act or this one.
    func end() {
        self.isFinished = true
        self.channel?.close()
        self.channel = nil
    }

    private func follow(_ action: ClosingHandshake.Action) {
        switch action {
        case .none: break
        case .sendClose(let code, let reason): self.writeClose(code, reason)
        case .sendCloseAndFinishWriting(let code, let reason):
            self.writeClose(code, reason)
            self.channel?.finishWriting()
        case .finishWriting: self.channel?.finishWriting()
        case .end: self.channel?.finishWriting()
        }
    }

    private func writeClose(_ code: UInt16?, _ reason: String) {
        self.outbound.removeAll(keepingCapacity: true)
        FrameWriter.appendClose(code: code, reason: reason, mask: self.newMask(), to: &self.outbound)
        self.outbound.withUnsafeBytes { self.channel?.write($0) }
    }

    /// A client masks each frame with bytes that nobody can foresee (RFC 6455 §10.3), and a server none.
    private func newMask() -> UInt32? {
        guard self.role == .client else { return nil }
        return self.loop.random()
    }
}
