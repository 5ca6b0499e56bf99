import EthereumTypes
import HeadstreamTesting
import Testing

@testable import Headstream

/// Scenes of a filter whose logs come on another connection than heads, from a backend that may be ahead or behind.
@Suite("Continuity: logs of a further connection")
struct FurtherConnectionTests {
    private static let event = SimulatedEvent(address: SimulatedChain.address(1))
    private static let other = SimulatedEvent(address: SimulatedChain.address(2))

    private static func start() -> (ContinuityRun, ConsumerID) {
        var run = ContinuityRun(seed: 1)
        run.apart = [0]
        let id = run.join(run.addFilter(LogFilter(address: SimulatedChain.address(1))))
        run.start()
        run.acknowledgeApart(0)
        run.settle()
        Self.mineOthers(&run, 3)
        return (run, id)
    }

    /// Blocks that their blooms exclude.
    private static func mineOthers(_ run: inout ContinuityRun, _ count: Int) {
        for _ in 0..<count {
            run.now += 1_000_000_000
            run.chain.mine([Self.other])
            run.settle()
        }
    }

    private static func push(_ run: inout ContinuityRun, _ block: SimulatedBlock, _ place: Int) {
        run.handle(.logs(run.filters[0].id, [block.logs[place]]))
    }

    /// The next block, with one log, is pushed on both.
    private static func pushNext(_ run: inout ContinuityRun) {
        let next = run.inSilence { $0.mine([Self.event]) }
        run.handle(.head(next.header))
        Self.push(&run, next, 0)
    }

    @Test("Blocks that it had when it was acknowledged are asked for, though their heads come later")
    func ahead() {
        var (run, id) = Self.start()
        run.handle(.unacknowledged([run.filters[0].id]))
        run.settle()
        let before = run.chain.head.header
        let block = run.inSilence { $0.mine([Self.event, Self.event]) }
        // It has pushed the first of the block's logs, and the connection of heads has not the block yet.
        run.handle(.acknowledgedApart([run.filters[0].id]))
        run.answer(with: [.header(before)])
        run.handle(.newestApart([run.filters[0].id], block.number))
        run.handle(.head(block.header))
        Self.push(&run, block, 1)
        Self.pushNext(&run)
        run.settle()
        Self.mineOthers(&run, 3)
        #expect(run.logs(id).count == 3)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Heads say nothing of how far it is: a block of which it has pushed a part is asked for, and not left")
    func behind() {
        var (run, id) = Self.start()
        let block = run.inSilence { $0.mine([Self.event, Self.event]) }
        run.handle(.head(block.header))
        Self.push(&run, block, 0)
        Self.mineOthers(&run, 3)
        Self.push(&run, block, 1)
        Self.mineOthers(&run, 1)
        #expect(run.logs(id).count == 2)
        #expect(run.fold(id).rollbacks == 0)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("When it is lost, a block of which it had pushed a part is asked for, whatever the next one pushes")
    func lost() {
        var (run, id) = Self.start()
        let block = run.inSilence { $0.mine([Self.event, Self.event]) }
        run.handle(.head(block.header))
        Self.push(&run, block, 0)
        run.handle(.unacknowledged([run.filters[0].id]))
        run.handle(.acknowledgedApart([run.filters[0].id]))
        run.handle(.newestApart([run.filters[0].id], block.number))
        run.settle()
        Self.pushNext(&run)
        run.settle()
        Self.mineOthers(&run, 3)
        #expect(run.logs(id).count == 3)
        #expect(run.fold(id).rollbacks == 0)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Behind logs that were lost on their way it is still another connection")
    func logsLost() {
        var (run, id) = Self.start()
        run.handle(.logsLost(run.filters[0].id))
        run.settle()
        let block = run.inSilence { $0.mine([Self.event, Self.event]) }
        run.handle(.head(block.header))
        Self.push(&run, block, 0)
        Self.mineOthers(&run, 3)
        Self.push(&run, block, 1)
        Self.mineOthers(&run, 1)
        #expect(run.logs(id).count == 2)
        #expect(run.fold(id).rollbacks == 0)
        #expect(run.check(upTo: 2).isEmpty)
    }
}
