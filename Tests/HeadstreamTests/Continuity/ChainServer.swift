import EthereumTypes
import HeadstreamJSON
import HeadstreamLocks
import HeadstreamSockets
import HeadstreamTesting

@testable import Headstream

/// A scripted server that speaks for a simulated chain: subscriptions, blocks and logs. Several may speak for one chain.
final class ChainServer: Sendable {
    /// How this node differs from others of the chain.
    struct Faults: Sendable {
        /// It pushes nothing.
        var isMute = false
        /// It answers with, and pushes, nothing above this block.
        var standsAt: UInt64?
        var chainID = 1
    }

    private struct Subscription: Sendable {
        let client: ScriptedClient
        let id: String
        /// Nil for heads.
        let filter: LogFilter?
    }

    private struct Node: Sendable {
        var subscriptions: [Subscription] = []
        var nextID = 1
        var faults = Faults()
    }

    /// In classes, for the script's closure.
    private final class SharedNode: Sendable {
        let state = Locked(Node())
        let server = Locked<ScriptedServer?>(nil)
    }

    private final class SharedChain: Sendable {
        let chain: Locked<SimulatedChain>
        let nodes = Locked<[SharedNode]>([])

        init(_ chain: consuming SimulatedChain) {
            self.chain = Locked(chain)
        }
    }

    private let shared: SharedChain
    private let node: SharedNode
    let server: ScriptedServer

    convenience init(on loop: any Loop, seed: UInt64, quirks: SimulatedQuirks = SimulatedQuirks()) async throws {
        let chain = SimulatedChain(seed: seed, quirks: quirks, number: 100)
        try await self.init(on: loop, SharedChain(chain))
    }

    /// Another node of the same chain.
    convenience init(on loop: any Loop, beside other: ChainServer) async throws {
        try await self.init(on: loop, other.shared)
    }

    private init(on loop: any Loop, _ shared: SharedChain) async throws {
        let node = SharedNode()
        self.shared = shared
        self.node = node
        self.server = try await ScriptedServer(on: loop) { client, message in
            let answers = message.calls.map { Self.answer($0, of: client, node, shared) }
            client.send(message.isBatch ? "[" + answers.joined(separator: ",") + "]" : answers.joined())
        }
        node.server.withLock { $0 = self.server }
        shared.nodes.withLock { $0.append(node) }
    }

    var chain: SimulatedChain { self.shared.chain.withLock { $0 } }

    func fail(_ body: (inout Faults) -> Void) {
        self.node.state.withLock { body(&$0.faults) }
    }

    /// Changes the chain, and each of its nodes pushes what a node would; where there is no connection, nobody hears of it.
    func change(_ body: @Sendable (inout SimulatedChain) -> Void) async {
        let notifications = self.shared.chain.withLock { chain in
            body(&chain)
            return chain.takeNotifications()
        }
        for node in self.shared.nodes.withLock({ $0 }) {
            guard let server = node.server.withLock({ $0 }) else { continue }
            let clients = await server.clients
            let messages = node.state.withLock { node in
                node.subscriptions.removeAll { gone in !clients.contains { $0 === gone.client } }
                return Self.messages(notifications, node)
            }
            await server.act { _ in for (client, message) in messages { client.send(message) } }
        }
    }

    private static func messages(
        _ notifications: [SimulatedChain.Notification],
        _ node: Node
    ) -> [(ScriptedClient, String)] {
        guard !node.faults.isMute else { return [] }
        let highest = node.faults.standsAt ?? .max
        var messages: [(ScriptedClient, String)] = []
        for notification in notifications {
            for subscription in node.subscriptions {
                switch notification {
                case .head(let header) where subscription.filter == nil && header.number <= highest:
                    messages.append(
                        (subscription.client, ScriptedClient.notification(subscription.id, Self.json(header)))
                    )
                case .log(let log)
                where subscription.filter?.matches(log) == true && log.blockNumber ?? 0 <= highest:
                    messages.append((subscription.client, ScriptedClient.notification(subscription.id, Self.json(log))))
                default: break
                }
            }
        }
        return messages
    }

    /// Pushes the head of this number, from this node alone.
    func push(_ number: UInt64) async {
        guard let block = self.shared.chain.withLock({ $0.block(.number(number)) }) else { return }
        let messages = self.node.state.withLock { Self.messages([.head(block.header)], $0) }
        await self.server.act { _ in for (client, message) in messages { client.send(message) } }
    }

    /// Ends every subscription with a word (edge case 34).
    func endSubscriptions() async {
        let gone = self.node.state.withLock { node in
            defer { node.subscriptions = [] }
            return node.subscriptions
        }
        await self.server.act { _ in
            for subscription in gone {
                subscription.client.send(
                    #"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"\#(subscription.id)","error":{"code":-1,"message":"over"}}}"#
                )
            }
        }
    }

    /// Forgets every subscription without a word (edge case 57).
    func forgetSubscriptions() {
        self.node.state.withLock { $0.subscriptions = [] }
    }

    /// Cuts the connection.
    func cut() async {
        self.forgetSubscriptions()
        await self.server.act { $0.drop() }
    }

    private static func json(_ value: some JSONWritable) -> String {
        var writer = JSONWriter()
        value.write(to: &writer)
        return (try? writer.finish()).map { String(decoding: $0, as: UTF8.self) } ?? "null"
    }

    private static func answer(
        _ call: ScriptedCall,
        of client: ScriptedClient,
        _ node: SharedNode,
        _ shared: SharedChain
    ) -> String {
        let result: String
        do {
            result = try node.state.withLock { node in
                try shared.chain.withLock { try Self.result(call, of: client, &node, &$0) }
            }
        } catch {
            let node = error as? SimulatedNodeError
            return
                #"{"jsonrpc":"2.0","id":\#(call.id),"error":{"code":\#(node?.code ?? -32000),"message":"\#(node?.message ?? "?")"}}"#
        }
        return #"{"jsonrpc":"2.0","id":\#(call.id),"result":\#(result)}"#
    }

    private static func result(
        _ call: ScriptedCall,
        of client: ScriptedClient,
        _ node: inout Node,
        _ chain: inout SimulatedChain
    ) throws -> String {
        switch call.method {
        case "eth_chainId": return "\"0x\(String(node.faults.chainID, radix: 16))\""
        case "eth_subscribe":
            let id = "0x\(String(node.nextID, radix: 16))"
            node.nextID += 1
            let filter: LogFilter? =
                call.params.first == "logs" ? try Self.decode(call.params.dropFirst().first ?? .null) : nil
            node.subscriptions.append(Subscription(client: client, id: id, filter: filter))
            return "\"\(id)\""
        case "eth_unsubscribe":
            node.subscriptions.removeAll { $0.id == call.params.first?.stringValue }
            return "true"
        case "eth_getBlockByNumber":
            var tag: BlockTag = try Self.decode(call.params.first ?? .null)
            if let highest = node.faults.standsAt, case .latest = tag { tag = .number(min(highest, chain.head.number)) }
            return chain.block(tag).map { Self.json($0.header) } ?? "null"
        case "eth_getBlockByHash":
            let hash: Hash32 = try Self.decode(call.params.first ?? .null)
            return chain.block(hash).map { Self.json($0.header) } ?? "null"
        case "eth_getLogs":
            let logs = try chain.logs(try Self.decode(call.params.first ?? .null))
            return "[" + logs.map(Self.json).joined(separator: ",") + "]"
        default: return "null"
        }
    }

    private static func decode<Value: Decodable>(_ value: JSONValue) throws -> Value {
        try Array(value.description.utf8).withUnsafeBytes { bytes in
            try PaddedBytesForTests.decode(Array(bytes))
        }
    }
}

/// Bytes with what readers may load behind them.
private enum PaddedBytesForTests {
    static func decode<Value: Decodable>(_ bytes: [UInt8]) throws -> Value {
        let padded = bytes + [UInt8](repeating: 0, count: 64)
        return try padded.withUnsafeBytes {
            try Results.decode(UnsafeRawBufferPointer(rebasing: $0[..<bytes.count]), as: Value.self)
        }
    }
}
