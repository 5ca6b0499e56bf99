import Headstream
import HeadstreamTesting

extension TestNode {
    /// So many nodes of one chain, whose lowest block is 100.
    static func ofOneChain(
        _ count: Int,
        seed: UInt64,
        quirks: SimulatedQuirks = SimulatedQuirks(),
        loop: SimulatedLoop
    ) async throws -> [TestNode] {
        let first = try await TestNode(chain: SimulatedChain(seed: seed, quirks: quirks, number: 100), loop: loop)
        var nodes = [first]
        while nodes.count < count { nodes.append(try await TestNode(sharing: first)) }
        return nodes
    }
}
