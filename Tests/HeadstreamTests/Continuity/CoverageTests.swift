import EthereumTypes
import HeadstreamTesting
import Testing

@testable import Headstream

/// Scenes in which a block has some of its logs and not all: the ones that an audit would repair, and that must not need it.
@Suite("Continuity: blocks of which some logs are pushed")
struct CoverageTests {
    private static let event = SimulatedEvent(address: SimulatedChain.address(1))
    /// Of blocks with these alone nothing is asked for, as their blooms exclude the filter, and nothing is in front of the next.
    private static let other = SimulatedEvent(address: SimulatedChain.address(2))

    private static func start(bufferLimit: Int = 1 << 24) -> (ContinuityRun, ConsumerID) {
        var run = ContinuityRun(seed: 1)
        run.bufferLimit = bufferLimit
        let id = run.join(run.addFilter(LogFilter(address: SimulatedChain.address(1))))
        run.start()
        run.mine(2)
        return (run, id)
    }

    @Test("Edge case 98: a block that comes back is whole, though only some of its logs have been pushed again")
    func comesBack() {
        var (run, id) = Self.start()
        let first = run.chain.mine([Self.event, Self.event, Self.event])
        run.settle()
        run.chain.reorganise(depth: 1, events: [[]])
        run.settle()
        run.inSilence { $0.return(to: first.hash) }
        run.handle(.head(first.header))
        run.push(first, 0..<1)
        run.settle()
        run.mine(4)
        #expect(run.logs(id).count == 3)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("A block whose first logs came before the acknowledgement, and whose head after it, is asked for")
    func acknowledgedBetween() {
        var (run, id) = Self.start()
        run.disconnect()
        run.connect()
        let block = run.inSilence { $0.mine([Self.event, Self.event]) }
        run.acknowledgeAll()
        run.push(block, 1..<2)
        run.handle(.head(block.header))
        run.settle()
        run.mine(4)
        #expect(run.logs(id).count == 2)
        #expect(run.fold(id).rollbacks == 0)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("A block whose head was not pushed is asked for, though a log of it was pushed")
    func headNotPushed() {
        var (run, id) = Self.start()
        let block = run.inSilence { $0.mine([Self.event, Self.event]) }
        run.push(block, 0..<1)
        run.mine(5)
        #expect(run.logs(id).count == 2)
        #expect(run.fold(id).rollbacks == 0)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("A parent that does not link is not taken for one")
    func unlinked() {
        var (run, id) = Self.start()
        let branch = run.chain.announceAbandoned(depth: 1, length: 3, isServed: true)
        run.inSilence { $0.mine(blocks: [[], [], []]) }
        run.handle(.head(run.chain.head.header))
        run.answer(with: [.header(run.chain.head.header), .header(branch[1].header)])
        if branch.count > 1 { run.answer(with: [.header(branch[branch.count - 1].header), .header(branch[0].header)]) }
        run.settle()
        run.mine(2)
        #expect(run.fold(id).rollbacks == 0)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Logs that were let go while they waited for their block are asked for, though the last of them comes later")
    func letGoWhileWaiting() {
        var (run, id) = Self.start(bufferLimit: 2_000)
        let block = run.inSilence { $0.mine([Self.event, Self.event, Self.event, Self.event]) }
        run.push(block, 0..<3)
        #expect(run.machine.books[0].waiting.bytes < 500)
        run.handle(.head(block.header))
        run.push(block, 3..<4)
        run.settle()
        run.mine(4)
        #expect(run.logs(id).count == 4)
        #expect(run.fold(id).rollbacks == 0)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Where it was forgotten that logs of a block waited, its own and those of all blocks below are asked for")
    func dropped() {
        var (run, id) = Self.start(bufferLimit: 2_000)
        run.inSilence { $0.mine(blocks: Array(repeating: [Self.event, Self.event], count: 6)) }
        let blocks = run.chain.canonical.suffix(6)
        for block in blocks { run.push(block, 0..<1) }
        #expect(run.machine.books[0].waiting.droppedTo != nil)
        for block in blocks {
            run.handle(.head(block.header))
            run.push(block, 1..<2)
        }
        run.settle()
        run.mine(4)
        #expect(run.logs(id).count == 12)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Where it was forgotten that logs of a block waited, it is asked for though its bloom excludes them")
    func droppedUnderWrongBlooms() {
        var (run, id) = Self.start(bufferLimit: 2_000)
        run.mine(3, of: [Self.other])
        // Each bloom lacks its block's first log.
        run.chain.quirks.wrongBlooms = 100
        run.inSilence { $0.mine(blocks: Array(repeating: [Self.event, Self.other], count: 24)) }
        let blocks = run.chain.canonical.suffix(24)
        for block in blocks { run.push(block, 0..<1) }
        // Not only that the logs went: of the lowest blocks it is not known any more that there were any.
        #expect(run.machine.books[0].waiting.droppedTo != nil)
        for block in blocks { run.handle(.head(block.header)) }
        run.settle()
        run.mine(4, of: [Self.other])
        #expect(run.logs(id).count == 24)
        #expect(run.fold(id).rollbacks == 0)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Pushed logs that were lost on their way are asked for, also those of a block that is being told")
    func lostOnTheirWay() {
        var (run, id) = Self.start()
        run.mine(3, of: [Self.other])
        run.mine([Self.event, Self.event], pushing: 0..<1)
        #expect(run.logs(id).count == 1)
        run.handle(.logsLost(run.filters[0].id))
        run.settle()
        run.mine(4)
        #expect(run.logs(id).count == 2)
        #expect(run.fold(id).rollbacks == 0)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("A block that comes back is whole, though its logs had been let go and only one has been pushed again")
    func comesBackWithoutLogs() {
        var (run, id) = Self.start(bufferLimit: 2_000)
        let first = run.chain.mine([Self.event, Self.event, Self.event])
        run.settle()
        run.mine(2)
        let last = run.chain.head
        let branch = run.chain.canonical.suffix(3)
        #expect(run.machine.books[0].entries.bytes(of: first.number) == 0)
        run.chain.reorganise(depth: 3, events: [[], [], []])
        run.settle()
        run.inSilence { $0.return(to: last.hash) }
        for block in branch { run.handle(.head(block.header)) }
        run.push(first, 0..<1)
        run.settle()
        run.mine(4)
        #expect(run.logs(id).count == 3)
        #expect(run.fold(id).rollbacks == 2)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("A block whose head came before the acknowledgement is asked for, also where `latest` is behind it")
    func headBeforeAcknowledgement() {
        var (run, id) = Self.start()
        run.disconnect()
        run.connect()
        let before = run.chain.head.header
        let block = run.inSilence { $0.mine([Self.event, Self.event]) }
        run.handle(.head(block.header))
        run.acknowledgeAll()
        run.push(block, 1..<2)
        run.answer(with: [.header(before)])
        run.settle()
        run.mine(4)
        #expect(run.logs(id).count == 2)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("What was told before a connection was lost is asked for again: the rest may have been on its way")
    func lostWithTheConnection() {
        var (run, id) = Self.start()
        run.mine(3, of: [Self.other])
        let block = run.mine([Self.event, Self.event], pushing: 0..<1)
        run.mine(3, of: [Self.other])
        #expect(run.numbers(id).last == block.number + 3)
        run.disconnect()
        run.start()
        #expect(run.logs(id).count == 2)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("An answer that lacks logs that were pushed counts only when it is repeated")
    func lackingAnswer() {
        var (run, id) = Self.start()
        run.mine(3, of: [Self.other])
        run.chain.mine([Self.event, Self.event])
        run.settle()
        run.mine(3, of: [Self.other])
        run.disconnect()
        run.connect()
        run.acknowledgeAll()
        run.answerOne()
        run.answer(with: [.logs([])])
        run.settle()
        run.mine(4, of: [Self.other])
        #expect(run.logs(id).count == 2)
        #expect(run.fold(id).rollbacks == 0)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("A block whose logs were let go is asked for, though the last of them comes when there is room again")
    func letGoBeforeTheLast() {
        var (run, id) = Self.start(bufferLimit: 2_000)
        run.mine(3, of: [Self.other])
        run.pause(id)
        run.chain.mine([Self.event, Self.event])
        run.settle()
        #expect(run.machine.isPaused(id))
        let block = run.mine([Self.event, Self.event, Self.event, Self.event], pushing: 0..<3)
        #expect(run.machine.books[0].entries.bytes(of: block.number) == 0)
        run.resume(id)
        run.push(block, 3..<4)
        run.settle()
        run.mine(4, of: [Self.other])
        #expect(run.logs(id).count == 6)
        #expect(run.fold(id).rollbacks == 0)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Logs that come together and out of order: what was told behind the first place of them is told again")
    func outOfOrder() {
        var (run, id) = Self.start()
        run.mine(3, of: [Self.other])
        let block = run.mine([Self.event, Self.event, Self.event], pushing: 1..<2)
        run.handle(.logs(run.filters[0].id, [block.logs[2], block.logs[0]]))
        #expect(run.logs(id) == block.logs)
        run.mine(4, of: [Self.other])
        #expect(run.check(upTo: 2).isEmpty)
    }
}
