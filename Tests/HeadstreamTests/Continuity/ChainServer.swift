import EthereumTypes
import HeadstreamJSON
import HeadstreamLocks
import HeadstreamSockets
import HeadstreamTesting

@testable import Headstream

/// A scripted server that speaks for a simulated chain: subscriptions, blocks and logs.
final class ChainServer: Sendable {
    /// In a class, for the script's closure.
    private final class Shared: Sendable {
        let state: Locked<State>

        init(_ state: consuming State) {
            self.state = Locked(state)
        }
    }

    private struct State: Sendable {
        var chain: SimulatedChain
        /// Of the newest connection: the ids of its subscriptions, and what each filters by; nil for heads.
        var subscriptions: [(id: String, filter: LogFilter?)] = []
        var connections = 0
        var nextID = 1
    }

    private let shared: Shared
    let server: ScriptedServer

    init(on loop: any Loop, seed: UInt64, quirks: SimulatedQuirks = SimulatedQuirks()) async throws {
        let shared = Shared(State(chain: SimulatedChain(seed: seed, quirks: quirks, number: 100)))
        self.shared = shared
        self.server = try await ScriptedServer(on: loop) { client, message in
            let answers = message.calls.map { Self.answer($0, shared) }
            client.send(message.isBatch ? "[" + answers.joined(separator: ",") + "]" : answers.joined())
        }
    }

    var chain: SimulatedChain { self.shared.state.withLock { $0.chain } }

    /// Changes the chain and pushes what a node would; where there is no connection, nobody hears of it.
    func change(_ body: @Sendable (inout SimulatedChain) -> Void) async {
        let messages = self.shared.state.withLock { state -> [String] in
            body(&state.chain)
            var messages: [String] = []
            for notification in state.chain.takeNotifications() {
                for (id, filter) in state.subscriptions {
                    switch notification {
                    case .head(let header) where filter == nil:
                        messages.append(ScriptedClient.notification(id, Self.json(header)))
                    case .log(let log) where filter?.matches(log) == true:
                        messages.append(ScriptedClient.notification(id, Self.json(log)))
                    default: break
                    }
                }
            }
            return messages
        }
        await self.server.act { client in for message in messages { client.send(message) } }
    }

    /// Ends every subscription with a word (edge case 34).
    func endSubscriptions() async {
        let ids = self.shared.state.withLock { state -> [String] in
            defer { state.subscriptions = [] }
            return state.subscriptions.map(\.id)
        }
        await self.server.act { client in
            for id in ids {
                client.send(
                    #"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"\#(id)","error":{"code":-1,"message":"over"}}}"#
                )
            }
        }
    }

    /// Cuts the connection.
    func cut() async {
        self.shared.state.withLock { $0.subscriptions = [] }
        await self.server.act { $0.drop() }
    }

    private static func json(_ value: some JSONWritable) -> String {
        var writer = JSONWriter()
        value.write(to: &writer)
        return (try? writer.finish()).map { String(decoding: $0, as: UTF8.self) } ?? "null"
    }

    private static func answer(_ call: ScriptedCall, _ shared: Shared) -> String {
        let result: String
        do {
            result = try shared.state.withLock { try Self.result(call, &$0) }
        } catch {
            let node = error as? SimulatedNodeError
            return
                #"{"jsonrpc":"2.0","id":\#(call.id),"error":{"code":\#(node?.code ?? -32000),"message":"\#(node?.message ?? "?")"}}"#
        }
        return #"{"jsonrpc":"2.0","id":\#(call.id),"result":\#(result)}"#
    }

    private static func result(_ call: ScriptedCall, _ state: inout State) throws -> String {
        switch call.method {
        case "eth_chainId": return "\"0x1\""
        case "eth_subscribe":
            let id = "0x\(String(state.nextID, radix: 16))"
            state.nextID += 1
            let filter: LogFilter? =
                call.params.first == "logs" ? try Self.decode(call.params.dropFirst().first ?? .null) : nil
            state.subscriptions.append((id, filter))
            return "\"\(id)\""
        case "eth_unsubscribe":
            state.subscriptions.removeAll { $0.id == call.params.first?.stringValue }
            return "true"
        case "eth_getBlockByNumber":
            let tag: BlockTag = try Self.decode(call.params.first ?? .null)
            return state.chain.block(tag).map { Self.json($0.header) } ?? "null"
        case "eth_getBlockByHash":
            let hash: Hash32 = try Self.decode(call.params.first ?? .null)
            return state.chain.block(hash).map { Self.json($0.header) } ?? "null"
        case "eth_getLogs":
            let logs = try state.chain.logs(try Self.decode(call.params.first ?? .null))
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
