import HeadstreamJSON
import HeadstreamSockets
import HeadstreamWebSocket

/// A node that answers and else says nothing, in a process of its own: prints its port and listens until it is killed.
///
/// A subscription to `"numbers"` gets five of them right behind its id, one to anything else gets nothing. The request
/// `test_never` is not answered; every other one has its method as result.
enum SilentNode {
    static func run() async throws {
        Descriptors.raiseLimit()
        let loop = EventLoop.shared
        let listener: any Listener = try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                do throws(SocketError) {
                    let listener = try loop.listen(on: .host("127.0.0.1", port: 0)) { SilentNodeConnection($0) }
                    continuation.resume(returning: listener)
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
        if case .host(_, let port) = listener.address { say("port \(port)") }
        try await loop.sleep(until: LoopInstant(nanoseconds: .max))
        withExtendedLifetime(listener) {}
    }
}

/// `@unchecked Sendable`: confined to its loop, as channels are.
private final class SilentNodeConnection: ChannelDelegate, @unchecked Sendable {
    private let channel: any Channel
    private var handshake: ServerHandshake? = ServerHandshake()
    private var frames = FrameParser(role: .server)
    private var nextSubscription = 1

    init(_ channel: any Channel) {
        self.channel = channel
    }

    func channelOpened(_ channel: any Channel) {}
    func channelSecured(_ channel: any Channel) {}
    func channelDrained(_ channel: any Channel) {}
    func channelEnded(_ channel: any Channel, _ reason: ChannelEnd) { channel.close() }

    func channel(_ channel: any Channel, received bytes: UnsafeMutableRawBufferPointer) -> Int {
        var offset = 0
        if self.handshake != nil {
            guard case .accepted(let request, let consumed)? = self.handshake?.received(UnsafeRawBufferPointer(bytes))
            else { return 0 }
            request.acceptance.withUnsafeBytes { channel.write($0) }
            self.handshake = nil
            offset = consumed
        }
        while true {
            switch self.frames.next(in: bytes, at: &offset) {
            case .needMore: return offset
            case .message(let message, _): self.answer(String(decoding: message, as: UTF8.self))
            case .ping(let payload): self.write(.pong, payload)
            case .pong: continue
            case .close(let code, _):
                var output: [UInt8] = []
                FrameWriter.appendClose(code: code, mask: nil, to: &output)
                output.withUnsafeBytes { channel.write($0) }
                channel.finishWriting()
            case .failed: channel.close()
            }
        }
    }

    private func answer(_ text: String) {
        guard let call = try? JSONValue(parsing: text), let id = call["id"], let method = call["method"]?.stringValue
        else {
            return
        }
        func respond(_ result: String) { self.send(#"{"jsonrpc":"2.0","id":\#(id),"result":\#(result)}"#) }
        switch method {
        case "test_never": break
        case "eth_unsubscribe": respond("true")
        case "eth_subscribe":
            let subscription = #""0x\#(String(self.nextSubscription, radix: 16))""#
            self.nextSubscription += 1
            respond(subscription)
            guard call["params"]?.arrayValue?.first == "numbers" else { return }
            for number in 1...5 {
                self.send(
                    #"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":\#(subscription),"#
                        + #""result":\#(number)}}"#
                )
            }
        default: respond("\"\(method)\"")
        }
    }

    private func send(_ text: String) {
        Array(text.utf8).withUnsafeBytes { self.write(.text, $0) }
    }

    private func write(_ opcode: Opcode, _ payload: UnsafeRawBufferPointer) {
        var output: [UInt8] = []
        FrameWriter.append(opcode, payload: payload, mask: nil, to: &output)
        output.withUnsafeBytes { self.channel.write($0) }
    }
}
