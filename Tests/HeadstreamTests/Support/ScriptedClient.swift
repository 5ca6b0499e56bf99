import HeadstreamJSON
import HeadstreamRPC
import HeadstreamSockets
import HeadstreamWebSocket

/// A request or notification in a message of a client.
struct ScriptedCall: Sendable {
    var id: UInt64
    var method: String
    var params: [JSONValue]
}

/// One message of a client: one call, or a batch.
struct ScriptedMessage: Sendable {
    var text: String
    var calls: [ScriptedCall] = []
    var isBatch = false

    init(_ bytes: UnsafeRawBufferPointer) {
        self.text = String(decoding: bytes, as: UTF8.self)
        guard let value = try? JSONValue(parsing: self.text) else { return }
        if case .array(let items) = value {
            self.isBatch = true
            self.calls = items.compactMap(Self.call)
        } else {
            self.calls = [value].compactMap(Self.call)
        }
    }

    /// A message of one call.
    init(_ call: ScriptedCall) {
        self.text = ""
        self.calls = [call]
    }

    private static func call(_ value: JSONValue) -> ScriptedCall? {
        guard let id = value["id"]?.intValue, let method = value["method"]?.stringValue else { return nil }
        return ScriptedCall(id: UInt64(clamping: id), method: method, params: value["params"]?.arrayValue ?? [])
    }
}

/// The server's end of one connection.
///
/// `@unchecked Sendable`: confined to its loop, as channels are.
final class ScriptedClient: ChannelDelegate, @unchecked Sendable {
    let channel: any Channel
    /// Whether a client's close frame is answered, and its end of the stream.
    var answersClose = true
    /// Whether a client's pings are answered.
    var answersPings = true
    /// Whether a client's messages are given to the script.
    var isDeaf = false
    private let server: ScriptedServer
    private let isIPC: Bool
    private let upgrade: ScriptedServer.Upgrade
    private let script: ScriptedServer.Script
    private var handshake: ServerHandshake?
    private var frames = FrameParser(role: .server, maxMessageSize: 64 << 20)
    private var framer = IPCFramer(maxMessageSize: 64 << 20)
    private var nextSubscription = 1
    /// The id that ``answerAsUsual(_:)`` gave last.
    private(set) var lastSubscription = ""

    init(
        _ server: ScriptedServer,
        _ channel: any Channel,
        isIPC: Bool,
        upgrade: ScriptedServer.Upgrade,
        script: @escaping ScriptedServer.Script
    ) {
        self.server = server
        self.channel = channel
        self.isIPC = isIPC
        self.upgrade = upgrade
        self.script = script
        self.handshake = isIPC ? nil : ServerHandshake()
    }

    // MARK: What a script writes

    func raw(_ bytes: some Sequence<UInt8>) {
        Array(bytes).withUnsafeBytes { self.channel.write($0) }
    }

    /// One message, in a text frame or, over IPC, a line.
    func send(_ text: String) {
        self.raw(self.isIPC ? Array(text.utf8) + [0x0A] : Self.frame(.text, Array(text.utf8)))
    }

    func answer(_ call: ScriptedCall, _ result: String) {
        self.send(#"{"jsonrpc":"2.0","id":\#(call.id),"result":\#(result)}"#)
    }

    func fail(_ call: ScriptedCall, _ code: Int, _ message: String) {
        self.send(#"{"jsonrpc":"2.0","id":\#(call.id),"error":{"code":\#(code),"message":"\#(message)"}}"#)
    }

    func notify(_ subscription: String, _ result: String) {
        self.send(Self.notification(subscription, result))
    }

    /// Answers as a node does: each subscribe request gets the next id (`"0x1"`…), each unsubscribe request `true`,
    /// `eth_chainId` `"0x1"`, and everything else its own method as result.
    func answerAsUsual(_ message: ScriptedMessage) {
        let answers = message.calls.map { call in
            let result: String
            switch call.method {
            case "eth_subscribe":
                self.lastSubscription = "0x\(String(self.nextSubscription, radix: 16))"
                result = "\"\(self.lastSubscription)\""
                self.nextSubscription += 1
            case "eth_unsubscribe": result = "true"
            case "eth_chainId": result = "\"0x1\""
            default: result = "\"\(call.method)\""
            }
            return #"{"jsonrpc":"2.0","id":\#(call.id),"result":\#(result)}"#
        }
        if message.isBatch {
            self.send("[" + answers.joined(separator: ",") + "]")
        } else {
            answers.forEach(self.send)
        }
    }

    /// A close frame and the end of the stream, as a server closes.
    func close(_ code: UInt16?, _ reason: String = "") {
        var bytes: [UInt8] = []
        FrameWriter.appendClose(code: code, reason: reason, mask: nil, to: &bytes)
        self.raw(bytes)
        self.channel.finishWriting()
    }

    /// Cuts the connection without a word.
    func drop() {
        self.channel.close()
    }

    static func frame(_ opcode: Opcode, _ payload: [UInt8], isFinal: Bool = true) -> [UInt8] {
        var bytes: [UInt8] = []
        payload.withUnsafeBytes { FrameWriter.append(opcode, payload: $0, mask: nil, isFinal: isFinal, to: &bytes) }
        return bytes
    }

    static func notification(_ subscription: String, _ result: String) -> String {
        #"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"\#(subscription)","result":\#(result)}}"#
    }

    // MARK: The channel

    func channelOpened(_ channel: any Channel) {}
    func channelSecured(_ channel: any Channel) {}

    func channelDrained(_ channel: any Channel) {}

    func channelEnded(_ channel: any Channel, _ reason: ChannelEnd) {
        self.server.assumeIsolated { $0.ended(self) }
        if self.answersClose { channel.close() }
    }

    func channel(_ channel: any Channel, received bytes: UnsafeMutableRawBufferPointer) -> Int {
        var offset = 0
        if self.handshake != nil {
            offset = self.answerHandshake(UnsafeRawBufferPointer(bytes))
            if self.handshake != nil { return offset }
        }
        let start = offset
        if self.isIPC {
            self.readIPC(bytes, at: &offset)
        } else {
            self.readFrames(bytes, at: &offset)
        }
        let count = offset - start
        self.server.assumeIsolated { $0.note { $0.bytes += count } }
        return offset
    }

    private func answerHandshake(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard case .accepted(let request, let consumed)? = self.handshake?.received(bytes) else { return 0 }
        // Behind the answer, as is what those send who wait for it.
        defer { self.server.assumeIsolated { $0.note { $0.handshakes += 1 } } }
        switch self.upgrade {
        case .accept:
            self.raw(request.acceptance)
        case .acceptWith(let more):
            self.raw(request.acceptance + more)
        case .refuse(let text):
            self.raw(text.utf8)
            self.channel.finishWriting()
            return bytes.count
        case .answer(let text):
            self.raw(text.utf8)
            return bytes.count
        case .silence:
            return 0
        }
        self.handshake = nil
        return consumed
    }

    private func readFrames(_ bytes: UnsafeMutableRawBufferPointer, at offset: inout Int) {
        while true {
            switch self.frames.next(in: bytes, at: &offset) {
            case .needMore:
                return
            case .message(let message, _):
                self.received(message)
            case .ping(let payload):
                if self.answersPings { self.raw(Self.frame(.pong, Array(payload))) }
                self.server.assumeIsolated { $0.note { $0.pings += 1 } }
            case .pong(let payload):
                let payload = Array(payload)
                self.server.assumeIsolated { $0.note { $0.pongs.append(payload) } }
            case .close(let code, _):
                self.server.assumeIsolated { $0.note { $0.closeCodes.append(code) } }
                if self.answersClose { self.close(code) }
            case .failed(let error):
                self.close(error.closeCode, error.message)
            }
        }
    }

    private func readIPC(_ bytes: UnsafeMutableRawBufferPointer, at offset: inout Int) {
        while case .message(let message) = self.framer.next(in: UnsafeRawBufferPointer(bytes), at: &offset) {
            self.received(message)
        }
    }

    private func received(_ bytes: UnsafeRawBufferPointer) {
        let message = ScriptedMessage(bytes)
        // First the answer, then the log: who waits for the log finds the answer under way.
        if !self.isDeaf { self.script(self, message) }
        self.server.assumeIsolated { $0.note { $0.messages.append(message) } }
    }
}
