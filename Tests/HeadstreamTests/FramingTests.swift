import EthereumTypes
import Headstream
import HeadstreamJSON
import HeadstreamRPC
import HeadstreamWebSocket
import Testing

/// Messages in every shape a wire brings them in (edge cases, part A).
@Suite("Framing and parsing", .timeLimit(.minutes(15)))
struct FramingTests {
    /// The items of a subscription to numbers that the script sends behind its answer, until `count` have come.
    private func numbers(
        _ stage: Stage,
        count: Int,
        configure: @escaping @Sendable (inout Configuration) -> Void = { _ in },
        sends: @escaping @Sendable (ScriptedClient) -> Void
    ) async throws {
        let script: ScriptedServer.Script = { client, message in
            client.answerAsUsual(message)
            if message.calls.first?.method == "eth_subscribe" { sends(client) }
        }
        try await stage.run(configure: configure, script: script) { web3, _ in
            var items: [Int] = []
            for try await item in web3.notifications(NumbersRequest()) {
                items.append(item)
                if items.count == count { break }
            }
            #expect(items == Array(1...count))
            #expect(try await web3.eth.chainID() == 1)
        }
    }

    private static func texts(_ range: ClosedRange<Int>) -> [String] {
        range.map { ScriptedClient.notification("0x1", "\($0)") }
    }

    @Test(
        "Edge case 1: several messages in one frame, one chunk and one line are all delivered",
        arguments: Stage.allCases
    )
    func severalMessages(stage: Stage) async throws {
        try await self.numbers(stage, count: 12) { client in
            client.send(Self.texts(1...3).joined())
            client.send(Self.texts(4...6).joined(separator: "\n"))
            client.send("[" + Self.texts(7...9).joined(separator: ",") + "]")
            for text in Self.texts(10...12) { client.send(text) }
        }
    }

    @Test("Messages in fragments, with a ping between them, and byte by byte", arguments: Stage.webSockets)
    func fragments(stage: Stage) async throws {
        try await self.numbers(stage, count: 4) { client in
            let texts = Self.texts(1...4).map { Array($0.utf8) }
            client.raw(ScriptedClient.frame(.text, Array(texts[0][..<20]), isFinal: false))
            client.raw(ScriptedClient.frame(.ping, [1, 2, 3]))
            client.raw(ScriptedClient.frame(.continuation, [], isFinal: false))
            client.raw(ScriptedClient.frame(.continuation, Array(texts[0][20...])))
            client.raw(ScriptedClient.frame(.text, [texts[1][0]], isFinal: false))
            for byte in texts[1].dropFirst().dropLast() {
                client.raw(ScriptedClient.frame(.continuation, [byte], isFinal: false))
            }
            client.raw(ScriptedClient.frame(.continuation, [texts[1].last ?? 0]))
            client.raw(ScriptedClient.frame(.text, texts[2]) + ScriptedClient.frame(.text, texts[3]))
        }
    }

    @Test("Edge case 5: empty and blank messages are nothing", arguments: Stage.allCases)
    func emptyMessages(stage: Stage) async throws {
        try await self.numbers(stage, count: 2) { client in
            for text in ["", " ", "\r\n", "\t \n"] { client.send(text) }
            client.send(Self.texts(1...1)[0])
            client.send("")
            client.send(" " + Self.texts(2...2)[0] + " \n")
        }
    }

    @Test("Edge case 6: JSON in binary frames is read like text", arguments: Stage.webSockets)
    func binaryFrames(stage: Stage) async throws {
        try await self.numbers(stage, count: 2) { client in
            client.raw(ScriptedClient.frame(.binary, Array(Self.texts(1...1)[0].utf8)))
            client.raw(ScriptedClient.frame(.text, Array(Self.texts(2...2)[0].utf8)))
        }
    }

    @Test(
        "Edge case 7: a message over the limit ends the connection with an error that names both",
        arguments: Stage.allCases
    )
    func messageOverLimit(stage: Stage) async throws {
        let script: ScriptedServer.Script = { client, message in
            guard message.calls.first?.method == "large" else { return client.answerAsUsual(message) }
            client.answer(message.calls[0], "\"" + String(repeating: "a", count: 70_000) + "\"")
        }
        try await stage.run(configure: { $0.maxMessageSize = 65_536 }, script: script) { web3, _ in
            let stream = try await web3.subscribe(NumbersRequest())
            let error = await #expect(throws: Web3Error.self) {
                _ = try await web3.request("large", as: JSONValue.self)
            }
            #expect(error?.code == .protocolViolation)
            #expect(error?.message.contains("maxMessageSize") == true, "\(error?.message ?? "")")
            #expect(error?.message.contains("65") == true)
            let ended = await #expect(throws: Web3Error.self) { for try await _ in stream {} }
            #expect(ended?.code == .protocolViolation)
        }
    }

    @Test("Edge case 8: a malformed message is counted and skipped; the connection goes on", arguments: Stage.allCases)
    func malformedMessages(stage: Stage) async throws {
        let reported = Recorder<String>()
        let script: ScriptedServer.Script = { client, message in
            client.answerAsUsual(message)
            guard message.calls.first?.method == "eth_subscribe" else { return }
            client.send(#"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":}}"#)
            client.send(#"{"id":[1],"result":{}}"#)
            client.send("[1,2]")
            client.notify("0x1", "1")
        }
        try await stage.run(configure: { $0.diagnostics = { reported.append($0.message) } }, script: script) {
            web3,
            _ in
            for try await item in web3.notifications(NumbersRequest()) {
                #expect(item == 1)
                break
            }
            #expect(try await web3.eth.chainID() == 1)
            #expect(await web3.metrics.malformedMessages >= 2)
        }
        #expect(reported.all.contains("malformed message"))
    }

    @Test("Edge case 9: errors without an id, with null and with -1 disturb nobody", arguments: Stage.allCases)
    func errorsWithoutID(stage: Stage) async throws {
        try await self.numbers(stage, count: 1) { client in
            client.send(#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Subscription timed out"}}"#)
            client.send(#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"x"}}"#)
            client.send(#"{"jsonrpc":"2.0","id":-1,"error":{"code":-32000,"message":"x"}}"#)
            client.send(Self.texts(1...1)[0])
        }
    }

    @Test("Edge case 10: keys in any order, doubled and unknown, and no jsonrpc", arguments: Stage.allCases)
    func keyOrder(stage: Stage) async throws {
        let script: ScriptedServer.Script = { client, message in
            guard let call = message.calls.first else { return }
            switch call.method {
            case "eth_subscribe":
                client.send(#"{"result":"0x1","extra":{"id":7},"id":\#(call.id)}"#)
                client.send(#"{"params":{"result":1,"subscription":"0x1"},"method":"eth_subscription"}"#)
                client.send(#"{"params":{"x":[],"subscription":"0x1","result":2,"y":1},"method":"eth_subscription"}"#)
                client.send(
                    #"{"method":"eth_subscription","params":{"result":3,"subscription":"0x1"},"jsonrpc":"2.0"}"#
                )
            default: client.answerAsUsual(message)
            }
        }
        try await stage.run(script: script) { web3, _ in
            var items: [Int] = []
            for try await item in web3.notifications(NumbersRequest()) {
                items.append(item)
                if items.count == 3 { break }
            }
            #expect(items == [1, 2, 3])
        }
    }

    @Test(
        "Edge cases 11, 93: ids echoed as strings; subscription ids as numbers above 2^63 and of odd shape",
        arguments: [
            "12153704810663065403", "\"0x1d\"", "\"0xABCDEFabcdef0123\"", "\"12153704810663065403\"", "0",
            "\"0x9cef478923ff08bf67fde6c64013158d\"", "\"sub/ü\\u0041\"",
        ]
    )
    func oddIDs(token: String) async throws {
        let script: ScriptedServer.Script = { client, message in
            guard let call = message.calls.first else { return }
            switch call.method {
            case "eth_subscribe":
                client.answer(call, token)
                client.send(#"{"jsonrpc":"2.0","method":"x","params":{"subscription":\#(token),"result":1}}"#)
            case "eth_chainId": client.send(#"{"jsonrpc":"2.0","id":"\#(call.id)","result":"0x5"}"#)
            default: client.answerAsUsual(message)
            }
        }
        try await Stage.simulated.run(script: script) { web3, server in
            #expect(try await web3.eth.chainID() == 5)
            for try await item in web3.notifications(NumbersRequest()) {
                #expect(item == 1)
                break
            }
            await server.until { $0.count(of: "eth_unsubscribe") == 1 }
            // The token goes back as it came.
            let text = await server.log.messages.last?.text ?? ""
            #expect(text.contains("[\(token)]"), "\(text)")
        }
    }

    @Test(
        "Edge case 12: a notification inside a batch's answer, another order, a missing element, one error for all",
        arguments: Stage.allCases
    )
    func batchAnswers(stage: Stage) async throws {
        let script: ScriptedServer.Script = { client, message in
            guard message.isBatch else { return client.answerAsUsual(message) }
            let answers = message.calls.map { #"{"jsonrpc":"2.0","id":\#($0.id),"result":"\#($0.method)"}"# }
            switch message.calls[0].method {
            case "reversed":
                let all = answers.reversed() + [ScriptedClient.notification("0x1", "1")]
                client.send("[" + all.joined(separator: ",") + "]")
            case "short": client.send("[" + answers[0] + "]")
            default: client.send(#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no batches"}}"#)
            }
        }
        try await stage.run(script: script) { web3, _ in
            let stream = try await web3.subscribe(NumbersRequest())
            for first in ["reversed", "short", "refused"] {
                var batch = BatchRequest()
                for method in [first, "b", "c"] { batch.add(method) }
                let answers = try await web3.batch(batch)
                #expect(answers.count == 3)
                switch first {
                case "reversed":
                    for (index, method) in [first, "b", "c"].enumerated() {
                        #expect(try answers.result(index, as: String.self) == method)
                    }
                case "short":
                    #expect(try answers.result(0, as: String.self) == "short")
                    let error = #expect(throws: Web3Error.self) { try answers.result(2, as: String.self) }
                    #expect(error?.code == .missingFromBatch)
                default:
                    let error = #expect(throws: Web3Error.self) { try answers.result(1, as: String.self) }
                    #expect(error?.rpcCode == -32600)
                    #expect(error?.rpcMessage == "no batches")
                }
            }
            for try await item in stream {
                #expect(item == 1)
                break
            }
        }
    }

    @Test("Edge case 13: a notification without params is passed over", arguments: Stage.allCases)
    func withoutParams(stage: Stage) async throws {
        try await self.numbers(stage, count: 1) { client in
            client.send(#"{"jsonrpc":"2.0","method":"eth_subscription"}"#)
            client.send(#"{"jsonrpc":"2.0","method":"eth_subscription","params":null}"#)
            client.send(#"{"jsonrpc":"2.0","method":"eth_subscription","params":[]}"#)
            client.send(Self.texts(1...1)[0])
        }
    }

    @Test(
        "Edge case 14: an item that cannot be read is reported on its stream, which goes on",
        arguments: Stage.allCases
    )
    func undecodableItem(stage: Stage) async throws {
        let script: ScriptedServer.Script = { client, message in
            client.answerAsUsual(message)
            guard message.calls.first?.method == "eth_subscribe" else { return }
            for result in ["1", "\"two\"", "3"] { client.notify(client.lastSubscription, result) }
        }
        try await stage.run(script: script) { web3, _ in
            var updates: [String] = []
            for try await update in web3.notifications(NumbersRequest()).updates {
                switch update {
                case .item(let item): updates.append("\(item)")
                case .undecodable(let error): updates.append("\(error.code)")
                default: updates.append("?")
                }
                if updates.count == 3 { break }
            }
            #expect(updates == ["1", "malformedResponse", "3"])

            // One of its own, which the end of the one before does not touch.
            var iterator = try await web3.subscribe(NumbersRequest()).makeAsyncIterator()
            #expect(try await iterator.next() == 1)
            do throws(Web3Error) {
                _ = try await iterator.next(isolation: #isolation)
                Issue.record("no error was thrown")
            } catch {
                #expect(error.code == .malformedResponse)
                #expect(error.message.contains("two"), "\(error)")
            }
            #expect(try await iterator.next() == 3)
        }
    }

    @Test("Edge case 15: unknown fields of a header are kept, and absent ones are no error", arguments: Stage.allCases)
    func unknownHeaderFields(stage: Stage) async throws {
        let script: ScriptedServer.Script = { client, message in
            client.answerAsUsual(message)
            guard message.calls.first?.method == "eth_subscribe" else { return }
            client.notify("0x1", Samples.header(7, extra: #","futureField":"0x2a","another":{"a":[1]}"#))
        }
        try await stage.run(script: script) { web3, _ in
            for try await head in web3.eth.newHeads(continuity: .live) {
                #expect(head.number == 7)
                #expect(head.extra?.unknown["futureField"]?.stringValue == "0x2a")
                break
            }
        }
    }
}
