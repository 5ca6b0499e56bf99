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
        run.mine(3, of: [Self.other])
        return (run, id)
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
        run.push(block, 1..<2)
        run.mine([Self.event], pushing: 0..<1)
        run.settle()
        run.mine(3, of: [Self.other])
        #expect(run.logs(id).count == 3)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test(
        "Heads say nothing of how far it is, also behind a loss: a block of which it has pushed a part is not left",
        arguments: [false, true]
    )
    func behind(isBehindLoss: Bool) {
        var (run, id) = Self.start()
        if isBehindLoss {
            run.handle(.logsLost(run.filters[0].id))
            run.settle()
        }
        let block = run.mine([Self.event, Self.event], pushing: 0..<1)
        run.mine(3, of: [Self.other])
        run.push(block, 1..<2)
        run.mine(1, of: [Self.other])
        #expect(run.logs(id).count == 2)
        #expect(run.fold(id).rollbacks == 0)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("When it is lost, a block of which it had pushed a part is asked for, whatever the next one pushes")
    func lost() {
        var (run, id) = Self.start()
        let block = run.mine([Self.event, Self.event], pushing: 0..<1)
        run.handle(.unacknowledged([run.filters[0].id]))
        run.handle(.acknowledgedApart([run.filters[0].id]))
        run.handle(.newestApart([run.filters[0].id], block.number))
        run.settle()
        run.mine([Self.event], pushing: 0..<1)
        run.settle()
        run.mine(3, of: [Self.other])
        #expect(run.logs(id).count == 3)
        #expect(run.fold(id).rollbacks == 0)
        #expect(run.check(upTo: 2).isEmpty)
    }
}
