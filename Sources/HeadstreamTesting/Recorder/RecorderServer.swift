import Headstream
import HeadstreamSockets

/// What a ``Recorder`` does on its loop: listens, lets one client in at a time, and owns the file.
actor RecorderServer {
    /// Clients that may wait while the one before them closes.
    private static let maxWaiting = 16
    /// Sockets at once, refused ones included.
    private static let maxConnections = 64

    nonisolated let loop: any Loop
    nonisolated let endpoint: Endpoint
    nonisolated let configuration: Configuration
    /// What is written down and told to nobody, even where the node quotes it.
    nonisolated let secrets: Secrets
    private var file: RecordingFile?
    private var listeners: [any Listener] = []
    private var connections: [RecordedConnection] = []
    /// The one that is recorded.
    private var current: RecordedConnection?
    private var waiting: [RecordedConnection] = []
    private var isClosing = false
    private var isOver = false
    private var failure: TranscriptError?
    private var waiters: [CheckedContinuation<Void, Never>] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }

    init(recording endpoint: Endpoint, configuration: Configuration, loop: any Loop) {
        self.endpoint = endpoint
        self.configuration = configuration
        self.secrets = Secrets(of: endpoint, configuration, sparesWords: true)
        self.loop = loop
    }

    /// Begins to listen, and then to write: a file is not emptied for a recorder that cannot begin.
    func start(on places: [(address: SocketAddress, tls: TLSServer?)], path: String) throws -> [SocketAddress] {
        do {
            for (address, tls) in places {
                let isIPC = if case .unix = address { true } else { false }
                self.listeners.append(
                    try self.loop.listen(on: address, tls: tls) { channel in
                        self.assumeIsolated { $0.accept(channel, isIPC: isIPC) }
                    }
                )
            }
            self.file = try RecordingFile(path: path, recording: self.endpoint, secrets: self.secrets)
            return self.listeners.map(\.address)
        } catch {
            self.isClosing = true
            self.stopListening()
            throw error
        }
    }

    private func accept(_ channel: any Channel, isIPC: Bool) -> RecordedConnection {
        let connection = RecordedConnection(server: self, channel: channel, isIPC: isIPC)
        guard self.connections.count < Self.maxConnections else {
            channel.close()
            return connection
        }
        self.connections.append(connection)
        connection.assumeIsolated { $0.accepted() }
        return connection
    }

    private func stopListening() {
        for listener in self.listeners { listener.close() }
        self.listeners = []
    }

    // MARK: What connections tell

    /// A client wants to be recorded. It is decided a turn later: the end of the client before it may have come in
    /// this one.
    func wantsIn(_ connection: RecordedConnection) {
        self.loop.execute {
            self.assumeIsolated { $0.decide(connection) }
        }
    }

    private func decide(_ connection: RecordedConnection) {
        guard !self.isClosing else { return Self.refuse(connection, "the recording has ended") }
        guard let current = self.current else { return self.letIn(connection) }
        if current.assumeIsolated({ $0.isEnding }), self.waiting.count < Self.maxWaiting {
            self.waiting.append(connection)
        } else {
            Self.refuse(connection, "the recorder records one connection at a time, and another one is open")
        }
    }

    private func letIn(_ connection: RecordedConnection) {
        self.current = connection
        connection.assumeIsolated { $0.connect() }
    }

    private static func refuse(_ connection: RecordedConnection, _ reason: String) {
        connection.assumeIsolated { $0.refuse(503, "Service Unavailable", reason) }
    }

    /// Nothing of the connection is to be recorded any more: the next one may come.
    func release(_ connection: RecordedConnection) {
        self.waiting.removeAll { $0 === connection }
        guard self.current === connection else { return }
        self.current = nil
        if !self.waiting.isEmpty, !self.isClosing { self.letIn(self.waiting.removeFirst()) }
    }

    func connectionEnded(_ connection: RecordedConnection) {
        self.connections.removeAll { $0 === connection }
        self.release(connection)
        self.endIfDone()
    }

    /// Writes an event down.
    ///
    /// - Returns: false where it cannot be: the recording is over, and so must be what is recorded.
    func record(_ event: Transcript.Event) -> Bool {
        guard self.file != nil else { return false }
        do throws(TranscriptError) {
            try self.file?.write(event, now: self.loop.now)
            return true
        } catch {
            self.fail(error)
            return false
        }
    }

    private func fail(_ error: TranscriptError) {
        self.failure = self.failure ?? error
        // What was written stays; that closing the file fails too is no news.
        try? self.file?.close()
        self.file = nil
        self.beginClosing()
    }

    // MARK: Ends

    /// Stops listening, ends what is open, and returns when nothing is left and the file is whole.
    func close() async {
        self.beginClosing()
        await self.ended()
    }

    /// Returns when the recording is over.
    func finished() async throws(TranscriptError) {
        await self.ended()
        if let failure = self.failure { throw failure }
    }

    private func ended() async {
        await withCheckedContinuation { continuation in
            // Asked in here: the call itself may suspend, and the end may come meanwhile.
            if self.isOver { continuation.resume() } else { self.waiters.append(continuation) }
        }
    }

    private func beginClosing() {
        guard !self.isClosing else { return }
        self.isClosing = true
        self.stopListening()
        let reason = self.failure == nil ? "the recorder closes" : "the recording cannot be written"
        let code: UInt16 = self.failure == nil ? 1001 : 1011
        // In a turn of its own: a connection may be in the middle of telling what it read.
        self.loop.execute {
            self.assumeIsolated { server in
                for connection in server.connections { connection.assumeIsolated { $0.shutDown(code, reason) } }
                server.endIfDone()
            }
        }
    }

    private func endIfDone() {
        guard self.isClosing, self.connections.isEmpty, !self.isOver else { return }
        self.isOver = true
        do throws(TranscriptError) { try self.file?.close() } catch { self.failure = self.failure ?? error }
        self.file = nil
        for waiter in self.waiters { waiter.resume() }
        self.waiters = []
    }
}
