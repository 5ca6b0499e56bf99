public import Headstream
import HeadstreamSockets

/// Runs `body` with a client of a node that replays a recording, over a real socket, and closes both.
///
/// ```swift
/// @Test func totalsUp() async throws {
///     try await withReplay(of: "Fixtures/sessions/mainnet-14000000-14000010.io") { web3, _ in
///         for try await head in web3.eth.newHeads() { total += head.gasUsed }
///     }
/// }
/// ```
///
/// After the recording's last line streams end with nil, so that a test needs no counting. Gapless streams, which heads and
/// logs are by default, are answered from what was recorded; where the parent of a head was not, they tell a gap. With `.secureWebSocket()` the
/// client trusts the node's certificate, unless `configuration.tls` names whom it trusts.
///
/// - Parameters:
///   - path: of the recording, relative to the working directory.
///   - options: speed and matching; the recorded end of the connection is not played.
///   - configuration: of the client.
/// - Throws: what `body` throws; ``TranscriptError`` for a recording that cannot be read.
public func withReplay<Value>(
    of path: String,
    options: ReplayOptions = ReplayOptions(),
    on transport: TestNode.Transport = .webSocket(),
    configuration: Configuration = Configuration(),
    isolation: isolated (any Actor)? = #isolation,
    _ body: (Web3, TestNode) async throws -> Value
) async throws -> Value {
    let transcript = try Transcript(contentsOf: path)
    return try await withReplay(
        of: transcript,
        options: options,
        on: transport,
        configuration: configuration,
        isolation: isolation,
        body
    )
}

/// The same for a recording at hand.
public func withReplay<Value>(
    of transcript: Transcript,
    options: ReplayOptions = ReplayOptions(),
    on transport: TestNode.Transport = .webSocket(),
    configuration: Configuration = Configuration(),
    isolation: isolated (any Actor)? = #isolation,
    _ body: (Web3, TestNode) async throws -> Value
) async throws -> Value {
    var options = options
    options.playsFinalEvent = false
    var configuration = configuration
    configuration.endOfConnectionEndsStreams = true
    let node = try await TestNode(
        replaying: transcript,
        options: options,
        on: transport,
        loop: configuration.loop ?? EventLoop.shared,
        endsStreams: true
    )
    if let trustRoots = node.trustRoots, configuration.tls.trustRoots == .system {
        configuration.tls.trustRoots = trustRoots
    }
    do {
        let value = try await Web3.withConnection(to: node.endpoint, configuration: configuration) { web3 in
            try await body(web3, node)
        }
        await node.close()
        return value
    } catch {
        await node.close()
        throw error
    }
}
