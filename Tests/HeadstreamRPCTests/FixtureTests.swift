import Foundation
import HeadstreamJSON
import Testing

@testable import HeadstreamRPC

/// Messages that others wrote, through the processor.
@Suite("Messages of the specification, geth, nodecore, Nethermind and alloy")
struct FixtureTests {
    private static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures")

    private static func read(_ path: String) throws -> String {
        try String(contentsOf: self.folder.appendingPathComponent(path), encoding: .utf8)
    }

    /// What the server sends in a conversation written with arrows.
    private static func answers(_ path: String) throws -> [String] {
        try self.read(path).split(separator: "\n").filter { $0.hasPrefix("<-- ") && !$0.hasSuffix("(nothing)") }
            .map { String($0.dropFirst(4)) }
    }

    /// Feeds a message whose ids are the server's own, while two requests and a subscription of ours wait.
    private static func feed(_ message: String) -> ProcessorHarness {
        let node = ProcessorHarness()
        _ = node.activate(1, "\"0xff\"")
        node.call("a")
        node.call("b")
        node.receive(message)
        node.receive(notification("\"0xff\"", "1"))
        return node
    }

    @Test("The specification's examples, and geth's, are read without a complaint about their form")
    func wellFormed() throws {
        var count = 0
        let geth = try FileManager.default.contentsOfDirectory(
            atPath: Self.folder.appendingPathComponent("jsonrpc/geth-rpc-testdata").path
        )
        for path in ["jsonrpc/spec-examples.txt"] + geth.sorted().map({ "jsonrpc/geth-rpc-testdata/\($0)" }) {
            for answer in try Self.answers(path) {
                let node = Self.feed(answer)
                #expect(node.processor.statistics.notifications == 1)
                #expect(node.outcomes["a"].isEmpty && node.outcomes["b"].isEmpty)
                for case .malformedMessage(let reason) in node.notices {
                    // geth's reverse call is the only one that is not for us.
                    #expect(answer.contains("\"method\":\"foo\""), "\(reason): \(answer)")
                }
                count += 1
            }
        }
        #expect(count >= 30)
    }

    @Test("The specification's batch, answered in part by ids that are strings")
    func batch() throws {
        let node = ProcessorHarness()
        let first = node.batch(["1", "2", "5", "9"])
        let answers = try Self.answers("jsonrpc/spec-examples.txt")
        let answer = try #require(answers.first { $0.contains("get_data") || $0.contains("[\"hello\", 5]") })
        var text = answer
        for (index, id) in ["1", "2", "5", "9"].enumerated() {
            text = text.replacing("\"id\": \"\(id)\"", with: "\"id\": \"\(first.advanced(by: index).rawValue)\"")
        }
        node.receive(text)
        #expect(node.outcomes.result("1") == "7" && node.outcomes.result("2") == "19")
        #expect(node.outcomes.error("5")?.node?.code == -32601)
        #expect(node.outcomes.result("9") == "[\"hello\", 5]")
    }

    @Test("nodecore's messages, odd ones too: each is an answer, a notification or a notice, never a trap")
    func nodecore() throws {
        let value = try JSONValue(parsing: Array(Self.read("jsonrpc/nodecore-messages.json").utf8))
        guard case .array(let entries) = value else { throw CocoaError(.fileReadCorruptFile) }
        #expect(entries.count == 41)
        var malformed = 0
        for entry in entries {
            guard case .string(let message)? = entry["text"] else { continue }
            let node = Self.feed(message)
            #expect(node.processor.statistics.notifications == 1, "\(message)")
            malformed += Int(node.processor.statistics.malformed)
        }
        #expect(malformed > 0 && malformed < entries.count)
    }

    @Test("nodecore's odd answers, with ids of ours")
    func odd() {
        let node = ProcessorHarness()
        func error(_ rest: String) -> RPCError? {
            let id = node.call("x\(node.sent.count)")
            node.receive("{\"id\":\"\(id.rawValue)\",\"jsonrpc\":\"2.0\",\(rest)}")
            return node.outcomes.error("x\(node.sent.count - 1)")
        }
        #expect(error(#""error":"upstream blew up""#)?.message == "upstream blew up")
        #expect(error(#""result":"ok","error":{"code":-7,"message":"sketchy"}"#)?.node?.code == -7)
        #expect(error(#""error":{"message":"no code"}"#)?.node?.code == 0)
        #expect(
            error(#""error":{"code":"-32000","data":"why"}"#)?.node
                == NodeError(code: -32000, message: "why", data: .string("why"))
        )
        #expect(error(#""error":{"code":1e400,"message":"x"}"#)?.node?.code == 0)
        #expect(error(#""error":{"code":1,}"#)?.message == "an error that is no JSON")
        #expect(error(#""other":1"#)?.code == .malformedResponse)
        #expect(
            error(
                #""error":{"code":15,"message":"You reached Public endpoint rate limit, please upgrade to paid plan"}"#
            )?.code == .rateLimited
        )
    }

    @Test("Nethermind's refusals of a subscription, and alloy's notifications")
    func subscriptions() throws {
        for reply in try Self.read("subscriptions/nethermind-replies.txt").split(separator: "\n") {
            let node = ProcessorHarness()
            let id = node.subscribe(1, SubscriptionBuffer(limit: 8192, policy: .fail))
            node.receive(String(reply).replacing("\"id\":67", with: "\"id\":\(id.rawValue)"))
            #expect(node.outcomes.error("subscribe 1")?.code == .node)
            #expect(node.isEmpty)
        }
        let expected = ["0": ("\"0xcd0c3e8af590364c09d0fa6a1210faf5\"", 1), "3": ("\"0x0\"", 1), "5": ("\"0x0\"", 0)]
        for (number, (id, count)) in expected.sorted(by: { $0.key < $1.key }) {
            let node = ProcessorHarness()
            let consumer = node.activate(1, id)
            node.receive(try Self.read("subscriptions/alloy-notification-\(number).json"))
            #expect(consumer.drain().count == count, "\(number)")
        }
        let head = try Self.read("subscriptions/alloy-newHeads-0.json")
        let value = try JSONValue(parsing: Array(head.utf8))
        guard case .string(let id)? = value["params"]?["subscription"] else { throw CocoaError(.fileReadCorruptFile) }
        let node = ProcessorHarness()
        let consumer = node.activate(1, "\"\(id)\"")
        node.receive(head)
        node.receive(head)
        #expect(consumer.drain().count == 2)
    }
}
