import HeadstreamTesting

extension TestNode {
    /// Forty turns of a seed: mined blocks, reorganisations up to three deep, lost connections. Then the faults are over, and
    /// 44 quiet blocks follow, in which one audit passes.
    func weather(seed: UInt64, on loop: SimulatedLoop) async throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<40 {
            switch random.below(10) {
            case 0..<6: await self.change { $0.mine($0.randomEvents(4)) }
            case 6..<8:
                let depth = 1 + random.below(3)
                await self.change { chain in
                    guard chain.head.number > 110 else {
                        chain.mine()
                        return
                    }
                    chain.reorganise(depth: depth, events: (0...depth).map { _ in chain.randomEvents(3) })
                }
            default: await self.inflict(.cut)
            }
            try await loop.sleep(for: .milliseconds(200 * random.below(10)))
        }
        for _ in 0..<44 {
            await self.change { $0.mine() }
            try await loop.sleep(for: .seconds(5))
        }
    }
}
