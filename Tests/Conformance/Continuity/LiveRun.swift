import EthereumTypes
import Headstream
import HeadstreamJSON
import HeadstreamSockets
import HeadstreamTesting

/// Two minutes with a real anvil behind a bad network: `live PORT SECONDS SEED`.
///
/// Blocks are mined with logs in them, reorganised (`anvil_reorg`) and taken back (`evm_snapshot`, `evm_revert`); who
/// started this kills the node and starts it again from its state. Meanwhile heads and logs are followed through a relay
/// that cuts, freezes and refuses, and in the end held against the node's own blocks and `eth_getLogs`.
enum LiveRun {
    static func run(_ arguments: [String]) async throws {
        guard arguments.count == 3, let port = UInt16(arguments[0]), let seconds = Int(arguments[1]),
            let seed = UInt64(arguments[2])
        else { throw Failed("usage: live PORT SECONDS SEED") }
        let loop = EventLoop.shared
        try await Remains.check {
            let node = try await Follower.connect(to: [try Endpoint("ws://127.0.0.1:\(port)")])
            let relay = Relay(to: .host("127.0.0.1", port: port), loop: loop)
            let web3 = try await Follower.connect(to: [try Endpoint("ws://\(await relay.listen())")])
            let topics = [Hash32(w0: 1, w1: 2, w2: 3, w3: 4), Hash32(w0: 5, w1: 6, w2: 7, w3: 8)]
            let follower = Follower(web3, filters: topics.map { LogFilter(topics: [.exactly($0)]) })
            try await follower.follow {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await Self.makeHistory(node, topics, seed) }
                    group.addTask { try await Self.disturb(relay, seed) }
                    for second in 1...seconds {
                        try await loop.sleep(for: .seconds(1))
                        if second % 10 == 0 { say("\(second) s: \(follower.summary)") }
                    }
                    group.cancelAll()
                    while let outcome = await group.nextResult() {
                        if case .failure(let error) = outcome, !(error is CancellationError) { throw error }
                    }
                }
                await relay.refuse(false)
                // An audit passes over what the faults have left.
                for _ in 0..<70 {
                    let _: JSONValue? = try? await node.request("evm_mine", as: JSONValue.self)
                    try await loop.sleep(for: .milliseconds(100))
                }
                return try await node.eth.blockNumber() - 3
            }
            say("in the end: \(follower.summary), faults \(await relay.cuts)")
            try await follower.check(against: node)
            await web3.close()
            await node.close()
            await relay.close()
        }
    }

    /// Blocks, logs, reorganisations. What fails, because the node is away, is made up for by what comes next.
    private static func makeHistory(_ node: Web3, _ topics: [Hash32], _ seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let loop = EventLoop.shared
        var account: String?
        var (reorganisations, reverts) = (0, 0)
        defer { say("made: \(reorganisations) reorganisations, \(reverts) reverts") }
        while !Task.isCancelled {
            try await loop.sleep(for: .milliseconds(50 + random.below(200)))
            if account == nil {
                account = (try? await node.request("eth_accounts", as: [String].self))?.first
            }
            guard let account else { continue }
            for _ in 0..<random.below(4) {
                // Stores 42 in memory, emits it with the topic (LOG1), and deploys no code.
                let topic = topics[random.below(topics.count)].description.dropFirst(2)
                let code = "0x602a6000527f\(topic)60206000a160006000f3"
                let call: JSONValue = ["from": .string(account), "data": .string(code)]
                _ = try? await node.request("eth_sendTransaction", call, as: String.self)
            }
            switch random.below(20) {
            case 0..<3:
                let depth = JSONValue.number(JSONNumber(1 + random.below(6)))
                let done = try? await node.request("anvil_reorg", depth, [] as JSONValue, as: JSONValue.self)
                if done != nil { reorganisations += 1 }
            case 3:
                guard let id = try? await node.request("evm_snapshot", as: String.self) else { continue }
                for _ in 0...random.below(3) {
                    _ = try? await node.request("evm_mine", as: JSONValue.self)
                    try await loop.sleep(for: .milliseconds(random.below(300)))
                }
                let done = try? await node.request("evm_revert", id, as: Bool.self)
                if done == true { reverts += 1 }
            default: _ = try? await node.request("evm_mine", as: JSONValue.self)
            }
        }
    }

    private static func disturb(_ relay: Relay, _ seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed &+ 1)
        let loop = EventLoop.shared
        while !Task.isCancelled {
            try await loop.sleep(for: .milliseconds(500 + random.below(3000)))
            switch random.below(10) {
            case 0..<4: await relay.cut(after: 0)
            case 4..<7: await relay.cut(after: 1 + random.below(2000))
            case 7..<8: await relay.freeze()
            default:
                await relay.refuse(true)
                try await loop.sleep(for: .milliseconds(random.below(1500)))
                await relay.refuse(false)
            }
        }
    }
}
