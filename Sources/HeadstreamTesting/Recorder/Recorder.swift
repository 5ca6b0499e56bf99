public import Headstream
import HeadstreamSockets

/// Records what a client and a node say to each other, by standing between them.
///
/// It listens on loopback like a node and passes every message on, both ways, byte for byte; so any client in any
/// language can be recorded. What was said is a ``Transcript``, which ``TestNode`` replays:
///
/// ```swift
/// let recorder = try await Recorder(recording: "ws://127.0.0.1:8546", to: "Fixtures/session.io")
/// // Any client connects to recorder.endpoint …
/// await recorder.close()
/// ```
///
/// - A message is written before it is passed on, and each line in one call to the system: whatever ends the process,
///   all that the client saw is in the file. After a crash read it with `droppingCutLine: true`.
/// - One connection is recorded at a time. One that comes while another is open is refused: a WebSocket client with
///   503, an IPC client by closing. One that comes while the last one closes waits for that. Connections one after
///   another follow one another in the file.
/// - Handshakes are not recorded, and neither the client's headers and path nor a subprotocol go on to the node: what
///   the node wants to know stands in the endpoint and in the configuration. What of the endpoint's user and
///   password, token and query and of the headers' values the node quotes back is overwritten with `*` in the file.
/// - Pings, pongs and close frames are each side's own. A side that reads slowly holds the other back: at most
///   256 KiB and a message wait for it.
/// - A node that cannot be reached is an `error` in the file, and 502 with the reason for the client; the node's own
///   refusal, such as 429, is passed on.
/// - The node's end is in the file as `close` or `drop`, also where the client asked for it; what the client or the
///   recorder did is a remark.
///
/// Where the file cannot be written any more, say because the disk is full, what was written stays, the connection ends
/// with 1011, and ``finished()`` throws. Let go of without ``close()``, a recorder goes on until the process ends.
public final class Recorder: Sendable {
    /// Where the client connects to.
    public let endpoint: Endpoint
    /// For ``TLSConfiguration/trustRoots`` of the client; nil without TLS.
    public let trustRoots: TLSConfiguration.TrustRoots?
    /// Where it may also connect to, if the recorder listens on several.
    package let endpoints: [Endpoint]
    private let server: RecorderServer

    /// Begins to listen, and creates the file, readable by its owner only, or empties it.
    ///
    /// The node is connected to when a client comes.
    ///
    /// - Parameters:
    ///   - node: where the node is.
    ///   - path: the transcript's file.
    ///   - transport: what the client connects over; it need not be the node's.
    ///   - configuration: for the connection to the node. `headers`, `userAgent`, `proxy`, `environment`,
    ///     `connectTimeout`, `closeTimeout`, `eventLoop` and `maxMessageSize` (here of both sides) count.
    /// - Throws: ``Web3Error`` for an endpoint that is none or where it cannot listen; ``TranscriptError`` for a file
    ///   that cannot be created.
    public convenience init(
        recording node: Endpoint,
        to path: String,
        on transport: TestNode.Transport = .webSocket(),
        configuration: Configuration = Configuration()
    ) async throws {
        try await self.init(recording: node, to: path, on: [transport], configuration: configuration)
    }

    /// The same on several transports. The first is ``endpoint``.
    package init(
        recording node: Endpoint,
        to path: String,
        on transports: [TestNode.Transport],
        configuration: Configuration
    ) async throws {
        if case .invalid(let reason) = node.target { throw Web3Error(.invalidEndpoint, reason) }
        let loop = configuration.loop ?? EventLoop.shared
        self.server = RecorderServer(recording: node, configuration: configuration, loop: loop)
        let transports = try transports.map { transport throws(Web3Error) in try transport.withCertificate() }
        self.trustRoots = transports.lazy.compactMap(\.trustRoots).first
        do {
            let places = try transports.map { ($0.address(named: "recorder"), try $0.tlsServer()) }
            let bound = try await self.server.start(on: places, path: path)
            self.endpoints = try zip(transports, bound).map { try $0.endpoint(at: $1) }
        } catch let error as SocketError {
            throw Web3Error(.cannotConnect, "the recorder cannot listen: \(error.message)")
        }
        guard let first = self.endpoints.first else {
            throw Web3Error(.invalidArgument, "a recorder needs a transport to listen on")
        }
        self.endpoint = first
    }

    /// Stops listening, closes what is open with 1001, and returns when nothing is left and the file is whole.
    ///
    /// At the latest after the configuration's `closeTimeout`. Closing twice is fine.
    public func close() async {
        await self.server.close()
    }

    /// Returns when the recording is over: closed, or failed.
    ///
    /// - Throws: ``TranscriptError`` where the file could not be written in full.
    public func finished() async throws(TranscriptError) {
        try await self.server.finished()
    }
}
