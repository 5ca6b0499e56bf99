import Foundation
import Headstream
import HeadstreamTesting
import Testing

@testable import HeadstreamCLI

/// `pending`, `syncing` and `subscribe`, through the built command.
@Suite(
    "Command runs: other kinds",
    .enabled(if: BuiltCommand.path != nil, "the command is not built beside the tests"),
    .timeLimit(.minutes(15))
)
struct OtherKindsRunTests {
    private static let geth = BuiltCommand.fixture("sessions/geth-heads-logs-pending.io")

    @Test("pending prints a hash a line, with --full a transaction a line, with --json what the node wrote")
    func pending() async throws {
        let hashes = try await BuiltCommand.run(["pending", "--replay", Self.geth])
        #expect(hashes.code == 0 && hashes.lines.count > 10)
        #expect(hashes.lines.allSatisfy { $0.hasPrefix("0x") && $0.utf8.count == 66 })
        let full = try await BuiltCommand.run(["pending", "--full", "--replay", Self.geth])
        #expect(full.code == 0 && full.lines.count > 10)
        #expect(full.lines.allSatisfy { $0.contains(" → ") && $0.hasSuffix(" ether") })
        #expect(full.lines.prefix(10).map { String($0.prefix(66)) } == Array(hashes.lines.prefix(10)))
        let json = try await BuiltCommand.run(["pending", "--full", "--json", "--replay", Self.geth, "--count", "2"])
        let objects = try json.lines.map { try JSONValue(parsing: $0) }
        #expect(objects.map { $0["hash"]?.stringValue ?? "" } == Array(hashes.lines.prefix(2)))
    }

    @Test("syncing prints what the node told, and is ended by the end of the recording")
    func syncing() async throws {
        let transcript = try Transcript(
            parsing: #"""
                >> {"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["syncing"]}
                << {"jsonrpc":"2.0","id":1,"result":"0x1"}
                << {"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":true}}
                << {"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":{"syncing":true,"status":{"startingBlock":"0x1","currentBlock":"0x4d2","highestBlock":"0x1e240"}}}}
                << {"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":false}}
                """#,
            name: "syncing.io"
        )
        let node = try await TestNode(replaying: transcript, options: ReplayOptions(playsFinalEvent: false))
        let told = try await BuiltCommand.run(["syncing", "--url", "\(node.endpoint)", "--count", "3"])
        await node.close()
        #expect(told.code == 0 && told.lines == ["syncing", "syncing: block 1,234 of 123,456", "synced"])
    }

    @Test("subscribe takes any method with its parameters, in other namespaces too")
    func subscribe() async throws {
        let heads = try await BuiltCommand.run(["subscribe", "eth_subscribe", "newHeads", "--replay", Self.geth])
        let known = try await BuiltCommand.run(["heads", "--live", "--json", "--replay", Self.geth])
        #expect(heads.code == 0 && heads.lines == known.lines && heads.lines.count > 5)
        for (file, words, key) in [
            ("substrate", ["chain_subscribeNewHead"], "parentHash"), ("solana", ["logsSubscribe", "all"], "value"),
        ] {
            let replay = ["--replay", BuiltCommand.fixture("other-namespaces/\(file).io"), "--count", "1"]
            let told = try await BuiltCommand.run(["subscribe"] + words + replay)
            #expect(told.code == 0 && told.lines.count == 1, "\(told.errors)")
            #expect(try JSONValue(parsing: told.lines.first ?? "")[key] != nil)
        }
        let wrong = try await BuiltCommand.run(["subscribe", "eth_subscribe", "nothing", "--replay", Self.geth])
        #expect(wrong.code == 70 && wrong.errors.contains("does not hold"))
    }

    @Test("The method that ends a subscription is derived, or given")
    func unsubscribing() throws {
        func request(_ words: [String]) throws -> RawRequest {
            let invocation = try CommandLineParser(root: RootCommand.declaration).parse(["subscribe"] + words)
            guard case .run(_, let arguments) = invocation else { throw ToldError(code: 1) }
            return SubscribeCommand.request(arguments)
        }
        #expect(try request(["chain_subscribeNewHeads"]).unsubscribeMethod == "chain_unsubscribeNewHeads")
        #expect(try request(["eth_subscribe", "newHeads"]).unsubscribeMethod == "eth_unsubscribe")
        #expect(try request(["slotSubscribe"]).dialect == .solana)
        #expect(try request(["a_subscribe", "--unsubscribe", "a_stop"]).unsubscribeMethod == "a_stop")
    }

    @Test("--buffer and --when-full: a wrong one is told, every policy has a name")
    func buffers() async throws {
        for policy in ["wait", "drop-oldest", "drop-newest", "coalesce", "fail"] {
            let words =
                ["heads", "--live", "--replay", Self.geth, "--count", "3"]
                + ["--when-full", policy, "--buffer", "1MiB"]
            let told = try await BuiltCommand.run(words)
            #expect(told.code == 0 && told.lines.count == 4, "\(told.errors)")
        }
        let policy = try await BuiltCommand.run(["heads", "--when-full", "drop"])
        #expect(policy.code == 64 && policy.errors.contains("drop-oldest"))
        let buffer = try await BuiltCommand.run(["heads", "--buffer", "much"])
        #expect(buffer.code == 64 && buffer.errors.contains("64KiB"))
    }
}
