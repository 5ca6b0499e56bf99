import EthereumTypes
import Foundation
import Headstream
import HeadstreamJSON
import HeadstreamTesting
import Testing

/// Subscriptions of other chains' nodes: recordings replayed into typed streams.
@Suite("Other namespaces", .timeLimit(.minutes(15)))
struct OtherNamespacesTests {
    private static let substrate = Fixture.path("other-namespaces/substrate.io")
    private static let solana = Fixture.path("other-namespaces/solana.io")
    private static let starknet = Fixture.path("other-namespaces/starknet.io")

    private static func json(_ name: String) throws -> JSONValue {
        try JSONValue(parsing: String(contentsOfFile: Fixture.path("other-namespaces/" + name), encoding: .utf8))
    }

    // MARK: Substrate

    @Test(
        "Edge case 33: Substrate's heads, whose notifications have another name, over WebSocket and IPC",
        arguments: [false, true]
    )
    func substrateHeads(overIPC: Bool) async throws {
        try await withReplay(of: Self.substrate, on: overIPC ? .ipc() : .webSocket()) { web3, node in
            var heads: [SubstrateHeader] = []
            for try await head in web3.notifications(.substrateHeads()) { heads.append(head) }
            #expect(heads.map(\.number) == [0x9b28c9, 0x9a2823])
            let first = try Self.json("substrate/vara-chain_newHead-1.json")["params"]?["result"]
            #expect(heads.first?.digest == first?["digest"])
            #expect(heads.first.map { "\($0.parentHash)" } == first?["parentHash"]?.stringValue)
            #expect(heads.first.map { "\($0.stateRoot)" } == first?["stateRoot"]?.stringValue)
            #expect(heads.first.map { "\($0.extrinsicsRoot)" } == first?["extrinsicsRoot"]?.stringValue)
            #expect(await node.problems.isEmpty)
        }
    }

    @Test("Edge case 33: numeric subscription ids, and the old form of a digest")
    func substrateNumericIDs() async throws {
        try await withReplay(of: Self.substrate) { web3, _ in
            var heads: [SubstrateHeader] = []
            for try await batch in web3.notifications(.substrateHeads(.finalized)).batches(upTo: 8) { heads += batch }
            #expect(heads.map(\.number) == [0xb66, 0x193046])
            #expect(heads.first?.digest["logs"]?[0]?["Seal"]?[0] == 256804359)
        }
    }

    @Test("Edge case 33: an extrinsic's way, on the subscription that its submission makes")
    func substrateExtrinsic() async throws {
        try await withReplay(of: Self.substrate) { web3, _ in
            let extrinsic = try Bytes("0x280403000b1fe3b4a48701")
            var statuses: [SubstrateExtrinsicStatus] = []
            for try await status in web3.notifications(.substrateSubmitAndWatch(extrinsic)) { statuses.append(status) }
            let hash = try Hash32("0xc465b92a72b1d20918d64cd4effa70c2bb58b53a3f8c24c3ac8fd8f465f059b4")
            let peer = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"
            #expect(statuses == [.ready, .broadcast([peer]), .finalized(hash)])
        }
    }

    private struct Hello: SubscriptionRequest {
        typealias Notification = String
        var subscribeMethod: String { "subscribe_hello" }
    }

    private struct Mine: SubscriptionRequest {
        typealias Notification = Int
        var subscribeMethod: String { "my_subscribe" }
    }

    @Test("Edge case 34: the server's error on one subscription ends that one; its item comes first, others go on")
    func closedByServer() async throws {
        // Simulated, so that on a slow machine too the node waits for both.
        try await SimulatedLoop.run(seed: 34) { loop in
            let transcript = try Transcript(contentsOf: Self.substrate)
            let node = try await TestNode(replaying: transcript, loop: loop)
            let web3 = try await Web3.connect(to: node.endpoint, configuration: loop.configuration)
            let hello = try await web3.subscribe(Hello())
            let mine = try await web3.subscribe(Mine())
            var greetings = hello.makeAsyncIterator()
            #expect(try await greetings.next() == "hello my friend")
            var items: [Int] = []
            let error = await failure { for try await item in mine { items.append(item) } }
            #expect(items == [1])
            #expect(error?.code == .subscriptionEnded)
            #expect(await web3.metrics.subscriptions == 1)
            await web3.close()
            #expect(try await greetings.next() == nil)
            await node.close()
        }
    }

    // MARK: Solana

    @Test("Edge case 29: two equal requests get one numeric id; both streams get all, the last one's end is told once")
    func solanaLogs() async throws {
        let logs = try Self.json("solana/solders-03-logsNotification.json")["params"]?["result"]
        // Simulated, so that on a slow machine too the node waits for both.
        try await SimulatedLoop.run(seed: 29) { loop in
            let node = try await TestNode(replaying: Transcript(contentsOf: Self.solana), loop: loop)
            let web3 = try await Web3.connect(to: node.endpoint, configuration: loop.configuration)
            let one = try await web3.subscribe(.solanaLogs())
            let two = try await web3.subscribe(.solanaLogs())
            var first = one.makeAsyncIterator()
            var second = two.makeAsyncIterator()
            // The two may come before the second has subscribed: then it begins behind them, as on a node.
            for _ in 0..<2 {
                let item = try await first.next()
                #expect(item?.slot == 5_208_469 && item?.error == nil)
                #expect(item?.signature == logs?["value"]?["signature"]?.stringValue)
                #expect(item?.logs == ["BPF program 83astBRguLMdt2h5U1Tpdq5tjFoJ6noeGwaY3mDLVcri success"])
            }
            await one.unsubscribe()
            #expect(try await first.next() == nil)
            #expect(await web3.metrics.subscriptions == 1)
            await two.unsubscribe()
            while try await second.next() != nil {}
            #expect(await web3.metrics.subscriptions == 0)
            await web3.close()
            await node.close()
            #expect(await node.problems.isEmpty)
        }
    }

    @Test(
        "Edge case 29: server ref-counts or not, equal requests end with as many unsubscribe requests as it needs",
        arguments: [false, true]
    )
    func refCounting(counts: Bool) async throws {
        let held = Recorder<Int>()
        let script: ScriptedServer.Script = { client, message in
            guard let call = message.calls.first else { return }
            if call.method == "logsSubscribe" {
                held.append(1)
                client.answer(call, "24040")
            } else {
                for _ in 0..<(counts ? 1 : held.all.reduce(0, +)) { held.append(-1) }
                client.answer(call, "true")
            }
            if held.all.reduce(0, +) > 0 { client.send(Self.logs) }
        }
        try await Stage.simulated.run(script: script) { web3, server in
            let one = try await web3.subscribe(
                .solanaLogs(.mentions("11111111111111111111111111111111"), commitment: .confirmed)
            )
            #expect(
                await server.log.calls.last?.params
                    == [["mentions": ["11111111111111111111111111111111"]], ["commitment": "confirmed"]]
            )
            let two = try await web3.subscribe(
                .solanaLogs(.mentions("11111111111111111111111111111111"), commitment: .confirmed)
            )
            await one.unsubscribe()
            #expect(await server.log.count(of: "logsUnsubscribe") == 0)
            var iterator = two.makeAsyncIterator()
            let item = try await iterator.next()
            #expect(item?.slot == 1 && item?.error?["InstructionError"]?[1] == "X" && item?.logs == [])
            await two.unsubscribe()
            await server.until { $0.count(of: "logsUnsubscribe") == (counts ? 2 : 1) }
            _ = try await web3.request("any", as: Bool.self)
            #expect(held.all.reduce(0, +) == (counts ? -1 : 0), "the request above counts as one more")
            #expect(await server.log.count(of: "logsUnsubscribe") == (counts ? 2 : 1))
        }
    }

    private static let logs =
        #"{"jsonrpc":"2.0","method":"logsNotification","params":{"subscription":24040,"result":"#
        + #"{"context":{"slot":1},"value":{"signature":"s","err":{"InstructionError":[0,"X"]},"logs":null}}}}"#

    private struct Slot: Decodable, Hashable, Sendable {
        var slot: UInt64
        var parent: UInt64
        var root: UInt64
    }

    private struct SlotsRequest: SubscriptionRequest {
        typealias Notification = Slot
        var dialect: SubscriptionDialect { .solana }
        var subscribeMethod: String { "slotSubscribe" }
    }

    private struct RootsRequest: SubscriptionRequest {
        typealias Notification = UInt64
        var dialect: SubscriptionDialect { .solana }
        var subscribeMethod: String { "rootSubscribe" }
    }

    private struct AccountRequest: SubscriptionRequest {
        typealias Notification = JSONValue
        var dialect: SubscriptionDialect { .solana }
        var subscribeMethod: String { "accountSubscribe" }
        var parameters: [any Encodable & Sendable] { ["11111111111111111111111111111111"] }
    }

    @Test("Edge case 33: kinds of one's own in Solana's dialect, with the id 0 among theirs")
    func solanaKinds() async throws {
        // Simulated, so that on a slow machine too the node waits for both.
        try await SimulatedLoop.run(seed: 33) { loop in
            try await withReplay(of: Self.solana, configuration: loop.configuration) { web3, _ in
                async let slots = web3.notifications(SlotsRequest()).reduce(into: [Slot]()) { $0.append($1) }
                async let roots = web3.notifications(RootsRequest()).reduce(into: [UInt64]()) { $0.append($1) }
                async let accounts = web3.notifications(AccountRequest()).reduce(into: [JSONValue]()) { $0.append($1) }
                let all = try await (slots: slots, roots: roots, accounts: accounts)
                #expect(all.slots == [Slot(slot: 76, parent: 75, root: 44)] && all.roots == [4])
                #expect(all.accounts.first?["value"]?["lamports"] == 41_083_620)
            }
        }
    }

    // MARK: Starknet

    @Test(
        "Edge case 33: Starknet's heads and a reorganisation told on the same subscription, under another method",
        arguments: [false, true]
    )
    func starknet(overIPC: Bool) async throws {
        try await withReplay(of: Self.starknet, on: overIPC ? .ipc() : .webSocket()) { web3, node in
            var told: [String] = []
            for try await update in web3.notifications(.starknetHeads(from: .number(0))) {
                switch update {
                case .head(let head):
                    told.append("\(head.number) \(head.hash == 0x2a) \(head.parentHash == 0x2a)")
                    #expect(head.otherFields["starknet_version"] == "0.14.3")
                case .reorg(let reorg):
                    told.append("\(reorg.startingNumber) to \(reorg.endingNumber)")
                    #expect(reorg.startingHash == 0x2a && reorg.endingHash == 0x2b)
                }
            }
            #expect(
                told == [
                    "11834642 false false", "11834643 true false", "11834644 false true", "11834643 to 11834644",
                    "11834643 false false",
                ]
            )
            #expect(await node.problems.isEmpty)
        }
    }

    @Test("Edge case 33: parameters by name reach the node, of subscribing and of unsubscribing")
    func starknetNames() async throws {
        let script: ScriptedServer.Script = { client, message in
            guard let call = message.calls.first else { return }
            client.answer(call, call.method == "starknet_subscribeNewHeads" ? "\"7\"" : "true")
        }
        try await Stage.simulated.run(script: script) { web3, server in
            let heads = try await web3.subscribe(.starknetHeads(from: .latest))
            await heads.unsubscribe()
            var parameters: NamedParameters = ["b": 1, "a": "x", "c": true]
            parameters["c"] = nil
            #expect(try await web3.request("m", named: parameters, as: Bool.self))
            let texts = await server.log.messages.map(\.text)
            #expect(texts[0].hasSuffix(#""method":"starknet_subscribeNewHeads","params":{"block_id":"latest"}}"#))
            #expect(texts[1].hasSuffix(#""method":"starknet_unsubscribe","params":{"subscription_id":"7"}}"#))
            #expect(texts[2].hasSuffix(#""method":"m","params":{"b":1,"a":"x"}}"#))
        }
    }

    @Test("Edge case 33: a notification by its method reads from JSON too, and an error in it is one item's")
    func byMethod() throws {
        let lines = try String(contentsOfFile: Self.starknet, encoding: .utf8).split(separator: "\n")
        let updates = try lines.filter { $0.contains("starknet_subscription") && $0.hasPrefix("<< ") }
            .map { try JSONDecoder().decode(StarknetHeadUpdate.self, from: Data($0.dropFirst(3).utf8)) }
        #expect(updates.count == 5)
        guard case .reorg = updates[3] else { return #expect(Bool(false), "the fourth is the reorganisation") }
        #expect(throws: (any Error).self) {
            try JSONDecoder().decode(StarknetHeadUpdate.self, from: Data(#"{"method":"x","params":{}}"#.utf8))
        }
    }

    // MARK: Dialects

    @Test("Edge case 33: a method's opposite by its dialect, for every kind that a collection of specifications names")
    func opposites() throws {
        for name in ["eth", "klaytn", "polkadot", "solana"] {
            let methods = try Self.json("methods/\(name)-websocket.json")["methods"]?.arrayValue ?? []
            #expect(!methods.isEmpty)
            for method in methods {
                let subscribe = method["name"]?.stringValue ?? ""
                let dialect = SubscriptionDialect(ofMethod: subscribe)
                let wanted = method["settings"]?["subscription"]?["unsubscribe-method"]?.stringValue
                if let wanted { #expect(dialect.unsubscribeMethod(for: subscribe) == wanted) }
            }
        }
        #expect(
            SubscriptionDialect(ofMethod: "klay_subscribe").unsubscribeMethod(for: "klay_subscribe")
                == "klay_unsubscribe"
        )
        #expect(SubscriptionDialect(ofMethod: "starknet_subscribeEvents") == .starknet)
        #expect(
            SubscriptionDialect.starknet.unsubscribeMethod(for: "starknet_subscribeEvents") == "starknet_unsubscribe"
        )
        #expect(SubscriptionDialect.substrate.unsubscribeMethod(for: "chainHead_v1_follow") == "chainHead_v1_unfollow")
    }
}
