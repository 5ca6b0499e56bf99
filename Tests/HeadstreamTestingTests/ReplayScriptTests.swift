import HeadstreamJSON
import HeadstreamSockets
import HeadstreamTesting
import Testing

/// A client in front of a script, with a clock of its own that moves where the script waits.
struct ReplayClient {
    var script: ReplayScript
    var now = LoopInstant(nanoseconds: 1_000_000_000)
    /// What the node sent by itself.
    var played: [String] = []
    /// How connections ended, and what else stopped the node.
    var events: [ReplayAction] = []

    init(_ transcript: Transcript, options: ReplayOptions = ReplayOptions(), opens: Bool = true) {
        self.script = ReplayScript(transcript, options: options)
        if opens { self.script.opened(now: self.now) }
    }

    init(_ text: String, options: ReplayOptions = ReplayOptions()) throws {
        self.init(try Transcript(parsing: text, name: "test.io"), options: options)
    }

    /// Sends a message and returns the answers.
    mutating func send(_ text: String) -> [String] {
        self.script.received(Array(text.utf8), now: self.now).map { String(decoding: $0, as: UTF8.self) }
    }

    mutating func call(_ method: String, _ params: String = "[]", id: String = "1") -> String {
        self.send(#"{"jsonrpc":"2.0","id":\#(id),"method":"\#(method)","params":\#(params)}"#).joined()
    }

    /// Subscribes and returns the id as JSON.
    mutating func subscribe(_ params: String) throws -> String {
        let answer = self.call("eth_subscribe", params)
        return try #require(try JSONValue(parsing: answer)["result"]).description
    }

    /// Takes what comes until the node waits for the client, or for more time than `limit`.
    mutating func play(atMost limit: Duration = .seconds(86_400), messages: Int = .max) {
        let end = self.now.advanced(by: limit)
        var left = messages
        while left > 0 {
            switch self.script.nextAction(now: self.now) {
            case .send(let message):
                self.played.append(String(decoding: message, as: UTF8.self))
                left -= 1
            case .wait(let until) where until > end: return
            case .wait(let until):
                #expect(until > self.now)
                self.now = max(self.now, until)
            case .idle: return
            case .finished:
                self.events.append(.finished)
                return
            case let action:
                self.events.append(action)
                return
            }
        }
    }

    mutating func reconnect() {
        self.script.closed()
        self.script.opened(now: self.now)
    }
}

@Suite("ReplayScript")
struct ReplayScriptTests {
    private static let heads = """
        // @0.000 open
        >> {"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}
        // @0.004
        << {"jsonrpc":"2.0","id":1,"result":"0xaa"}
        >> {"jsonrpc":"2.0","id":2,"method":"eth_subscribe","params":["logs",{"address":"0xAB"}]}
        << {"jsonrpc":"2.0","id":2,"result":"0xbb"}
        // @1.000
        << {"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0xbb","result":"log 1"}}
        // @2.000
        << {"jsonrpc":"2.0","method":"eth_subscription","params":{"result":"head 1","subscription":"0xaa"}}
        // @3.000
        << {"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0xbb","result":"log 2"}}
        // @4.000
        << {"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0xaa","result":"head 2"}}
        // @5.000 close 1001 going away

        """

    @Test("The recorded client gets what it got, in every recorded session, under strict matching")
    func recordedClient() throws {
        for path in FixturePaths.transcripts {
            let transcript = try Transcript(contentsOf: path)
            try Self.replayAsRecorded(transcript, options: ReplayOptions(isStrict: true), path)
        }
    }

    private static func replayAsRecorded(_ transcript: Transcript, options: ReplayOptions, _ path: String) throws {
        var client = ReplayClient(transcript, options: options, opens: false)
        var expected: [String] = []
        var received: [String] = []
        var ids: [String: String] = [:]
        var isOpen = false
        var ends: [Transcript.Event] = []
        func normal(_ text: String) -> String {
            ids.reduce(text) { $0.replacing($1.key, with: $1.value) }
        }
        for (index, entry) in transcript.entries.enumerated() {
            switch entry.event {
            case .remark: continue
            case .open:
                client.reconnect()
                isOpen = true
            case .fromClient(let message):
                if !isOpen { client.reconnect() }
                isOpen = true
                var text = String(decoding: message, as: UTF8.self)
                if text.contains("nsubscribe") {
                    // The one parameter, by its place or by a name.
                    for (handed, recorded) in ids where !text.contains(handed) {
                        text = text.replacing("[\(recorded)]", with: "[\(handed)]")
                        text = text.replacing(":\(recorded)}}", with: ":\(handed)}}")
                    }
                }
                let answers = client.send(text)
                received += answers
                // Which id stands for which: the answer's result beside the recorded answer's.
                if text.contains("ubscribe") || text.contains("submitAndWatch"), !text.contains("nsubscribe"),
                    answers.count == 1,
                    let next = transcript.entries[(index + 1)...]
                        .lazy.compactMap({ $0.event.answer(to: text) }).first
                {
                    for (handed, recorded) in zip(Self.results(answers[0]), Self.results(next)) {
                        ids[handed] = recorded
                    }
                }
            case .fromNode(let message):
                expected.append(String(decoding: message, as: UTF8.self))
            case .close, .drop, .error:
                client.play()
                received += client.played
                client.played = []
                ends.append(entry.event)
                isOpen = false
            }
            if isOpen {
                client.play(atMost: .milliseconds(1))
                received += client.played
                client.played = []
            }
        }
        client.play()
        received += client.played
        #expect(client.events.last == .finished, "\(path)")
        let played = client.events.filter { $0 != .finished }
        #expect(played.count == ends.count && zip(played, ends).allSatisfy { $0.matches($1) }, "\(path): \(played)")
        #expect(received.map(normal).sorted() == expected.sorted(), "\(path)")
        #expect(
            received.map(normal).filter { $0.contains("eth_subscription") }
                == expected.filter { $0.contains("eth_subscription") },
            "\(path)"
        )
        #expect(client.script.problems == [], "\(path)")
    }

    /// The results that may be subscription ids, as JSON.
    private static func results(_ text: String) -> [String] {
        guard let value = try? JSONValue(parsing: text) else { return [] }
        return (value.arrayValue ?? [value]).compactMap { $0["result"] }
            .filter { $0.stringValue != nil || $0.intValue != nil }.map(\.description)
    }

    @Test("A client that subscribes to newHeads only gets every head of every recorded session, and its own id")
    func headsOnly() throws {
        for path in FixturePaths.transcripts where path.contains("/sessions/") && !path.contains("errors") {
            let transcript = try Transcript(contentsOf: path)
            var client = ReplayClient(transcript)
            var ids: [String] = []
            repeat {
                ids.append(try client.subscribe(#"["newHeads"]"#))
                client.play()
                client.reconnect()
            } while client.events.last != .finished && ids.count < 10
            let recorded = transcript.entries.count { entry in
                guard case .fromNode(let bytes) = entry.event else { return false }
                let text = String(decoding: bytes, as: UTF8.self)
                return text.contains("eth_subscription") && text.contains("parentHash")
            }
            #expect(client.played.count >= recorded, "\(path)")
            #expect(client.played.filter { $0.contains("parentHash") }.count == recorded, "\(path)")
            #expect(client.played.allSatisfy { text in ids.contains { text.contains($0) } }, "\(path)")
            #expect(Set(ids).count == ids.count, "a new id for each subscription")
        }
    }

    @Test("Notifications keep their bytes but for the subscription's id, and their recorded order")
    func order() throws {
        var client = try ReplayClient(Self.heads)
        client.play()
        #expect(client.played == [], "nothing before the client subscribes")
        let heads = try client.subscribe(#"["newHeads"]"#)
        let logs = try client.subscribe(#"["logs",{"address":"0xab"}]"#)
        client.play()
        #expect(
            client.played == [
                #"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":\#(logs),"result":"log 1"}}"#,
                #"{"jsonrpc":"2.0","method":"eth_subscription","params":{"result":"head 1","subscription":\#(heads)}}"#,
                #"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":\#(logs),"result":"log 2"}}"#,
                #"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":\#(heads),"result":"head 2"}}"#,
            ]
        )
        #expect(client.events == [.close(code: 1001, reason: "going away")])
        client.play()
        #expect(client.events.last == .finished)
    }

    @Test("What the client has not subscribed to is held while it may still come, then skipped")
    func settling() throws {
        var client = try ReplayClient(Self.heads, options: ReplayOptions(settleTime: .milliseconds(50)))
        _ = try client.subscribe(#"["newHeads"]"#)
        client.play(atMost: .milliseconds(49))
        #expect(client.played == [])
        client.now = client.now.advanced(by: .milliseconds(49))
        _ = try client.subscribe(#"["logs",{"address":"0xab"}]"#)
        client.play(atMost: .zero)
        #expect(client.played.count == 4)

        client = try ReplayClient(Self.heads)
        _ = try client.subscribe(#"["newHeads"]"#)
        client.play(messages: 1)
        #expect(client.played.count == 1)
        #expect(client.played[0].contains("head 1"))
        // The client subscribes after all: from here on it gets what follows.
        _ = try client.subscribe(#"["logs",{"address":"0xab"}]"#)
        client.play()
        #expect(client.played.count == 3)
        #expect(client.played[1].contains("log 2"))
    }

    @Test("Where latest was asked for before the first head, a client has time to ask for it, as gapless streams do")
    func latestBeforeHeads() throws {
        let text = #"""
            >> {"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}
            << {"jsonrpc":"2.0","id":1,"result":"0x7"}
            >> {"jsonrpc":"2.0","id":2,"method":"eth_getBlockByNumber","params":["latest",false]}
            << {"jsonrpc":"2.0","id":2,"result":null}
            << {"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x7","result":"head 1"}}
            << {"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x7","result":"head 2"}}
            """#
        let options = ReplayOptions(settleTime: .milliseconds(50))
        var client = try ReplayClient(text, options: options)
        _ = try client.subscribe(#"["newHeads"]"#)
        client.play(atMost: .milliseconds(49))
        #expect(client.played == [])
        client.now = client.now.advanced(by: .milliseconds(49))
        _ = client.call("eth_getBlockByNumber", #"["latest",false]"#)
        client.play(atMost: .zero)
        #expect(client.played.count == 2)

        // One that does not ask for it waits once, whatever else it asks.
        client = try ReplayClient(text, options: options)
        _ = try client.subscribe(#"["newHeads"]"#)
        client.play(atMost: .milliseconds(50), messages: 1)
        #expect(client.played.count == 1)
        _ = client.call("eth_blockNumber")
        client.play(atMost: .zero)
        #expect(client.played.count == 2)
    }

    @Test("Unsubscribing is answered true, once, and ends the notifications")
    func unsubscribing() throws {
        var client = try ReplayClient(Self.heads)
        let heads = try client.subscribe(#"["newHeads"]"#)
        let logs = try client.subscribe(#"["logs",{"address":"0xab"}]"#)
        client.play(messages: 2)
        #expect(client.call("eth_unsubscribe", "[\(heads)]", id: "7") == #"{"jsonrpc":"2.0","id":7,"result":true}"#)
        #expect(client.call("eth_unsubscribe", "[\(heads)]").contains("subscription not found"))
        #expect(client.call("eth_unsubscribe", #"["0xdead"]"#).contains("error"))
        client.play()
        #expect(client.played.count == 3)
        #expect(client.played[2].contains(logs))
        #expect(client.script.activeSubscriptions == 0)
    }

    @Test("Two subscriptions with equal parameters are both served, also where one was recorded")
    func equalSubscriptions() throws {
        var client = try ReplayClient(Self.heads)
        let first = try client.subscribe(#"["newHeads"]"#)
        let second = try client.subscribe(#"["newHeads"]"#)
        #expect(first != second)
        client.play()
        #expect(client.played.filter { $0.contains("head 1") }.count == 2)
        #expect(client.played.filter { $0.contains(second) }.count == 2)
    }

    @Test("Recorded times are kept, or divided; what waited for the client is due when it may go")
    func speed() throws {
        for (speed, unit) in [(ReplaySpeed.recorded, 1000), (.times(10), 100), (.times(0.5), 2000)] {
            var client = try ReplayClient(Self.heads, options: ReplayOptions(speed: speed))
            let start = client.now
            _ = try client.subscribe(#"["newHeads"]"#)
            _ = try client.subscribe(#"["logs",{"address":"0xab"}]"#)
            for second in 1...4 {
                client.play(messages: 1)
                #expect(client.now.since(start) == .milliseconds(second * unit))
            }
            client.play()
            #expect(client.now.since(start) == .milliseconds(5 * unit))
        }
        var late = try ReplayClient(Self.heads, options: ReplayOptions(speed: .recorded))
        late.play()
        late.now = late.now.advanced(by: .seconds(60))
        _ = try late.subscribe(#"["newHeads"]"#)
        _ = try late.subscribe(#"["logs",{"address":"0xab"}]"#)
        let start = late.now
        late.play(messages: 3)
        #expect(late.now.since(start) == .seconds(2), "one second each after the first, which was due at once")
        for speed in [ReplaySpeed.times(0), .times(-1), .times(.nan), .times(.infinity), .max] {
            var client = try ReplayClient(Self.heads, options: ReplayOptions(speed: speed))
            _ = try client.subscribe(#"["newHeads"]"#)
            _ = try client.subscribe(#"["logs",{"address":"0xab"}]"#)
            client.play(atMost: .zero)
            #expect(client.played.count == 4)
        }
    }

    @Test("Requests match whatever the order of keys, the case of hex, arrays of one element, and nulls")
    func canonical() throws {
        let recorded = #"[{"fromBlock":"0x1","address":["0xAB"],"topics":[["0xcd"],null,"0xef"]},"latest"]"#
        let text = """
            >> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":\(recorded)}
            << {"jsonrpc":"2.0","id":1,"result":["found"]}
            >> {"jsonrpc":"2.0","id":2,"method":"eth_chainId"}
            << {"jsonrpc":"2.0","id":2,"result":"0x1"}
            """
        let found = #"{"jsonrpc":"2.0","id":9,"result":["found"]}"#
        for params in [
            recorded,
            #"[{"topics":["0xCD",null,["0xEF"]],"address":"0xab","fromBlock":"0x1"},"latest"]"#,
            #"[{"topics":["0xcd",null,"0xef",null],"toBlock":null,"address":"0xab","fromBlock":"0X1"},"latest",null]"#,
        ] {
            var client = try ReplayClient(text)
            #expect(client.call("eth_getLogs", params, id: "9") == found)
        }
        for params in [
            #"[{"fromBlock":"0x2","address":["0xAB"],"topics":[["0xcd"],null,"0xef"]},"latest"]"#,
            #"[{"fromBlock":"0x1","address":["0xAB"],"topics":[["0xcd"],"0xef"]},"latest"]"#, "[]",
        ] {
            var client = try ReplayClient(text)
            #expect(client.call("eth_getLogs", params).contains("error"))
        }
        for params in ["[]", "{}", "null", "[null]"] {
            var client = try ReplayClient(text)
            #expect(client.call("eth_chainId", params).contains("0x1"))
        }
    }

    @Test("Edge case 11: the answer carries the client's id as it was sent, string or number")
    func ids() throws {
        for id in ["7", "\"7\"", "\"a \\\" b\"", "18446744073709551615", "-1", "007".dropFirst(2).description] {
            var client = try ReplayClient(
                """
                >> {"jsonrpc":"2.0","id":1,"method":"eth_chainId"}
                << {"id":1,"result":"0x1","jsonrpc":"2.0"}
                """
            )
            #expect(client.call("eth_chainId", id: id) == #"{"id":\#(id),"result":"0x1","jsonrpc":"2.0"}"#)
        }
    }

    @Test("Edge case 11: numeric subscription ids stay numbers, also beyond Int64.max")
    func numericIDs() throws {
        for recorded: UInt64 in [1, 12_153_704_810_663_065_403] {
            var client = try ReplayClient(
                """
                >> {"jsonrpc":"2.0","id":1,"method":"starknet_subscribeNewHeads","params":{}}
                << {"jsonrpc":"2.0","id":1,"result":\(recorded)}
                << {"jsonrpc":"2.0","method":"x","params":{"subscription":\(recorded),"result":1}}
                """
            )
            let answer = try JSONValue(parsing: client.call("starknet_subscribeNewHeads"))
            let id = try #require(answer["result"]?.numberValue?.uint64)
            #expect((id > UInt64(Int64.max)) == (recorded > UInt64(Int64.max)))
            client.play()
            #expect(client.played == [#"{"jsonrpc":"2.0","method":"x","params":{"subscription":\#(id),"result":1}}"#])
            #expect(client.call("starknet_unsubscribe", "[\(id)]").contains("true"))
        }
    }

    @Test("A request recorded several times gets the next answer up to the next notification, then the last one behind")
    func severalAnswers() throws {
        func exchange(_ id: Int, _ result: Int) -> String {
            """
            >> {"jsonrpc":"2.0","id":\(id),"method":"eth_blockNumber","params":[]}
            << {"jsonrpc":"2.0","id":\(id),"result":\(result)}

            """
        }
        let subscribe = """
            >> {"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}
            << {"jsonrpc":"2.0","id":1,"result":"0xaa"}

            """
        let head = """
            << {"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0xaa","result":0}}

            """
        var client = try ReplayClient(
            subscribe + exchange(2, 10) + head + head + exchange(3, 11) + exchange(4, 12) + head
        )
        func ask() -> String { String(client.call("eth_blockNumber").suffix(3).prefix(2)) }
        #expect(ask() == "10")
        _ = try client.subscribe(#"["newHeads"]"#)
        #expect(ask() == "10")
        client.play(messages: 1)
        #expect(ask() == "10", "11 lies behind a head that was not played yet")
        client.play(messages: 1)
        #expect([ask(), ask(), ask()] == ["11", "12", "12"])

        client = try ReplayClient(subscribe + head + exchange(2, 10) + head)
        #expect(ask() == "10", "the first, where none lies behind")
    }

    @Test("A batch is answered as a batch, each element as if it came alone")
    func batches() throws {
        var client = try ReplayClient(
            """
            >> {"jsonrpc":"2.0","id":1,"method":"eth_chainId"}
            << {"jsonrpc":"2.0","id":1,"result":"0x1"}
            >> [{"jsonrpc":"2.0","id":2,"method":"eth_blockNumber"},{"jsonrpc":"2.0","id":3,"method":"eth_subscribe","params":["newHeads"]}]
            << [{"jsonrpc":"2.0","id":3,"result":"0xaa"},{"jsonrpc":"2.0","id":2,"result":"0x9"}]
            << [{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0xaa","result":1}},{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0xaa","result":2}}]
            >> [{"jsonrpc":"2.0","id":4,"method":"a"},{"jsonrpc":"2.0","id":5,"method":"b"}]
            << {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}
            """
        )
        #expect(client.call("eth_blockNumber", id: "5") == #"{"jsonrpc":"2.0","id":5,"result":"0x9"}"#)
        let answers = client.send(
            #" [ {"jsonrpc":"2.0","id":"a","method":"eth_chainId"}, {"jsonrpc":"2.0","method":"eth_chainId"}, "#
                + #"{"params":["newHeads"],"method":"eth_subscribe","id":8,"jsonrpc":"2.0"}, "#
                + #"{"jsonrpc":"2.0","id":9,"method":"eth_nope"} ] "#
        )
        let batch = try #require(try JSONValue(parsing: answers.joined()).arrayValue)
        #expect(batch.count == 3)
        #expect(batch[0] == ["jsonrpc": "2.0", "id": "a", "result": "0x1"])
        #expect(batch[1]["id"] == 8)
        #expect(batch[2]["error"]?["code"] == -32601)
        client.play()
        #expect(client.played.count == 1)
        #expect(try JSONValue(parsing: client.played[0]).arrayValue?.count == 2)
        // Refused as a whole, as recorded.
        #expect(
            client.send(#"[{"jsonrpc":"2.0","id":1,"method":"a"},{"jsonrpc":"2.0","id":2,"method":"b"}]"#)
                == [#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}"#]
        )
    }

    @Test("Edge case 25: notifications recorded before their subscription's answer come before it again")
    func early() throws {
        var client = try ReplayClient(
            """
            >> {"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}
            << {"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0xaa","result":1}}
            << {"jsonrpc":"2.0","id":1,"result":"0xaa"}
            << {"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0xaa","result":2}}
            """
        )
        let answers = client.send(#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#)
        #expect(answers.count == 2)
        let id = try #require(try JSONValue(parsing: answers[1])["result"]?.stringValue)
        #expect(id != "0xaa")
        #expect(try JSONValue(parsing: answers[0])["params"]?["subscription"]?.stringValue == id)
        client.play()
        #expect(client.played.count == 1)
    }

    @Test("A reconnect is part of the script: equal subscriptions of its connections are one to the client")
    func reconnects() throws {
        let transcript = try Transcript(contentsOf: FixturePaths.session("geth-reconnects"))
        var client = ReplayClient(transcript)
        var ends: [ReplayAction] = []
        for _ in 0..<10 where client.events.last != .finished {
            _ = try client.subscribe(#"["newHeads"]"#)
            client.play()
            ends.append(try #require(client.events.last))
            client.play()
            if client.events.last != .finished { client.reconnect() }
        }
        #expect(ends == [.drop, .close(code: 1000, reason: ""), .close(code: 1000, reason: "")])
    }

    @Test("A client that leaves in the middle goes on where it was when it comes back")
    func clientLeaves() throws {
        var client = try ReplayClient(Self.heads)
        _ = try client.subscribe(#"["newHeads"]"#)
        client.play(messages: 1)
        client.reconnect()
        client.play()
        #expect(client.played.count == 1)
        let id = try client.subscribe(#"["newHeads"]"#)
        client.play()
        #expect(client.played.count == 2)
        #expect(client.played[1].contains("head 2"))
        #expect(client.played[1].contains(id))
    }

    @Test("The last event is not played where it is not wanted, whatever it is")
    func finalEvent() throws {
        for end in ["// @5 close 1011 oops", "// @5 drop", "// @5 error x", ""] {
            let text = Self.heads.replacing("// @5.000 close 1001 going away", with: end)
            var client = try ReplayClient(text, options: ReplayOptions(playsFinalEvent: false))
            _ = try client.subscribe(#"["newHeads"]"#)
            client.play()
            #expect(client.events == [.finished])
            #expect(client.played.count == 2)
            #expect(client.call("eth_subscribe", #"["newHeads"]"#).contains("result"), "answered all the same")
        }
    }

    @Test("The end of requests without subscriptions is played once all of them were made")
    func endOfCalls() throws {
        var client = try ReplayClient(
            """
            // @0 open
            >> {"jsonrpc":"2.0","id":1,"method":"a"}
            << {"jsonrpc":"2.0","id":1,"result":1}
            >> {"jsonrpc":"2.0","id":2,"method":"b"}
            << {"jsonrpc":"2.0","id":2,"result":2}
            // @1 close 1000
            """
        )
        client.play()
        #expect(client.call("b").contains("2"))
        client.play()
        #expect(client.events == [])
        #expect(client.call("a").contains("1"))
        client.play()
        #expect(client.events == [.close(code: 1000, reason: "")])
    }

    @Test("A request that the transcript does not hold is answered with an error that names the nearest ones")
    func missing() throws {
        var client = try ReplayClient(Self.heads)
        let other = client.call("eth_subscribe", #"["logs",{"address":"0xcd"}]"#, id: "\"x\"")
        let error = try JSONValue(parsing: other)
        #expect(error["id"] == "x")
        #expect(error["error"]?["code"] == -32602)
        let message = try #require(error["error"]?["message"]?.stringValue)
        #expect(
            message.hasPrefix("the transcript test.io does not hold eth_subscribe [\"logs\",{\"address\":\"0xcd\"}]")
        )
        #expect(message.contains("nearest: line 5 eth_subscribe [\"logs\",{\"address\":\"0xab\"}], line 2"))

        let unknown = try JSONValue(parsing: client.call("eth_subscrible"))
        #expect(unknown["error"]?["code"] == -32601)
        #expect(unknown["error"]?["message"]?.stringValue?.contains("line 2 eth_subscribe") == true)
        #expect(client.script.problems.count == 2)
        #expect(client.send(#"{"jsonrpc":"2.0","method":"eth_nope"}"#) == [])
    }

    @Test("Edge case 8: what is no request is answered by its bytes, as recorded, else with an error")
    func foreign() throws {
        let transcript = try Transcript(contentsOf: FixturePaths.session("geth-errors-and-batches"))
        var client = ReplayClient(transcript)
        #expect(client.send("{").joined().contains("unexpected end of JSON input"))
        #expect(client.send(" [] \n").joined().contains("empty batch"))
        #expect(client.send("[1, 2]").joined().contains("invalid request"))
        #expect(client.send(#"{"id":900,"method":"eth_chainId"}"#).joined().contains("invalid request"))
        #expect(
            client.send(#"{"jsonrpc":"2.0","id":18446744073709551615,"method":"eth_chainId"}"#).joined().contains(
                "0x539"
            )
        )
        #expect(client.send(#"{"id":901,"method":"eth_chainId"}"#).joined().contains("0x539"))
        #expect(client.send("{]").joined().contains("-32700"))
        #expect(client.send("").joined().contains("-32700"))
        #expect(client.send("7").joined().contains("-32700"))
    }

    @Test("Edge case 9: a message of the node that answers nothing is played in its place")
    func spontaneous() throws {
        var client = try ReplayClient(
            """
            >> {"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}
            << {"jsonrpc":"2.0","id":1,"result":"0xaa"}
            << {"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0xaa","result":1}}
            << {"jsonrpc":"2.0","id":-1,"error":{"code":-32000,"message":"Subscription timed out"}}
            << not JSON
            << {"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0xunknown","result":2}}
            <<
            """
        )
        client.play()
        #expect(client.played == [])
        _ = try client.subscribe(#"["newHeads"]"#)
        client.play()
        #expect(client.played.count == 5)
        #expect(client.played[1].contains("timed out"))
        #expect(client.played[2] == "not JSON")
        #expect(client.played[3].contains("0xunknown"))
        #expect(client.played[4] == "")
    }

    @Test("Strict matching wants the recorded requests in their order")
    func strict() throws {
        var client = try ReplayClient(Self.heads, options: ReplayOptions(isStrict: true))
        let early = client.call("eth_subscribe", #"["logs",{"address":"0xab"}]"#)
        #expect(early.contains("strict replay of test.io") && early.contains("line 2 comes next"))
        _ = try client.subscribe(#"["newHeads"]"#)
        client.play()
        #expect(client.played == [], "not before all requests in front of it are made")
        _ = try client.subscribe(#"["logs",{"address":"0xab"}]"#)
        client.play()
        #expect(client.played.count == 4)
        #expect(client.call("eth_chainId").contains("no more requests"))
        #expect(client.script.problems.count == 2)
    }

    @Test("No message of a client traps the script")
    func randomMessages() throws {
        let seed: UInt64 = 0xBAD_C0DE
        var random = SeededGenerator(seed: seed)
        let transcript = try Transcript(contentsOf: FixturePaths.session("geth-errors-and-batches"))
        var corpus = transcript.entries.compactMap { entry -> [UInt8]? in
            if case .fromClient(let bytes) = entry.event { bytes } else { nil }
        }
        corpus += [Array(#"{"params":{"subscription":[1]},"id":{},"method":7,"jsonrpc":2}"#.utf8), [], [0xFF]]
        for _ in 0..<20 {
            var client = ReplayClient(transcript, options: ReplayOptions(isStrict: random.below(2) == 0))
            for _ in 0..<100 {
                var message = corpus[random.below(corpus.count)]
                for _ in 0..<random.below(3) where !message.isEmpty {
                    let place = random.below(message.count)
                    switch random.below(3) {
                    case 0: message[place] = UInt8(random.below(256))
                    case 1: message.remove(at: place)
                    default: message.insert(contentsOf: corpus[random.below(corpus.count)].prefix(30), at: place)
                    }
                }
                _ = client.script.received(message, now: client.now)
                if random.below(4) == 0 { client.play() }
                if random.below(20) == 0 { client.reconnect() }
            }
        }
    }
}

extension Transcript.Event {
    /// The recorded answer to a request or batch: the next node message that is no notification and has its id.
    fileprivate func answer(to request: String) -> String? {
        guard case .fromNode(let bytes) = self, let value = try? JSONValue(parsing: bytes),
            let asked = try? JSONValue(parsing: request)
        else { return nil }
        let id = (asked.arrayValue?.first ?? asked)["id"]
        guard let id, (value.arrayValue ?? [value]).contains(where: { $0["id"] == id }) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension ReplayAction {
    fileprivate func matches(_ event: Transcript.Event) -> Bool {
        switch (self, event) {
        case (.close(let code, let reason), .close(let other, let text)): code == other && reason == text
        case (.drop, .drop): true
        case (.error(let text), .error(let other)): text == other
        default: false
        }
    }
}
