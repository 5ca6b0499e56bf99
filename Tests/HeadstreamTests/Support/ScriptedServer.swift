import Headstream
import HeadstreamSockets
import HeadstreamTesting
import HeadstreamWebSocket

/// A node that does what a test says, on any loop: real sockets or simulated ones, WebSocket or IPC.
///
/// The script is called on the loop for each message of a client and writes what it likes: answers, raw bytes, frames
/// in pieces, nothing. The server keeps a log, and ``until(_:)`` waits for what a test expects in it.
actor ScriptedServer {
    typealias Script = @Sendable (ScriptedClient, ScriptedMessage) -> Void

    /// What clients did, over all connections.
    struct Log: Sendable {
        var messages: [ScriptedMessage] = []
        var pings = 0
        var pongs: [[UInt8]] = []
        /// Close frames of clients.
        var closeCodes: [UInt16?] = []
        var connections = 0
        /// Requests for an upgrade that were read.
        var handshakes = 0
        /// Connections of which the end was read.
        var ended = 0
        /// Bytes of frames that were read.
        var bytes = 0

        var calls: [ScriptedCall] { self.messages.flatMap(\.calls) }

        func count(of method: String) -> Int {
            self.calls.count { $0.method == method }
        }
    }

    /// How the opening handshake is answered.
    enum Upgrade: Sendable {
        case accept
        /// With these bytes in place of the 101, and then the end of the stream.
        case refuse(String)
        /// With these bytes, and no more.
        case answer(String)
        /// With the 101 and something behind it in the same write.
        case acceptWith([UInt8])
        case silence
    }

    nonisolated let loop: any Loop
    private(set) var endpoint: Endpoint
    private(set) var log = Log()
    /// Open connections, the latest last.
    private(set) var clients: [ScriptedClient] = []
    private let upgrade: Upgrade
    private let script: Script
    private let isIPC: Bool
    private var listener: (any Listener)?
    private var waiters: [(condition: @Sendable (Log) -> Bool, continuation: CheckedContinuation<Void, Never>)] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }

    init(
        on loop: any Loop,
        isIPC: Bool = false,
        host: String = "127.0.0.1",
        certificate: TestCertificate? = nil,
        upgrade: Upgrade = .accept,
        script: @escaping Script = { $0.answerAsUsual($1) }
    ) async throws {
        self.loop = loop
        self.isIPC = isIPC
        self.upgrade = upgrade
        self.script = script
        self.endpoint = "ipc:none"
        try self.listen(host, certificate)
    }

    private func listen(_ host: String, _ certificate: TestCertificate?) throws {
        let name = "@headstream-scripted-\(UInt64.random(in: 0...(.max)))"
        let address: SocketAddress = self.isIPC ? .unix(path: name) : .host(host, port: 0)
        let tls = try certificate.map { try TLSServer($0.identity) }
        let scheme = tls == nil ? "ws" : "wss"
        let listener = try self.loop.listen(on: address, tls: tls) { channel in
            self.assumeIsolated { $0.accept(channel) }
        }
        self.listener = listener
        self.endpoint =
            switch listener.address {
            case .host(let host, let port): try Endpoint("\(scheme)://\(SocketAddress.host(host, port: port))")
            case .unix(let path): .ipc(path)
            }
    }

    private func accept(_ channel: any Channel) -> ScriptedClient {
        let client = ScriptedClient(self, channel, isIPC: self.isIPC, upgrade: self.upgrade, script: self.script)
        self.clients.append(client)
        self.note { $0.connections += 1 }
        return client
    }

    /// A fact for the log; who waits for it goes on.
    func note(_ change: (inout Log) -> Void) {
        change(&self.log)
        let log = self.log
        let ready = self.waiters.filter { $0.condition(log) }
        self.waiters.removeAll { $0.condition(log) }
        for waiter in ready { waiter.continuation.resume() }
    }

    func ended(_ client: ScriptedClient) {
        self.clients.removeAll { $0 === client }
        self.note { $0.ended += 1 }
    }

    /// Returns when the log is as wanted.
    func until(_ condition: @escaping @Sendable (Log) -> Bool) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // Asked in here: on the way to this point the actor may have been left (Docs/Runtime.md).
                if Task.isCancelled || condition(self.log) { return continuation.resume() }
                self.waiters.append((condition, continuation))
            }
        } onCancel: {
            // A test past its time limit is to fail and not to hang.
            self.loop.execute { self.assumeIsolated { $0.release() } }
        }
    }

    private func release() {
        for waiter in self.waiters { waiter.continuation.resume() }
        self.waiters = []
    }

    /// Does something with the latest connection, on the loop.
    func act(_ body: @Sendable (ScriptedClient) -> Void) {
        if let client = self.clients.last { body(client) }
    }

    /// Stops listening and cuts every connection.
    func close() {
        self.listener?.close()
        self.listener = nil
        for client in self.clients { client.drop() }
        self.clients = []
    }
}
