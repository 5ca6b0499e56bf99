import Headstream
import HeadstreamSockets

/// What a ``TestNode`` does on its loop: listens, gives each client a script, and knows when all is over.
actor NodeServer {
    nonisolated let loop: any Loop
    private let transcript: Transcript
    nonisolated let options: ReplayOptions
    /// A replay in which a client's streams end with the recording.
    nonisolated let endsStreams: Bool
    private var listener: (any Listener)?
    private var connections: [NodeConnection] = []
    /// Of a client that has gone, for when it comes again.
    private var resting: ReplayScript?
    private(set) var problems: [String] = []
    private var isFinished = false
    private var finishWaiters: [CheckedContinuation<Void, Never>] = []
    private var closeWaiters: [CheckedContinuation<Void, Never>] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }

    init(_ transcript: Transcript, _ options: ReplayOptions, loop: any Loop, endsStreams: Bool) {
        self.transcript = transcript
        self.options = options
        self.loop = loop
        self.endsStreams = endsStreams
    }

    /// Begins to listen; returns where.
    func listen(on address: SocketAddress, tls: TLSServer?) throws(SocketError) -> SocketAddress {
        let isIPC = if case .unix = address { true } else { false }
        let listener = try self.loop.listen(on: address, tls: tls) { channel in
            self.assumeIsolated { $0.accept(channel, isIPC: isIPC) }
        }
        self.listener = listener
        return listener.address
    }

    private func accept(_ channel: any Channel, isIPC: Bool) -> NodeConnection {
        let script = self.resting ?? ReplayScript(self.transcript, options: self.options)
        self.resting = nil
        let connection = NodeConnection(server: self, channel: channel, isIPC: isIPC, script: script)
        self.connections.append(connection)
        return connection
    }

    // MARK: What connections tell

    func scriptFinished() {
        self.isFinished = true
        for waiter in self.finishWaiters { waiter.resume() }
        self.finishWaiters = []
    }

    func connectionEnded(_ connection: NodeConnection, _ script: ReplayScript) {
        self.connections.removeAll { $0 === connection }
        self.problems += script.problems.dropFirst(self.problems.count).prefix(100)
        self.resting = script
        if self.connections.isEmpty, self.listener == nil { self.closed() }
    }

    // MARK: What users ask

    /// Returns when the recording was played to its end.
    func finished() async {
        await withCheckedContinuation { continuation in
            // Asked in here: on the way to this point the actor may have been left (Docs/Runtime.md).
            if self.isFinished { return continuation.resume() }
            self.finishWaiters.append(continuation)
        }
    }

    /// Stops listening, closes what is open, and returns when nothing is left.
    func close() async {
        self.listener?.close()
        self.listener = nil
        self.closeConnections()
        await withCheckedContinuation { continuation in
            self.closeWaiters.append(continuation)
            if self.connections.isEmpty { self.closed() }
        }
    }

    /// Nobody has the node any more: no new clients; those that are there go on.
    func abandoned() {
        self.listener?.close()
        self.listener = nil
    }

    private func closeConnections() {
        for connection in self.connections { connection.assumeIsolated { $0.close(code: 1001, reason: "going away") } }
    }

    private func closed() {
        self.scriptFinished()
        for waiter in self.closeWaiters { waiter.resume() }
        self.closeWaiters = []
    }
}
