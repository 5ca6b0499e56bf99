import Foundation
import Glibc
import Headstream
import HeadstreamTesting
import Testing

@testable import HeadstreamCLI

/// The built command between a node that replays a session and another run of the command.
@Suite(
    "Command record",
    .enabled(if: BuiltCommand.path != nil, "the command is not built beside the tests"),
    .timeLimit(.minutes(15))
)
struct RecordCommandTests {
    @Test("What one client sees through the recorder, the recording plays again")
    func records() async throws {
        let transcript = try Transcript(contentsOf: BuiltCommand.mainnet)
        let node = try await TestNode(replaying: transcript, options: ReplayOptions(playsFinalEvent: false))
        let name = NSTemporaryDirectory() + "headstream-record-\(UUID().uuidString)"
        defer { for file in [".io", ".ipc", ".jsonl"] { unlink(name + file) } }
        let words = ["record", "--url", "\(node.endpoint)", "--out", name + ".io", "--ipc", name + ".ipc"]
        let result = try await BuiltCommand.run(words) { recorder in
            // The endpoints are printed: clients can connect.
            let client = BuiltCommand.process(["heads", "--url", name + ".ipc", "--json", "--count", "5"])
            _ = FileManager.default.createFile(atPath: name + ".jsonl", contents: nil)
            client.standardOutput = FileHandle(forWritingAtPath: name + ".jsonl")
            try? client.run()
            client.waitUntilExit()
            kill(recorder, SIGINT)
            return true
        }
        await node.close()
        #expect(result.code == 130, "\(result.errors)")
        #expect(result.errors.isEmpty)
        #expect(result.lines.count == 2)
        #expect(result.lines.first?.hasPrefix("ws://127.0.0.1:") == true)
        #expect(result.lines.last == "ipc:" + name + ".ipc")

        let live = try String(contentsOfFile: name + ".jsonl", encoding: .utf8)
        #expect(live.split(separator: "\n").count == 5)
        let again = try await BuiltCommand.run(["heads", "--replay", name + ".io", "--json", "--count", "5"])
        #expect(String(decoding: again.output, as: UTF8.self) == live)
        // The end of the connection is the node's answer to the client's.
        let text = try String(contentsOfFile: name + ".io", encoding: .utf8)
        #expect(text.hasPrefix("// recorded from ws://127.0.0.1:"))
        #expect(text.contains("\n// the client ended the connection\n"))
    }

    @Test("A file that cannot be written ends it with 74, a missing option with 64")
    func failures() async throws {
        let full = try await BuiltCommand.run(["record", "--url", "ws://127.0.0.1:9", "--out", "/dev/full"])
        #expect(full.code == 74)
        #expect(full.errors == "headstream record: /dev/full: cannot be written: No space left on device\n")
        #expect(full.output.isEmpty)
        let missing = try await BuiltCommand.run(["record", "--url", "ws://127.0.0.1:9"])
        #expect(missing.code == 64)
        #expect(missing.errors.contains("--out FILE"))
    }
}
