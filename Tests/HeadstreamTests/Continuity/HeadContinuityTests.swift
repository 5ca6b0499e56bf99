import EthereumTypes
import HeadstreamTesting
import Testing

@testable import Headstream

@Suite("Continuity of heads")
struct HeadContinuityTests {
    static let none: [SimulatedEvent] = []

    /// A node and one consumer of heads, at block 100; the stream begins with 101.
    static func start(
        _ quirks: SimulatedQuirks = SimulatedQuirks(),
        limits: ContinuityMachine.Limits = .init()
    ) -> (ContinuityRun, ConsumerID) {
        var run = ContinuityRun(seed: 1, quirks: quirks, limits: limits)
        let id = run.join()
        run.start()
        return (run, id)
    }

    @Test("A quiet chain costs one request for the connection and none a block")
    func quiet() {
        var (run, id) = Self.start()
        #expect(run.requestCount == 1)
        run.mine(50)
        #expect(run.numbers(id) == Array(101...150))
        #expect(run.requestCount == 1)
        #expect(run.fold(id).rollbacks == 0)
        #expect(run.fold(id).isCaughtUp)
    }

    @Test("Edge cases 67 and 86: heads that jump over blocks; the blocks between are told first")
    func jump() {
        var (run, id) = Self.start()
        run.mine(3)
        run.chain.mine(blocks: [Self.none, Self.none, Self.none])
        run.settle()
        run.chain.mine(blocks: Array(repeating: Self.none, count: 70))
        run.settle()
        #expect(run.numbers(id) == Array(101...176))
        #expect(run.fold(id).rollbacks == 0)
        #expect(run.check().isEmpty)
    }

    @Test("Edge cases 68, 86 and 87: the same height again, a longer and a shorter branch, one head announced")
    func reorganisations() {
        for (depth, length) in [(1, 1), (1, 2), (3, 4), (3, 1), (3, 3), (12, 2), (40, 41)] {
            var (run, id) = Self.start()
            run.mine(50)
            run.chain.reorganise(depth: depth, events: Array(repeating: [], count: length))
            run.settle()
            #expect(run.numbers(id) == Array(101...UInt64(150 - depth + length)), "\(depth) left, \(length) won")
            #expect(run.fold(id).rollbacks == 1)
            #expect(run.check().isEmpty)
        }
    }

    @Test("A reorganisation of depth 64 is followed in a few batches, not one request a block")
    func deep() {
        var (run, _) = Self.start()
        run.mine(100)
        let before = run.requestCount
        run.chain.reorganise(depth: 64, events: Array(repeating: [], count: 65))
        run.settle()
        #expect(run.check().isEmpty)
        // `latest`, 7 batches at most, and the check afterwards.
        #expect(run.requestCount - before <= 10)
    }

    @Test("Edge case 70: a block that is reorganised out and in again is told, taken back, told")
    func backIn() {
        var (run, id) = Self.start()
        run.mine(5)
        let first = run.chain.head.hash
        run.chain.reorganise(depth: 1, events: [[]])
        run.settle()
        #expect(run.fold(id).blocks.last?.ref.hash != first)
        run.chain.return(to: first)
        run.settle()
        #expect(run.fold(id).blocks.last?.ref.hash == first)
        #expect(run.fold(id).rollbacks == 2)
        #expect(run.check().isEmpty)
    }

    @Test("Edge case 72: a parent that the answering backend does not have is asked for again, without a gap")
    func lagging() {
        var (run, id) = Self.start()
        run.mine(5)
        run.chain.mine(blocks: [Self.none, Self.none, Self.none])
        run.collect()
        run.deliverOne()
        run.answer(with: [.header(run.chain.head.header), .header(nil)])
        run.answer(with: [.header(nil), .header(nil)])
        run.settle()
        #expect(run.numbers(id) == Array(101...108))
        #expect(run.fold(id).gaps.isEmpty)
    }

    @Test("Edge case 76: more blocks than the limit are a gap that names them, and the stream goes on")
    func beyondLimit() {
        var (run, id) = Self.start(limits: .init(blocks: 24))
        run.mine(5)
        run.disconnect()
        run.chain.mine(blocks: Array(repeating: Self.none, count: 100))
        run.start()
        #expect(run.fold(id).gaps == [106...204])
        run.mine(3)
        #expect(run.numbers(id) == Array(101...105) + Array(205...208))
        #expect(run.check().isEmpty)
    }

    @Test("Edge case 77: a second reorganisation while the first is being reconciled")
    func secondMeanwhile() {
        var (run, _) = Self.start()
        run.mine(30)
        run.chain.reorganise(depth: 5, events: Array(repeating: [], count: 6))
        run.collect()
        run.deliverOne()
        run.answerOne()
        run.chain.reorganise(depth: 10, events: Array(repeating: [], count: 12))
        run.settle()
        #expect(run.check().isEmpty)
        #expect(!run.folds.contains { !$0.gaps.isEmpty })
    }

    @Test(
        "Edge cases 77 and 99: a reorganisation below the stream's start takes everything back and tells the new branch"
    )
    func belowStart() {
        var run = ContinuityRun(seed: 2)
        run.inSilence { $0.mine(blocks: Array(repeating: [], count: 20)) }
        let id = run.join()
        run.start()
        run.mine(3)
        #expect(run.numbers(id) == [121, 122, 123])
        run.chain.reorganise(depth: 15, events: Array(repeating: [], count: 17))
        run.settle()
        #expect(run.numbers(id) == [121, 122, 123, 124, 125])
        #expect(run.fold(id).gaps.isEmpty)
        #expect(run.check().isEmpty)
    }

    @Test("Deeper than what is remembered: the gap names what may be void")
    func tooDeep() {
        var (run, id) = Self.start(limits: .init(blocks: 24))
        run.mine(200)
        run.chain.reorganise(depth: 150, events: Array(repeating: [], count: 151))
        run.settle()
        #expect(run.fold(id).gaps.map(\.lowerBound).min() == 101)
        run.mine(3)
        #expect(run.check().isEmpty)
    }

    @Test("Edge case 78: blocks reorganised while the connection was down")
    func downtime() {
        var (run, id) = Self.start()
        run.mine(10)
        run.disconnect()
        run.chain.reorganise(depth: 4, events: Array(repeating: [], count: 9))
        run.start()
        #expect(run.numbers(id) == Array(101...115))
        #expect(run.fold(id).rollbacks == 1)
        #expect(run.check().isEmpty)
    }

    @Test("Edge case 80: genesis, many blocks a second, and pending blocks without number or hash")
    func oddities() {
        var run = ContinuityRun(seed: 3, number: 0)
        run.chain.secondsPerBlock = 0
        let id = run.join(origin: .block(0))
        run.start()
        #expect(run.numbers(id) == [0])
        run.mine(30)
        var pending = run.chain.head.header
        pending.present.remove(.number)
        run.handle(.head(pending))
        #expect(run.requests.isEmpty)
        pending = run.chain.head.header
        pending.present.remove(.hash)
        run.handle(.head(pending))
        run.settle()
        #expect(run.numbers(id) == Array(0...30))
        #expect(run.fold(id).rollbacks == 0)
    }

    @Test("Edge case 15: a chain whose pushed hash is not the one it answers with: no rollback, each block once")
    func otherHashes() {
        var quirks = SimulatedQuirks()
        quirks.pushesOtherHashes = true
        var (run, id) = Self.start(quirks)
        run.mine(20)
        #expect(run.numbers(id) == Array(101...120))
        #expect(run.fold(id).rollbacks == 0)
        run.chain.reorganise(depth: 3, events: Array(repeating: [], count: 4))
        run.settle()
        #expect(run.fold(id).rollbacks == 1)
        #expect(run.check().isEmpty)
    }

    @Test("Edge case 88: an ancestor announced again moves nothing")
    func ancestorAgain() {
        var (run, id) = Self.start()
        run.mine(10)
        for number in [UInt64(105), 110, 108] {
            if let header = run.chain.block(.number(number))?.header { run.handle(.head(header)) }
        }
        run.settle()
        run.mine(3)
        #expect(run.numbers(id) == Array(101...113))
        #expect(run.fold(id).rollbacks == 0)
    }

    @Test("A real rewind is followed once `latest` repeats it two block times later")
    func rewind() {
        var (run, id) = Self.start()
        run.mine(10)
        run.chain.rewind(depth: 4)
        run.collect()
        run.deliverOne()
        #expect(run.fold(id).rollbacks == 0)
        run.settle()
        #expect(run.numbers(id) == Array(101...106))
        run.mine(2)
        #expect(run.numbers(id) == Array(101...108))
        #expect(run.check().isEmpty)
    }

    @Test("A backend that lags causes no rollback")
    func laggingLatest() {
        var (run, id) = Self.start()
        run.mine(10)
        run.handle(.stalled)
        run.answer(with: [.header(run.chain.block(.number(107))?.header)])
        run.mine(1)
        run.handle(.stalled)
        run.answer(with: [.header(run.chain.block(.number(105))?.header)])
        run.settle()
        #expect(run.numbers(id) == Array(101...111))
        #expect(run.fold(id).rollbacks == 0)
    }

    @Test("Edge case 99: a head whose parents nobody serves ends in the node's own chain, without a gap")
    func unservedParents() {
        var (run, id) = Self.start()
        run.mine(10)
        for block in run.chain.announceAbandoned(depth: 3, length: 6, isServed: false) {
            run.announced[block.hash] = block
        }
        run.settle()
        run.mine(2)
        #expect(run.numbers(id) == Array(101...112))
        #expect(run.fold(id).gaps.isEmpty)
        #expect(run.check().isEmpty)
    }

    @Test("Edge case 99: where the node gives no parents at all, the reconciliation ends in a gap and goes on")
    func noParents() {
        var (run, id) = Self.start()
        run.mine(5)
        run.disconnect()
        run.inSilence { $0.mine(blocks: Array(repeating: [], count: 20)) }
        run.connect()
        run.acknowledgeAll()
        run.answerUntilGap(of: id, steps: 200) { run, call in
            if case .header(.latest) = call { return .header(run.chain.head.header) }
            return .header(nil)
        }
        // Of what had been told the node confirms nothing either: it is named too.
        #expect(run.fold(id).gaps.last?.upperBound == 124)
        run.settle()
        run.mine(3)
        #expect(run.fold(id).blocks.last?.ref.number == 128)
        #expect(run.check().isEmpty)
    }

    @Test("Heads of an old connection, its answers and its deadlines change nothing")
    func oldConnection() {
        var (run, id) = Self.start()
        run.mine(5)
        run.handle(.stalled)
        let old = run.requests
        run.disconnect()
        run.handle(.head(run.chain.head.header))
        for request in old { run.handle(.answered(request.request.token, [.header(nil)])) }
        #expect(run.machine.nextDeadline == nil)
        run.start()
        run.mine(1)
        #expect(run.numbers(id) == Array(101...106))
    }

    @Test("A consumer that pauses keeps its place and is told what came meanwhile, or what of it is void")
    func pause() {
        var (run, _) = Self.start()
        // Each event fills what there is.
        run.bufferLimit = 4
        let id = run.join(origin: .block(101))
        run.mine(5)
        run.pause(id)
        run.mine(20)
        run.chain.reorganise(depth: 22, events: Array(repeating: [], count: 24))
        run.settle()
        // The first of them filled what there is.
        #expect(run.numbers(id) == Array(101...106))
        run.resume(id)
        #expect(run.numbers(id) == Array(101...127))
        #expect(run.fold(id).rollbacks == 1)
        #expect(run.check().isEmpty)
    }

    @Test("Edge case 102: confirmations, safe and final heads come once, in order; finality does not move back")
    func levels() {
        var quirks = SimulatedQuirks()
        quirks.finalityMovesBack = 50
        var (run, latest) = Self.start(quirks)
        let confirmed = run.join(finality: .confirmations(3))
        let safe = run.join(finality: .safe)
        let final = run.join(finality: .finalized, isToldFinality: true)
        run.mine(30)
        run.chain.reorganise(depth: 2, events: Array(repeating: [], count: 3))
        run.settle()
        run.mine(30)
        #expect(run.fold(latest).rollbacks == 1)
        #expect(run.fold(confirmed).rollbacks == 0)
        #expect(run.fold(final).rollbacks == 0)
        #expect(run.numbers(confirmed).last == run.chain.head.number - 3)
        #expect(run.numbers(safe).last ?? 0 >= run.chain.head.number - 12)
        #expect(run.fold(final).finalized >= run.chain.head.number - 40)
        #expect(run.numbers(final).last == run.fold(final).finalized)
        #expect(run.problems.isEmpty)
    }

    @Test("A node that takes back what it called final ends a stream of final blocks")
    func finalityViolated() {
        var quirks = SimulatedQuirks()
        quirks.violatesFinality = true
        var (run, _) = Self.start(quirks)
        let final = run.join(finality: .finalized)
        run.mine(40)
        #expect(run.numbers(final).count > 5)
        run.chain.reorganise(depth: 38, events: Array(repeating: [], count: 39))
        run.settle()
        guard case .finalityViolated? = run.fold(final).failure else {
            Issue.record("\(String(describing: run.fold(final).failure))")
            return
        }
    }

    @Test("Finality is asked for on heads, as seldom as it moves, and told once a block; items alone cost nothing")
    func finalityTold() {
        var (run, plain) = Self.start()
        run.mine(40)
        #expect(run.callCount == 1)
        let told = run.join(isToldFinality: true)
        run.mine(60)
        // Here it moves with every block, and `safe`, which nobody wants, is not asked for.
        #expect(run.callCount <= 1 + 62)
        #expect(run.fold(told).finalized >= run.chain.head.number - 10)
        #expect(run.fold(plain).finalized == 0)
        #expect(run.problems.isEmpty)
        run.leave(told)
        let before = run.callCount
        run.mine(20)
        #expect(run.callCount == before)
    }

    @Test("A chain without finality is asked for it ever more seldom")
    func noFinality() {
        var (run, _) = Self.start()
        let told = run.join(isToldFinality: true)
        run.nullFinality = true
        run.mine(128)
        #expect(run.callCount <= 1 + 10)
        #expect(run.fold(told).finalized == 0)
        #expect(run.numbers(told).count == 128)
    }

    @Test("A consumer of another level is asked for at once, however seldom the others are")
    func laterLevel() {
        var (run, _) = Self.start()
        run.join(isToldFinality: true)
        run.nullFinality = true
        run.mine(100)
        run.nullFinality = false
        let before = run.callCount
        let safe = run.join(finality: .safe)
        run.settle()
        #expect(run.callCount == before + 2)
        run.mine(40)
        #expect(run.numbers(safe).count > 5)
    }
}
