import Headstream
import HeadstreamTesting
import Testing

@testable import HeadstreamWebSocket

@Suite("Compression between client and node", .timeLimit(.minutes(15)))
struct CompressionTests {
    private static let session = "sessions/mainnet-14000000-14000010.io"

    /// The heads of a replay, and the bytes they took.
    private func replay(
        compresses: Bool,
        _ compression: Compression
    ) async throws -> (heads: [BlockHeader], bytes: UInt64) {
        let transcript = try Transcript(contentsOf: Fixture.path(Self.session))
        let options = ReplayOptions(compresses: compresses)
        let node = try await TestNode(replaying: transcript, options: options)
        var configuration = Configuration.patient()
        configuration.compression = compression
        let web3 = try await Web3.connect(to: node.endpoint, configuration: configuration)
        var heads: [BlockHeader] = []
        for try await head in web3.eth.newHeads(continuity: .live) {
            heads.append(head)
            if heads.count == 10 { break }
        }
        let bytes = await web3.metrics.bytesReceived
        await web3.close()
        await node.close()
        return (heads, bytes)
    }

    @Test("A replay is the same with compression and without, and much smaller with it")
    func replay() async throws {
        let plain = try await self.replay(compresses: false, .off)
        #expect(plain.heads.count == 10)
        for compression in [
            Compression.deflate(), .deflate(contextTakeover: false), .deflate(windowBits: 9, requestThreshold: 0),
        ] {
            let compressed = try await self.replay(compresses: true, compression)
            #expect(compressed.heads == plain.heads)
            #expect(compressed.bytes < plain.bytes)
            // A node that declines.
            let declined = try await self.replay(compresses: false, compression)
            #expect(declined.heads == plain.heads)
        }
        // A client that does not ask.
        #expect(try await self.replay(compresses: true, .off).heads == plain.heads)
    }

    @Test("Requests over the threshold go out compressed, and answers come back")
    func requests() async throws {
        let transcript = try Transcript(
            parsing: """
                // @0.000 open
                >> {"jsonrpc":"2.0","id":1,"method":"test_echo","params":["\(String(repeating: "ab", count: 50_000))"]}
                << {"jsonrpc":"2.0","id":1,"result":"\(String(repeating: "cd", count: 50_000))"}
                """
        )
        let node = try await TestNode(replaying: transcript, options: ReplayOptions(compresses: true))
        var configuration = Configuration.patient()
        configuration.compression = .deflate()
        let web3 = try await Web3.connect(to: node.endpoint, configuration: configuration)
        for _ in 0..<3 {
            let before = await web3.metrics
            let parameter = String(repeating: "ab", count: 50_000)
            let result = try await web3.request("test_echo", [parameter], as: String.self)
            #expect(result == String(repeating: "cd", count: 50_000))
            let after = await web3.metrics
            #expect(after.bytesSent - before.bytesSent < 5000)
            #expect(after.bytesReceived - before.bytesReceived < 5000)
            if before.requests > 0 { break }
        }
        await web3.close()
        await node.close()
    }
}
