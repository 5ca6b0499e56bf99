public import Headstream
import HeadstreamLocks
package import HeadstreamSockets

/// A node for tests: it listens on loopback and plays the node's side of a recording, or speaks for a chain that the test
/// makes.
///
/// ```swift
/// let node = try await TestNode(replaying: Transcript(contentsOf: "Fixtures/mainnet.io"))
/// let web3 = try await Web3.connect(to: node.endpoint)
/// ```
///
/// **A recording.** A client's requests are matched by method and parameters, recorded subscription ids are mapped to the
/// ones handed out, and notifications follow their subscription; see ``ReplayOptions``. A client that connects again goes
/// on in the recording where it was; clients at the same time get a replay each.
///
/// **A chain.** Subscriptions to `newHeads` and `logs`, `eth_getBlockByNumber`, `eth_getBlockByHash`, `eth_getLogs`,
/// `eth_blockNumber` and `eth_chainId` are answered from a ``SimulatedChain``, with its quirks, and what the test does to
/// the chain is pushed:
///
/// ```swift
/// let node = try await TestNode(chain: SimulatedChain(seed: 1))
/// let web3 = try await Web3.connect(to: node.endpoint)
/// var heads = web3.eth.newHeads(from: .block(1)).makeAsyncIterator()
/// await node.change { chain in for _ in 0..<3 { chain.mine() } }
/// await node.inflict(.cut)
/// await node.change { $0.reorganise(depth: 2, events: [[], [], []]) }
/// ```
///
/// Several nodes may speak for one chain, for clients of several endpoints: ``init(sharing:faults:on:)``. How one of them
/// differs from the others, ``NodeQuirks`` say.
///
/// Whatever it serves, ``Faults`` may come between it and its clients. Let go of without ``close()``, it goes on until its
/// clients have gone.
public final class TestNode: Sendable {
    /// What the node listens on.
    public enum Transport: Sendable, Hashable {
        /// WebSocket on 127.0.0.1; port 0 for any free one.
        case webSocket(port: UInt16 = 0)
        /// The same over TLS (`wss`). Without a certificate, one is made for 127.0.0.1 by an authority of its own; either
        /// way clients must be told to trust it: ``TestNode/trustRoots``.
        case secureWebSocket(port: UInt16 = 0, certificate: TestCertificate? = nil)
        /// A Unix socket; without a path, a name of its own in Linux's abstract namespace.
        case ipc(path: String? = nil)
    }

    /// Where clients connect to.
    public let endpoint: Endpoint
    /// For ``TLSConfiguration/trustRoots`` of clients; nil for a node without TLS.
    public let trustRoots: TLSConfiguration.TrustRoots?
    private let server: NodeServer

    /// Begins to listen, to replay a recording.
    ///
    /// - Throws: `.cannotConnect` where it cannot.
    public convenience init(
        replaying transcript: Transcript,
        options: ReplayOptions = ReplayOptions(),
        faults: Faults = Faults(),
        on transport: Transport = .webSocket()
    ) async throws(Web3Error) {
        let server = NodeServer(transcript, options, faults, loop: EventLoop.shared)
        try await self.init(server, on: transport)
    }

    /// The same on a simulated loop: no socket, and the loop's order and clock. Connect with its
    /// ``SimulatedLoop/configuration``.
    public convenience init(
        replaying transcript: Transcript,
        options: ReplayOptions = ReplayOptions(),
        faults: Faults = Faults(),
        on transport: Transport = .webSocket(),
        loop: SimulatedLoop
    ) async throws(Web3Error) {
        let server = NodeServer(transcript, options, faults, loop: loop)
        try await self.init(server, on: transport)
    }

    /// Begins to listen, to speak for a chain.
    ///
    /// - Throws: `.cannotConnect` where it cannot.
    public convenience init(
        chain: SimulatedChain,
        faults: Faults = Faults(),
        on transport: Transport = .webSocket()
    ) async throws(Web3Error) {
        let server = NodeServer(nil, chain: SharedChain(chain), faults, loop: EventLoop.shared)
        try await self.init(server, on: transport)
    }

    /// The same on a simulated loop: no socket, and the loop's order and clock. Connect with its
    /// ``SimulatedLoop/configuration``.
    public convenience init(
        chain: SimulatedChain,
        faults: Faults = Faults(),
        on transport: Transport = .webSocket(),
        loop: SimulatedLoop
    ) async throws(Web3Error) {
        try await self.init(NodeServer(nil, chain: SharedChain(chain), faults, loop: loop), on: transport)
    }

    /// Begins to listen as another node of a node's chain, on the same loop. It does not matter by which of them the chain is
    /// changed: each pushes it to its clients. One that is stopped or closed leaves the chain to the others.
    ///
    /// ```swift
    /// let node = try await TestNode(chain: SimulatedChain(seed: 1))
    /// let other = try await TestNode(sharing: node)
    /// let web3 = try await Web3.connect(to: [node.endpoint, other.endpoint])
    /// await node.stop()
    /// await node.change { $0.mine() }
    /// ```
    ///
    /// - Throws: `.cannotConnect` where it cannot.
    public convenience init(
        sharing other: TestNode,
        faults: Faults = Faults(),
        on transport: Transport = .webSocket()
    ) async throws(Web3Error) {
        let server = NodeServer(nil, chain: other.server.served.chain, faults, loop: other.server.loop)
        try await self.init(server, on: transport)
    }

    /// - Parameter endsStreams: whether a client's subscriptions are told to be over at the recording's end.
    package convenience init(
        replaying transcript: Transcript,
        options: ReplayOptions,
        on transport: Transport,
        loop: any Loop,
        endsStreams: Bool = false
    ) async throws(Web3Error) {
        let server = NodeServer(transcript, options, Faults(), loop: loop, endsStreams: endsStreams)
        try await self.init(server, on: transport)
    }

    private init(_ server: NodeServer, on transport: Transport) async throws(Web3Error) {
        self.server = server
        let transport = try transport.withCertificate()
        self.trustRoots = transport.trustRoots
        do throws(SocketError) {
            let tls = try transport.tlsServer()
            let address = try await self.server.listen(on: transport.address(named: "test"), tls: tls)
            self.endpoint = try transport.endpoint(at: address)
        } catch {
            throw Self.cannotListen(error)
        }
    }

    private static func cannotListen(_ error: SocketError) -> Web3Error {
        Web3Error(.cannotConnect, "the test node cannot listen: \(error.message)")
    }

    deinit {
        let server = self.server
        server.loop.execute { server.assumeIsolated { $0.abandoned() } }
    }

    // MARK: The chain

    /// The chain as it stands. A node that replays a recording has one too, of one block, of which its clients do not hear.
    public var chain: SimulatedChain { self.server.served.chain.state.withLock { $0.chain } }

    /// Changes the chain, by as many calls of its methods as you like, and pushes to the clients what a node would; so do
    /// all nodes that share it. Where there is no client, nobody hears of it.
    @discardableResult
    public func change<Value: Sendable>(
        _ body: @Sendable (inout SimulatedChain) throws -> Value
    ) async rethrows -> Value {
        try await self.server.change(body)
    }

    /// Changes the chain again and again, on the node's clock, until the task is cancelled: blocks that come every second.
    public func change(
        every interval: Duration,
        _ body: @Sendable (inout SimulatedChain) -> Void
    ) async throws(CancellationError) {
        let loop = self.server.loop
        while true {
            try await loop.sleep(until: loop.now.advanced(by: interval))
            await self.change(body)
        }
    }

    /// Returns when everything that was to be pushed is with the clients' sockets.
    package func drained() async {
        await self.server.drained()
    }

    // MARK: Faults

    /// Something goes wrong: now, on every connection, where it is ``Fault/cut``, ``Fault/freeze``, ``Fault/strayError``
    /// or the end of subscriptions; else with the next message, or the next connection.
    public func inflict(_ fault: Fault) async {
        await self.server.inflict(fault)
    }

    /// From now on this goes wrong, and nothing else.
    public func use(_ faults: Faults) async {
        await self.server.replaceFaults(faults)
    }

    /// From now on the node differs from others of its chain in this way, and in no other; a node that replays a recording
    /// may be deaf, and no more.
    public func use(_ quirks: NodeQuirks) async {
        await self.server.use(quirks)
    }

    /// Stops listening and cuts the connections, as a node's process that is killed. The chain stays.
    public func stop() async {
        await self.server.stop()
    }

    /// Listens again where it did before ``stop()``.
    ///
    /// - Throws: `.cannotConnect` where it cannot.
    public func start() async throws(Web3Error) {
        do throws(SocketError) { try await self.server.listenAgain() } catch { throw Self.cannotListen(error) }
    }

    // MARK: What clients did

    /// How many requests clients have made, by method, on all connections.
    public var requests: [String: Int] {
        get async { await self.server.requests }
    }

    /// How many of a method's requests had this word as their first parameter, on all connections: a block tag, or the kind of
    /// a subscription.
    public func requests(of method: String, _ word: String) async -> Int {
        await self.server.requests(of: method, word)
    }

    /// How many clients have connected, those that were refused not counted.
    public var connections: Int {
        get async { await self.server.accepted }
    }

    /// Returns when clients have made so many requests of a method, from the node's start, or the task is cancelled.
    public func asked(for method: String, times: Int = 1) async {
        await self.server.asked(method, times)
    }

    /// Returns when the recording was played to its end by a client.
    public func finished() async {
        await self.server.finished()
    }

    /// What clients asked for and the recording does not hold, or the chain does not serve, at most a hundred; of
    /// connections that have ended.
    public var problems: [String] {
        get async { await self.server.problems }
    }

    /// Stops listening, closes the connections, and returns when nothing is left.
    public func close() async {
        await self.server.close()
    }
}
