import EthereumTypes
import Headstream
import HeadstreamJSON
import HeadstreamTesting
import Testing

/// Making and losing subscriptions (edge cases, part C and 91 to 97).
@Suite("Subscribing at its edges", .timeLimit(.minutes(15)))
struct SubscribeEdgeTests {
    @Test(
        "Edge case 25: notifications before, with and behind the answer to subscribe are all delivered in order",
        arguments: Stage.allCases
    )
    func aroundTheAnswer(stage: Stage) async throws {
        let script: ScriptedServer.Script = { client, message in
            guard message.calls.first?.method == "eth_subscribe" else { return client.answerAsUsual(message) }
            // Before it, and with it in one write.
            client.notify("0x1", "1")
            client.notify("0x1", "2")
            client.answerAsUsual(message)
            client.notify("0x1", "3")
        }
        try await stage.run(script: script) { web3, server in
            var items: [Int] = []
            for try await item in web3.notifications(NumbersRequest()) {
                items.append(item)
                if items.count == 3 { await server.act { $0.notify("0x1", "4") } }
                if items.count == 4 { break }
            }
            #expect(items == [1, 2, 3, 4])
        }
    }

    @Test("Edge case 25: a notification a second before the answer is delivered")
    func longBeforeTheAnswer() async throws {
        let script: ScriptedServer.Script = { client, message in
            if message.calls.first?.method == "eth_subscribe" { client.notify("0x1", "1") }
        }
        try await SimulatedLoop.run(seed: 3) { loop in
            let server = try await ScriptedServer(on: loop, script: script)
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: loop.configuration)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for try await item in web3.notifications(NumbersRequest()) {
                        #expect(item == 1)
                        break
                    }
                }
                await server.until { $0.count(of: "eth_subscribe") == 1 }
                try await loop.sleep(for: .seconds(1))
                let call = await server.log.calls[0]
                await server.act { $0.answer(call, "\"0x1\"") }
                try await group.waitForAll()
            }
            await web3.close()
            await server.close()
        }
    }

    @Test("Edge case 26: a subscribe request times out; its late answer is unsubscribed", arguments: Stage.allCases)
    func lateAnswer(stage: Stage) async throws {
        let isReal = stage != .simulated
        let script: ScriptedServer.Script = { client, message in
            if message.calls.first?.method == "eth_unsubscribe" { client.answerAsUsual(message) }
        }
        try await stage.run(configure: { if isReal { $0.requestTimeout = .milliseconds(50) } }, script: script) {
            web3,
            server in
            let error = await #expect(throws: Web3Error.self) { _ = try await web3.subscribe(NumbersRequest()) }
            #expect(error?.code == .timedOut)
            await server.until { $0.count(of: "eth_subscribe") == 1 }
            let call = await server.log.calls[0]
            await server.act { $0.answer(call, "\"0xdead\"") }
            await server.until { $0.count(of: "eth_unsubscribe") == 1 }
            #expect(await server.log.calls.last?.params == ["0xdead"])
            #expect(await web3.metrics.subscriptions == 0)
        }
    }

    @Test("Edge case 27: cancelled between the subscribe request and its answer", arguments: Stage.allCases)
    func cancelledBeforeAnswer(stage: Stage) async throws {
        let script: ScriptedServer.Script = { client, message in
            if message.calls.first?.method == "eth_unsubscribe" { client.answerAsUsual(message) }
        }
        try await stage.run(script: script) { web3, server in
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    do {
                        for try await _ in web3.notifications(NumbersRequest()) { Issue.record("an item") }
                    } catch {
                        Issue.record("a cancelled iterator threw \(error)")
                    }
                }
                await server.until { $0.count(of: "eth_subscribe") == 1 }
                group.cancelAll()
            }
            let call = await server.log.calls[0]
            await server.act { $0.answer(call, "\"0xbeef\"") }
            await server.until { $0.count(of: "eth_unsubscribe") == 1 }
            #expect(await server.log.calls.last?.params == ["0xbeef"])
        }
    }

    @Test(
        "Edge case 28: two equal subscriptions both get events, and one survives the other",
        arguments: Stage.allCases
    )
    func twoEqual(stage: Stage) async throws {
        try await stage.run { web3, server in
            let first = try await web3.subscribe(NumbersRequest())
            let second = try await web3.subscribe(NumbersRequest())
            await server.act { client in
                client.notify("0x1", "1")
                client.notify("0x2", "2")
            }
            for try await item in first {
                #expect(item == 1)
                break
            }
            await server.until { $0.count(of: "eth_unsubscribe") == 1 }
            #expect(await server.log.calls.last?.params == ["0x1"])
            await server.act { $0.notify("0x2", "3") }
            var items: [Int] = []
            for try await item in second {
                items.append(item)
                if items.count == 2 { break }
            }
            #expect(items == [2, 3])
        }
    }

    @Test(
        "Edge case 29: one server id for two subscriptions feeds both, and is unsubscribed with the last",
        arguments: Stage.allCases
    )
    func sharedServerID(stage: Stage) async throws {
        let script: ScriptedServer.Script = { client, message in
            guard let call = message.calls.first else { return }
            if call.method == "eth_subscribe" { client.answer(call, "7") } else { client.answerAsUsual(message) }
        }
        try await stage.run(script: script) { web3, server in
            let first = try await web3.subscribe(NumbersRequest())
            let second = try await web3.subscribe(NumbersRequest())
            let notification = #"{"method":"x","params":{"subscription":7,"result":1}}"#
            await server.act { $0.send(notification) }
            for try await item in first {
                #expect(item == 1)
                break
            }
            #expect(try await web3.eth.chainID() == 1)
            #expect(await server.log.count(of: "eth_unsubscribe") == 0)
            await server.act { $0.send(notification) }
            var count = 0
            for try await _ in second {
                count += 1
                if count == 2 { break }
            }
            await server.until { $0.count(of: "eth_unsubscribe") == 1 }
            #expect(await server.log.calls.last?.params == [7])
        }
    }

    @Test("Edge case 31: the 101st subscription is refused, and the hundred before it live", arguments: Stage.allCases)
    func subscriptionLimit(stage: Stage) async throws {
        let script: ScriptedServer.Script = { client, message in
            if client.lastSubscription == "0x64", let call = message.calls.first, call.method == "eth_subscribe" {
                client.fail(call, -32000, "too many subscriptions")
            } else {
                client.answerAsUsual(message)
            }
        }
        try await stage.run(script: script) { web3, server in
            var streams: [Subscription<Int>] = []
            for _ in 0..<100 { streams.append(try await web3.subscribe(NumbersRequest())) }
            let error = await #expect(throws: Web3Error.self) { _ = try await web3.subscribe(NumbersRequest()) }
            #expect(error?.rpcMessage == "too many subscriptions")
            #expect(await web3.metrics.subscriptions == 100)
            await server.act { client in for id in 1...100 { client.notify("0x" + String(id, radix: 16), "\(id)") } }
            for (index, stream) in streams.enumerated() {
                for try await item in stream {
                    #expect(item == index + 1)
                    break
                }
            }
        }
    }

    @Test(
        "Edge case 32: newHeads has no second parameter, a log subscription no block range",
        arguments: Stage.allCases
    )
    func subscribeParameters(stage: Stage) async throws {
        try await stage.run { web3, server in
            _ = try await web3.eth.subscribe(.newHeads)
            let address = try Address("0x00000000000000000000000000000000000000aa")
            var filter = LogFilter(address: address)
            filter.blocks = .range(from: .number(1), to: .latest)
            _ = try await web3.eth.subscribe(.logs(filter))
            let calls = await server.log.calls.filter { $0.method == "eth_subscribe" }
            #expect(calls[0].params == ["newHeads"])
            #expect(calls[1].params.count == 2)
            #expect(calls[1].params[1]["fromBlock"] == nil)
            #expect(calls[1].params[1]["toBlock"] == nil)
            #expect(calls[1].params[1]["address"] != nil)
        }
    }

    @Test(
        "Edge case 33: notifications are routed by id alone, whatever their method, in any namespace",
        arguments: Stage.allCases
    )
    func otherNamespaces(stage: Stage) async throws {
        struct Finalised: SubscriptionRequest {
            struct Notification: Decodable, Sendable, Equatable {
                var slot: Int
                var name: String?
            }
            var subscribeMethod: String { "chain_subscribeFinalizedHeads" }
            var unsubscribeMethod: String { "chain_unsubscribeFinalizedHeads" }
            var parameters: [any Encodable & Sendable] { [["depth": 3]] }
        }
        let script: ScriptedServer.Script = { client, message in
            guard let call = message.calls.first else { return }
            client.answer(call, call.method == "chain_subscribeFinalizedHeads" ? "24" : "true")
            let method = ["chain_finalizedHead", "starknet_subscriptionReorg"]
            for name in method {
                client.send(#"{"jsonrpc":"2.0","method":"\#(name)","params":{"subscription":24,"result":{"slot":5}}}"#)
            }
        }
        try await stage.run(script: script) { web3, server in
            let stream = try await web3.subscribe(Finalised())
            var items: [Finalised.Notification] = []
            for try await item in stream {
                items.append(item)
                if items.count == 2 { break }
            }
            #expect(items == [.init(slot: 5), .init(slot: 5)])
            await server.until { $0.count(of: "chain_unsubscribeFinalizedHeads") == 1 }
            #expect(await server.log.calls.last?.params == [24])
            #expect(await server.log.calls.first?.params == [["depth": 3]])
        }
    }

    @Test("Edge case 34: the node ends one subscription; the others and the connection live", arguments: Stage.allCases)
    func endedByNode(stage: Stage) async throws {
        try await stage.run { web3, server in
            let ended = try await web3.subscribe(NumbersRequest())
            let living = try await web3.subscribe(NumbersRequest())
            await server.act { client in
                client.notify("0x1", "1")
                client.send(
                    #"{"jsonrpc":"2.0","method":"x","params":{"subscription":"0x1","error":{"code":1,"message":"closing"}}}"#
                )
                client.notify("0x2", "2")
            }
            var items: [Int] = []
            let error = await #expect(throws: Web3Error.self) { for try await item in ended { items.append(item) } }
            #expect(items == [1])
            #expect(error?.code == .subscriptionEnded)
            #expect(error?.message.contains("closing") == true)
            for try await item in living {
                #expect(item == 2)
                break
            }
            await server.until { $0.count(of: "eth_unsubscribe") == 1 }
            #expect(await server.log.calls.last?.params == ["0x2"])
        }
    }

    @Test(
        "Edge case 91: heads and logs of one block in either order, each on its own stream",
        arguments: Stage.allCases
    )
    func headsAndLogs(stage: Stage) async throws {
        try await stage.run { web3, server in
            let heads = try await web3.eth.subscribe(.newHeads)
            let logs = try await web3.eth.subscribe(.logs())
            await server.act { client in
                client.notify("0x2", Samples.log(1))
                client.notify("0x1", Samples.header(1))
                client.notify("0x1", Samples.header(2))
                client.notify("0x2", Samples.log(2))
            }
            var numbers: [UInt64] = []
            for try await head in heads {
                numbers.append(head.number)
                if numbers.count == 2 { break }
            }
            var blocks: [UInt64?] = []
            for try await log in logs {
                blocks.append(log.blockNumber)
                if blocks.count == 2 { break }
            }
            #expect(numbers == [1, 2])
            #expect(blocks == [1, 2])
        }
    }

    @Test(
        "Edge case 94: unsubscribing a subscription that the node has forgotten is fine: an error, or false",
        arguments: ["false", "error"]
    )
    func unsubscribedTwice(answer: String) async throws {
        let script: ScriptedServer.Script = { client, message in
            guard let call = message.calls.first, call.method == "eth_unsubscribe" else {
                return client.answerAsUsual(message)
            }
            if answer == "error" {
                client.fail(call, -32000, "subscription not found")
            } else {
                client.answer(call, answer)
            }
        }
        try await Stage.simulated.run(script: script) { web3, server in
            let stream = try await web3.subscribe(NumbersRequest())
            await stream.unsubscribe()
            await stream.unsubscribe()
            #expect(await server.log.count(of: "eth_unsubscribe") == 1)
            for try await _ in stream { Issue.record("an item") }
        }
    }

    @Test(
        "Edge case 95: an unknown kind of subscription is refused where it is asked for",
        arguments: [
            (-32601, #""no \"x\" subscription in eth namespace""#, "null"),
            (-32602, #""unsupported subscription type""#, #"{"method":"eth_subscribe","params":["x"]}"#),
            (-32004, #""Method not supported""#, #""text""#),
        ]
    )
    func unknownKind(code: Int, message text: String, data: String) async throws {
        let script: ScriptedServer.Script = { client, message in
            guard let call = message.calls.first, call.method == "eth_subscribe" else {
                return client.answerAsUsual(message)
            }
            client.send(
                #"{"jsonrpc":"2.0","id":\#(call.id),"error":{"code":\#(code),"message":\#(text),"data":\#(data)}}"#
            )
        }
        try await Stage.simulated.run(script: script) { web3, server in
            let error = await #expect(throws: Web3Error.self) { _ = try await web3.subscribe(NumbersRequest()) }
            #expect(error?.code == .rpcError)
            #expect(error?.rpcCode == Int64(code))
            if data != "null" { #expect(error?.rpcData == (try? JSONValue(parsing: data))) }
            // The cold form throws it at the first item, and then is over.
            var iterator = web3.notifications(NumbersRequest()).makeAsyncIterator()
            await #expect(throws: Web3Error.self) { _ = try await iterator.next() }
            let next = try await iterator.next()
            #expect(next == nil)
            #expect(await web3.metrics.subscriptions == 0)
            #expect(await server.log.count(of: "eth_unsubscribe") == 0)
        }
    }

    @Test(
        "Edge case 97: an error with id null before a close is told as the close's reason",
        arguments: Stage.webSockets
    )
    func reasonOfClose(stage: Stage) async throws {
        try await stage.run { web3, server in
            let stream = try await web3.subscribe(NumbersRequest())
            await server.act { client in
                client.send(#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error: bad thing"}}"#)
                client.close(1000)
            }
            let error = await #expect(throws: Web3Error.self) { for try await _ in stream {} }
            #expect(error?.code == .connectionClosed)
            #expect(error?.closeCode == 1000)
            #expect(error?.message.contains("parse error: bad thing") == true, "\(error?.message ?? "")")
        }
    }
}
