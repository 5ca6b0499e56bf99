import Foundation
import HeadstreamSockets
import HeadstreamWebSocket

/// One end of a connection that sends every message back as it came, made of the same parts as the library's own
/// connection: handshake, parser, writer, closing, compression.
///
/// `@unchecked Sendable`: confined to its loop, as channels are.
final class EchoConnection: ChannelDelegate, @unchecked Sendable {
    private enum Phase {
        case requesting(ClientHandshake)
        case answering(ServerHandshake, DeflateOptions?)
        case open
        case ended
    }

    /// The most of one message; the suite's largest has 16 MiB.
    private static let maxMessageSize = 64 << 20

    private let loop: any Loop
    private let role: WebSocketRole
    /// With what a client goes over to TLS first.
    private let tls: TLSClient?
    private var channel: (any Channel)?
    private var phase: Phase
    private var frames: FrameParser
    private var closing: ClosingHandshake
    private var pongs = PongPolicy()
    private var deflater: Deflater?
    private var compressed: [UInt8] = []
    private var output: [UInt8] = []
    /// The first message, and how it ended.
    private var firstText: String?
    private var continuation: CheckedContinuation<String?, any Error>?
    private var deadline: DeadlineID?

    /// The client's end.
    init(
        _ loop: any Loop,
        _ handshake: ClientHandshake,
        tls: TLSClient?,
        continuation: CheckedContinuation<String?, any Error>
    ) {
        self.loop = loop
        self.tls = tls
        self.role = .client
        self.phase = .requesting(handshake)
        self.frames = FrameParser(role: .client, maxMessageSize: Self.maxMessageSize)
        self.closing = ClosingHandshake(role: .client)
        self.continuation = continuation
    }

    /// The server's end.
    init(_ loop: any Loop, _ channel: any Channel, compression: DeflateOptions?) {
        self.loop = loop
        self.tls = nil
        self.role = .server
        self.channel = channel
        self.phase = .answering(ServerHandshake(), compression)
        self.frames = FrameParser(role: .server, maxMessageSize: Self.maxMessageSize)
        self.closing = ClosingHandshake(role: .server)
    }

    /// Connects to `target`, echoes until the server closes, and returns the first text.
    static func run(
        _ loop: any Loop,
        to target: UpgradeTarget,
        compression: DeflateOptions?
    ) async throws -> String? {
        try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                do throws(HandshakeError) {
                    let handshake = try ClientHandshake(to: target, compression: compression) { loop.fillRandom($0) }
                    let settings = TLSSettings(trust: .system(environment: ProcessInfo.processInfo.environment))
                    let tls = TLSClient(settings: settings, host: target.host, port: target.port)
                    let connection = EchoConnection(
                        loop,
                        handshake,
                        tls: target.isSecure ? tls : nil,
                        continuation: continuation
                    )
                    let address = SocketAddress.host(target.host, port: target.port)
                    connection.channel = loop.connect(to: address, delegate: connection)
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
    }

    // MARK: The channel

    func channelOpened(_ channel: any Channel) {
        if let tls = self.tls { return channel.startTLS(tls) }
        self.request(channel)
    }

    func channelSecured(_ channel: any Channel) {
        self.request(channel)
    }

    private func request(_ channel: any Channel) {
        guard case .requesting(let handshake) = self.phase else { return }
        handshake.request.withUnsafeBytes { channel.write($0) }
    }

    func channelDrained(_ channel: any Channel) {
        self.pongsWentOut()
    }

    func channelEnded(_ channel: any Channel, _ reason: ChannelEnd) {
        if case .requesting = self.phase { return self.end(throwing: reason) }
        self.follow(self.closing.endOfStream())
    }

    func channel(_ channel: any Channel, received bytes: UnsafeMutableRawBufferPointer) -> Int {
        self.pongsWentOut()
        var offset = 0
        switch self.phase {
        case .requesting(var handshake):
            let action = handshake.received(UnsafeRawBufferPointer(bytes))
            self.phase = .requesting(handshake)
            switch action {
            case .needMore: return 0
            case .accepted(let consumed):
                offset = consumed
                self.agreed(on: handshake.compression)
            case .refused(let refusal):
                self.end(throwing: HandshakeError(.invalidUpgrade, "refused with \(refusal.status)"))
                return bytes.count
            case .failed(let error):
                self.end(throwing: error)
                return bytes.count
            }
        case .answering(var handshake, let compression):
            let action = handshake.received(UnsafeRawBufferPointer(bytes))
            self.phase = .answering(handshake, compression)
            switch action {
            case .needMore: return 0
            case .accepted(let request, let consumed):
                offset = consumed
                let (response, agreement) =
                    compression.map(request.acceptance(compression:)) ?? (request.acceptance, nil)
                response.withUnsafeBytes { channel.write($0) }
                self.agreed(on: agreement)
            case .refused(let response, _):
                response.withUnsafeBytes { channel.write($0) }
                channel.finishWriting()
                return bytes.count
            }
        case .open: break
        case .ended: return bytes.count
        }
        while case .open = self.phase {
            switch self.frames.next(in: bytes, at: &offset) {
            case .needMore: return offset
            case .message(let message, let kind): if self.closing.isOpen { self.echo(message, kind) }
            case .ping(let payload):
                if self.closing.isOpen, self.pongs.receivedPing(payload) { self.write(.pong, payload) }
            case .pong: continue
            case .close(let code, let reason): self.follow(self.closing.receivedClose(code: code, reason: reason))
            case .failed(let error): self.follow(self.closing.failed(error))
            }
        }
        return bytes.count
    }

    private func agreed(on agreement: DeflateAgreement?) {
        self.phase = .open
        guard let agreement else { return }
        self.frames.agreed(on: agreement)
        self.deflater = Deflater(agreement)
    }

    // MARK: Writing

    private func echo(_ message: UnsafeRawBufferPointer, _ kind: MessageKind) {
        if self.firstText == nil, message.count < 1 << 16 { self.firstText = String(decoding: message, as: UTF8.self) }
        let opcode: Opcode = kind == .text ? .text : .binary
        if self.deflater?.compress(message, to: &self.compressed) == true {
            let mask = self.mask()
            self.output.removeAll(keepingCapacity: true)
            self.compressed.withUnsafeBytes {
                FrameWriter.append(opcode, payload: $0, mask: mask, isCompressed: true, to: &self.output)
            }
            self.output.withUnsafeBytes { self.channel?.write($0) }
        } else {
            self.write(opcode, message)
        }
    }

    private func write(_ opcode: Opcode, _ payload: UnsafeRawBufferPointer) {
        self.output.removeAll(keepingCapacity: true)
        FrameWriter.append(opcode, payload: payload, mask: self.mask(), to: &self.output)
        self.output.withUnsafeBytes { self.channel?.write($0) }
    }

    private func mask() -> UInt32? {
        guard self.role == .client else { return nil }
        return self.loop.random()
    }

    private func pongsWentOut() {
        guard self.closing.isOpen, self.channel?.queuedBytes == 0, let payload = self.pongs.drained() else { return }
        payload.withUnsafeBytes { self.write(.pong, $0) }
    }

    // MARK: Ends

    private func follow(_ action: ClosingHandshake.Action) {
        switch action {
        case .none: break
        case .sendClose(let code, let reason): self.writeClose(code, reason)
        case .sendCloseAndFinishWriting(let code, let reason):
            self.writeClose(code, reason)
            self.channel?.finishWriting()
        case .finishWriting: self.channel?.finishWriting()
        case .end: self.end(throwing: nil)
        }
    }

    private func writeClose(_ code: UInt16?, _ reason: String) {
        self.output.removeAll(keepingCapacity: true)
        FrameWriter.appendClose(code: code, reason: reason, mask: self.mask(), to: &self.output)
        self.output.withUnsafeBytes { self.channel?.write($0) }
        guard self.deadline == nil else { return }
        self.deadline = self.loop.schedule(at: self.loop.now.advanced(by: .seconds(5))) { [weak self] in
            guard let self else { return }
            self.follow(self.closing.deadlineReached())
        }
    }

    private func end(throwing error: (any Error)?) {
        if case .ended = self.phase { return }
        self.phase = .ended
        if let deadline = self.deadline { self.loop.cancel(deadline) }
        self.channel?.close()
        if let error {
            self.continuation?.resume(throwing: error)
        } else {
            self.continuation?.resume(returning: self.firstText)
        }
        self.continuation = nil
    }
}
