import Headstream
import HeadstreamSockets
import HeadstreamTesting

/// A node of a simulated chain that mines a burst for each client, once it has subscribed: `chain-node BLOCKS LOGS`, with
/// so many logs in each block. Prints its port, and goes on until it is killed.
enum ChainBurst {
    static func run(_ arguments: [String]) async throws {
        guard arguments.count == 2, let blocks = Int(arguments[0]), let logs = Int(arguments[1]) else {
            throw Failed("usage: chain-node BLOCKS LOGS")
        }
        let node = try await TestNode(chain: SimulatedChain(seed: 1, number: 1))
        say("endpoint \(node.endpoint)")
        var served = 0
        while true {
            await node.asked(for: "eth_subscribe", times: served + 1)
            // A gapless client has two subscriptions, and asks for the newest block.
            try await EventLoop.shared.sleep(for: .milliseconds(300))
            served = await node.requests["eth_subscribe"] ?? 0
            for _ in 0..<blocks {
                await node.change { chain in chain.mine(chain.randomEvents(logs)) }
                await node.drained()
            }
        }
    }
}
