public import Headstream
package import HeadstreamSockets

/// A node for tests: it listens on loopback and plays the node's side of a recording.
///
/// ```swift
/// let node = try await TestNode(replaying: Transcript(contentsOf: "Fixtures/mainnet.io"))
/// let web3 = try await Web3.connect(to: node.endpoint)
/// ```
///
/// A client's requests are matched by method and parameters, recorded subscription ids are mapped to the ones handed
/// out, and notifications follow their subscription; see ``ReplayOptions``. A client that connects again goes on in the
/// recording where it was; clients at the same time get a replay each. Let go of without ``close()``, it goes on until
/// its clients have gone.
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

    /// Begins to listen.
    ///
    /// - Throws: `.cannotConnect` where it cannot.
    public convenience init(
        replaying transcript: Transcript,
        options: ReplayOptions = ReplayOptions(),
        on transport: Transport = .webSocket()
    ) async throws(Web3Error) {
        try await self.init(replaying: transcript, options: options, on: transport, loop: EventLoop.shared)
    }

    /// The same on a simulated loop: no socket, and the loop's order and clock. Connect with its
    /// ``SimulatedLoop/configuration``.
    public convenience init(
        replaying transcript: Transcript,
        options: ReplayOptions = ReplayOptions(),
        on transport: Transport = .webSocket(),
        loop: SimulatedLoop
    ) async throws(Web3Error) {
        try await self.init(replaying: transcript, options: options, on: transport, loop: loop as any Loop)
    }

    /// - Parameter endsStreams: whether a client's subscriptions are told to be over at the recording's end.
    package init(
        replaying transcript: Transcript,
        options: ReplayOptions,
        on transport: Transport,
        loop: any Loop,
        endsStreams: Bool = false
    ) async throws(Web3Error) {
        self.server = NodeServer(transcript, options, loop: loop, endsStreams: endsStreams)
        let transport = try transport.withCertificate()
        self.trustRoots = transport.trustRoots
        do throws(SocketError) {
            let tls = try transport.tlsServer()
            let address = try await self.server.listen(on: transport.address(named: "test"), tls: tls)
            self.endpoint = try transport.endpoint(at: address)
        } catch {
            throw Web3Error(.cannotConnect, "the test node cannot listen: \(error.message)")
        }
    }

    deinit {
        let server = self.server
        server.loop.execute { server.assumeIsolated { $0.abandoned() } }
    }

    /// Returns when the recording was played to its end by a client.
    public func finished() async {
        await self.server.finished()
    }

    /// What clients asked for and the recording does not hold, at most a hundred; of connections that have ended.
    public var problems: [String] {
        get async { await self.server.problems }
    }

    /// Stops listening, closes the connections, and returns when nothing is left.
    public func close() async {
        await self.server.close()
    }
}
