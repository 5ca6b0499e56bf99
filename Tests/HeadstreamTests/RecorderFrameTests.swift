import Foundation
import Headstream
import HeadstreamTesting
import HeadstreamWebSocket
import Testing

@Suite("Frames through a recorder", .timeLimit(.minutes(15)))
struct RecorderFrameTests {
    @Test(
        "Pings are answered by the recorder, fragments are recorded whole, binary frames carried too",
        arguments: Stage.webSockets
    )
    func frames(stage: Stage) async throws {
        let path = NSTemporaryDirectory() + "headstream-frames-\(UUID().uuidString).io"
        defer { unlink(path) }
        let texts = (1...4).map { Array(ScriptedClient.notification("0x1", "\($0)").utf8) }
        let script: ScriptedServer.Script = { client, message in
            client.answerAsUsual(message)
            guard message.calls.first?.method == "eth_subscribe" else { return }
            client.raw(ScriptedClient.frame(.text, Array(texts[0][..<20]), isFinal: false))
            client.raw(ScriptedClient.frame(.ping, [1, 2, 3]))
            client.raw(ScriptedClient.frame(.continuation, Array(texts[0][20...])))
            // More pings at once than are answered one by one.
            for number in 0..<100 { client.raw(ScriptedClient.frame(.ping, [UInt8(number)])) }
            client.raw(ScriptedClient.frame(.binary, texts[1]))
            client.raw(ScriptedClient.frame(.text, []))
            client.raw(ScriptedClient.frame(.text, texts[2]) + ScriptedClient.frame(.text, texts[3]))
        }
        try await stage.serve(script: script) { server, configuration in
            let node = await server.endpoint
            try await withRecording(of: node, to: path, configuration: configuration) { web3 in
                var items: [Int] = []
                for try await item in web3.notifications(NumbersRequest()) {
                    items.append(item)
                    if items.count == 4 { break }
                }
                #expect(items == [1, 2, 3, 4])
                await server.until { $0.pongs.first == [1, 2, 3] && $0.pongs.last == [99] }
            }
            let log = await server.log
            #expect(log.pongs.count <= 101)
            #expect(log.closeCodes == [1000])
        }
        let messages = try Transcript(contentsOf: path).entries.compactMap { entry -> [UInt8]? in
            guard case .fromNode(let bytes) = entry.event else { return nil }
            return bytes
        }
        #expect(Array(messages.dropFirst().prefix(5)) == [texts[0], texts[1], [], texts[2], texts[3]])
    }

    @Test("A broken frame of the node is an error in the file, and 1014 for the client", arguments: Stage.webSockets)
    func brokenFrame(stage: Stage) async throws {
        let path = NSTemporaryDirectory() + "headstream-frames-\(UUID().uuidString).io"
        defer { unlink(path) }
        try await stage.serve(script: { client, _ in client.raw([0xFF, 0x00]) }) { server, configuration in
            let node = await server.endpoint
            try await withRecording(of: node, to: path, configuration: configuration) { web3 in
                let error = await #expect(throws: Web3Error.self) { try await web3.eth.chainID() }
                #expect(error?.closeCode == 1014)
            }
            #expect(await server.log.closeCodes == [1002])
        }
        let ends = try Transcript(contentsOf: path).entries.compactMap { entry -> String? in
            guard case .error(let text) = entry.event else { return nil }
            return text
        }
        #expect(ends == ["frame with reserved bits 0x70 set, but no extension was agreed on"])
    }
}
