import Headstream
import HeadstreamLocks
import HeadstreamSockets

/// What a ``TestNode`` does on its loop: listens, gives each client a script, and knows when all is over.
actor NodeServer {
    /// Who waits for requests of clients.
    private struct RequestWaiter {
        var id: Int
        var method: String
        var count: Int
        var continuation: CheckedContinuation<Void, Never>
    }

    nonisolated let loop: any Loop
    /// What is replayed; nil for a node that speaks for its chain.
    private let transcript: Transcript?
    /// The chain; of a node that replays, one that nobody hears of.
    nonisolated let served: ServedChain
    nonisolated let options: ReplayOptions
    /// A replay in which a client's streams end with the recording.
    nonisolated let endsStreams: Bool
    private var listener: (any Listener)?
    private var connections: [NodeConnection] = []
    /// Of a client that has gone, for when it comes again.
    private var resting: (any NodeScript)?
    private var faults: Faults
    /// How many clients have connected.
    private(set) var accepted = 0
    /// Requests by their method.
    private(set) var requests: [String: Int] = [:]
    /// Requests by their method and, where that is a word, their first parameter.
    private var worded: [String: [String: Int]] = [:]
    private var requestWaiters: [RequestWaiter] = []
    private var nextWaiter = 0
    private var idleWaiters: [CheckedContinuation<Void, Never>] = []
    /// Where it listens, for when it listens again.
    private var place: (address: SocketAddress, tls: TLSServer?)?
    private(set) var problems: [String] = []
    private var isFinished = false
    private var finishWaiters: [CheckedContinuation<Void, Never>] = []
    private var closeWaiters: [CheckedContinuation<Void, Never>] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }

    init(
        _ transcript: Transcript?,
        _ options: ReplayOptions = ReplayOptions(),
        chain: SharedChain = SharedChain(SimulatedChain(seed: 0)),
        _ faults: Faults,
        loop: any Loop,
        endsStreams: Bool = false
    ) {
        self.transcript = transcript
        self.served = ServedChain(chain)
        self.faults = faults
        self.options = options
        self.loop = loop
        self.endsStreams = endsStreams
        chain.add(self)
    }

    /// Begins to listen; returns where.
    func listen(on address: SocketAddress, tls: TLSServer?) throws(SocketError) -> SocketAddress {
        let isIPC = if case .unix = address { true } else { false }
        let listener = try self.loop.listen(on: address, tls: tls) { channel in
            self.assumeIsolated { $0.accept(channel, isIPC: isIPC) }
        }
        self.listener = listener
        self.place = (listener.address, tls)
        return listener.address
    }

    /// Listens again where it did.
    func listenAgain() throws(SocketError) {
        guard self.listener == nil, let place = self.place else { return }
        _ = try self.listen(on: place.address, tls: place.tls)
    }

    private func accept(_ channel: any Channel, isIPC: Bool) -> NodeConnection {
        let script: any NodeScript =
            if let transcript = self.transcript {
                self.resting ?? ReplayScript(transcript, options: self.options)
            } else {
                ChainScript(self.served)
            }
        let connection = NodeConnection(server: self, channel: channel, isIPC: isIPC, script: script)
        guard !self.faults.refusesConnection() else {
            channel.close()
            return connection
        }
        self.resting = nil
        self.accepted += 1
        self.connections.append(connection)
        return connection
    }

    // MARK: What connections tell

    func scriptFinished() {
        self.isFinished = true
        for waiter in self.finishWaiters { waiter.resume() }
        self.finishWaiters = []
    }

    /// A client asked for something, and was answered.
    func received(_ message: WireMessage) {
        for element in message.elements ?? [] {
            guard let method = element.method else { continue }
            self.requests[method, default: 0] += 1
            if let word = element.params.flatMap({ message.firstWord($0) }) {
                self.worded[method, default: [:]][word, default: 0] += 1
            }
        }
        self.releaseRequestWaiters { self.requests[$0.method, default: 0] >= $0.count }
    }

    private func releaseRequestWaiters(where isDue: (RequestWaiter) -> Bool) {
        let due = self.requestWaiters.filter(isDue)
        self.requestWaiters.removeAll(where: isDue)
        for waiter in due { waiter.continuation.resume() }
    }

    /// A connection has nothing more to send.
    func connectionIsIdle() {
        guard !self.idleWaiters.isEmpty, self.isIdle else { return }
        for waiter in self.idleWaiters { waiter.resume() }
        self.idleWaiters = []
    }

    private var isIdle: Bool {
        self.connections.allSatisfy { connection in connection.assumeIsolated { $0.isIdle } }
    }

    func connectionEnded(_ connection: NodeConnection, _ script: any NodeScript) {
        self.connections.removeAll { $0 === connection }
        // A recording's script is handed on with what it has found so far; a chain's begins anew with each connection.
        let found = self.transcript == nil ? script.problems[...] : script.problems.dropFirst(self.problems.count)
        self.problems += found.prefix(max(0, 100 - self.problems.count))
        if self.transcript != nil { self.resting = script }
        self.connectionIsIdle()
        if self.connections.isEmpty, self.listener == nil { self.closed() }
    }

    // MARK: Faults

    func faultForMessage() -> Fault? { self.faults.forMessage() }

    func drawDelay(upTo limit: Duration) -> Duration { self.faults.drawDelay(upTo: limit) }

    func tearing(_ count: Int) -> Int { self.faults.tearing(count) }

    func replaceFaults(_ faults: Faults) {
        self.faults = faults
    }

    func inflict(_ fault: Fault) {
        switch fault {
        case .cut, .freeze, .strayError, .endSubscriptions, .forgetSubscriptions:
            for connection in self.connections { connection.assumeIsolated { $0.inflict(fault) } }
        case .tear, .delay, .drop, .duplicate, .reorder, .refuse: self.faults.append(fault)
        }
    }

    // MARK: The chain

    /// Changes the chain, and tells the clients.
    func change<Value: Sendable>(_ body: @Sendable (inout SimulatedChain) throws -> Value) rethrows -> Value {
        let (value, notifications) = try self.served.chain.change(body)
        // They are on this node's loop.
        for node in self.served.chain.nodes {
            node.assumeIsolated { $0.push($0.served.pushed(notifications)) }
        }
        return value
    }

    /// From now on the node is odd in this way.
    func use(_ quirks: NodeQuirks) {
        self.push(self.served.use(quirks))
    }

    private func push(_ notifications: [ChainNotification]) {
        for connection in self.connections { connection.assumeIsolated { $0.told(notifications) } }
    }

    // MARK: What users ask

    func requests(of method: String, _ word: String) -> Int { self.worded[method]?[word] ?? 0 }

    /// Returns when so many requests of a method have been answered, or the task is cancelled.
    func asked(_ method: String, _ count: Int) async {
        let id = self.nextWaiter
        self.nextWaiter += 1
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // Asked in here: on the way to this point the actor may have been left (Docs/Runtime.md).
                if Task.isCancelled || self.requests[method, default: 0] >= count { return continuation.resume() }
                self.requestWaiters.append(
                    RequestWaiter(id: id, method: method, count: count, continuation: continuation)
                )
            }
        } onCancel: {
            // A test past its time limit is to fail and not to hang.
            self.loop.execute { self.assumeIsolated { $0.releaseRequestWaiters { $0.id == id } } }
        }
    }

    /// Returns when everything that was to be pushed is with the clients' sockets.
    func drained() async {
        await withCheckedContinuation { continuation in
            if self.isIdle { return continuation.resume() }
            self.idleWaiters.append(continuation)
        }
    }

    /// Stops listening and cuts what is open.
    func stop() {
        self.abandoned()
        for connection in self.connections { connection.assumeIsolated { $0.drop() } }
    }

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
