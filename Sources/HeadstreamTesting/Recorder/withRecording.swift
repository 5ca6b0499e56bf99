public import Headstream

/// Runs `body` with a client of a node, writes down what the two say, and closes both.
///
/// ```swift
/// try await withRecording(of: "ws://127.0.0.1:8546", to: "Fixtures/heads.io") { web3 in
///     for try await head in web3.eth.newHeads().prefix(10) { print(head.number) }
/// }
/// ```
///
/// - Parameters:
///   - node: where the node is.
///   - path: the transcript's file, which is created or emptied.
///   - transport: what the client connects to the recorder over.
///   - configuration: of the client; its headers and user agent go on to the node.
/// - Throws: what `body` throws; ``TranscriptError`` where the file cannot be written in full; ``Web3Error`` where
///   there is no connection.
public func withRecording<Value>(
    of node: Endpoint,
    to path: String,
    on transport: TestNode.Transport = .webSocket(),
    configuration: Configuration = Configuration(),
    isolation: isolated (any Actor)? = #isolation,
    _ body: (Web3) async throws -> Value
) async throws -> Value {
    let recorder = try await Recorder(recording: node, to: path, on: transport, configuration: configuration)
    var local = configuration
    // Secrets are the node's: they stay out of the connection to the recorder.
    local.headers = []
    let result: Result<Value, any Error>
    do {
        result = .success(
            try await Web3.withConnection(to: recorder.endpoint, configuration: local) { try await body($0) }
        )
    } catch {
        result = .failure(error)
    }
    await recorder.close()
    // Where the file failed, that is why everything else did.
    try await recorder.finished()
    return try result.get()
}
