import EthereumTypes
import Foundation
import HeadstreamJSON
import HeadstreamRPC
import HeadstreamTesting
import Testing

@testable import Headstream

@Suite("Continuity of logs")
struct LogContinuityTests {
    static let filter = LogFilter(address: SimulatedChain.address(1))
    static let event = SimulatedEvent(address: SimulatedChain.address(1), topics: [SimulatedChain.topic(0)])
    static let other = SimulatedEvent(address: SimulatedChain.address(2), topics: [SimulatedChain.topic(0)])

    /// A node and one consumer of one contract's logs, at block 100; the stream begins with 101.
    static func start(
        _ quirks: SimulatedQuirks = SimulatedQuirks(),
        audit: Int = 32,
        delivery: LogDelivery = .pushed,
        limits: ContinuityMachine.Limits = .init(),
        bufferLimit: Int = 1 << 24
    ) -> (ContinuityRun, ConsumerID) {
        var run = ContinuityRun(seed: 1, quirks: quirks, limits: limits)
        run.bufferLimit = bufferLimit
        let id = run.join(run.addFilter(Self.filter, audit: audit, delivery: delivery))
        run.start()
        return (run, id)
    }

    @Test("Pushed logs are told at once, without a request; 32 blocks cost one audit of three calls")
    func pushed() {
        var (run, id) = Self.start()
        run.chain.mine([Self.event, Self.other, Self.event])
        run.collect()
        while run.deliverOne() {}
        #expect(run.logs(id).count == 2)
        #expect(run.requestCount == 1)
        for _ in 0..<40 {
            run.chain.mine([Self.event])
            run.settle()
        }
        #expect(run.logs(id).count == 42)
        #expect(run.requestCount == 2)
        #expect(run.callCount == 4)
        #expect(run.fold(id).rollbacks == 0)
    }

    @Test("In a burst audits wait, no longer than there is room for what waits; behind it all are made")
    func burst() {
        var limits = ContinuityMachine.Limits(blocks: 256)
        limits.auditedPerSecond = 10_000
        var (run, id) = Self.start(limits: limits)
        run.slowestAnswer = 1
        func mine(_ blocks: Int) {
            for _ in 0..<blocks {
                run.chain.mine([Self.event, Self.event])
                run.settle(deadlines: 0)
            }
        }
        mine(160)
        #expect(run.logs(id).count == 320)
        // `latest` alone.
        #expect(run.requestCount == 1)
        // As many blocks wait as the limit has: nothing may be forgotten that was not audited.
        mine(400)
        let audited = run.requestCount - 1
        #expect((9...11).contains(audited), "\(audited)")
        #expect(run.fold(id).gaps.isEmpty)
        // When nothing is pushed any more the others are made, one after the other and without a pause.
        let end = run.now
        run.settle()
        #expect((16...17).contains(run.requestCount - 1), "\(run.requestCount)")
        #expect(run.now - end < 2_000_000_000)
        #expect(run.machine.nextDeadline == nil)
        #expect(run.check(upTo: 2).isEmpty)
        #expect(run.fold(id).rollbacks == 0)
    }

    @Test("In a burst so many bytes are audited a second; what goes on for longer than five seconds is none")
    func pace() {
        var limits = ContinuityMachine.Limits()
        limits.auditedPerSecond = 6_000
        var (run, id) = Self.start(limits: limits)
        run.slowestAnswer = 1
        /// Ten blocks a second. 32 of them weigh 25,600 bytes, of which so many are asked for in 4.3 seconds.
        func mine(_ blocks: Int) {
            for _ in 0..<blocks {
                run.now += 100_000_000
                run.chain.mine([Self.event, Self.event])
                run.settle(deadlines: 0)
            }
        }
        mine(36)
        #expect(run.requestCount == 1)
        mine(12)
        #expect(run.requestCount == 2)
        mine(552)
        #expect(run.logs(id).count == 1_200)
        #expect(run.requestCount == 1 + 598 / 32)
    }

    @Test("What was told is audited while nobody reads, too")
    func auditWhilePaused() {
        var limits = ContinuityMachine.Limits()
        limits.auditedPerSecond = 1_000
        var (run, id) = Self.start(limits: limits, bufferLimit: 20_000)
        run.slowestAnswer = 1
        func mine(_ blocks: Int) {
            for _ in 0..<blocks {
                run.chain.mine([Self.event])
                run.settle(deadlines: 0)
            }
        }
        mine(40)
        run.pause(id)
        mine(20)
        #expect(run.machine.isPaused(id))
        #expect(run.machine.books[0].entries.keys >= 50)
        run.settle()
        // Those that were audited have none.
        #expect(run.machine.books[0].entries.keys < 30)
        run.resume(id)
        run.settle()
        #expect(run.logs(id).count == 60)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("What a consumer has not been told yet is not audited for it, though another one is further")
    func auditOfUntold() {
        var (run, id) = Self.start(bufferLimit: 20_000)
        run.pause(id)
        for _ in 0..<10 {
            run.chain.mine([Self.event])
            run.settle()
        }
        #expect(run.machine.isPaused(id))
        run.mine([Self.event, Self.event], pushing: 1..<2)
        run.mine(20, of: [Self.other])
        run.join(run.filters[0].id)
        run.mine(20, of: [Self.other])
        run.resume(id)
        run.settle()
        run.mine(40, of: [Self.other])
        #expect(run.logs(id).count == 12)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Logs that one consumer was told of are kept for another that reads more slowly, as far as there is room")
    func keptForOthers() {
        var (run, _) = Self.start(bufferLimit: 20_000)
        let slow = run.join(run.filters[0].id)
        run.settle()
        run.pause(slow)
        for _ in 0..<20 {
            run.chain.mine([Self.event])
            run.settle(deadlines: 0)
        }
        #expect(run.machine.isPaused(slow))
        let before = run.requestCount
        run.resume(slow)
        run.settle(deadlines: 0)
        #expect(run.logs(slow).count == 20)
        #expect(run.requestCount == before)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Blocks that the window forgets before an audit was answered are in a gap, and audits go on behind it")
    func unansweredAudit() {
        var (run, id) = Self.start(limits: ContinuityMachine.Limits(blocks: 64))
        for _ in 0..<34 {
            run.chain.mine([Self.event])
            run.settle()
        }
        // The next audit is not answered: 64 blocks, a quarter more, and 64.
        let asked = run.requestCount
        for _ in 0..<200 {
            run.chain.mine([Self.event])
            run.collect()
            while run.deliverOne() {}
        }
        #expect(run.requestCount == asked + 1)
        let gaps = run.fold(id).gaps
        #expect(gaps.count == 1)
        // All that waited for it, as far as it had been told.
        #expect(gaps.first.map { (144...146).contains($0.count) } == true, "\(gaps)")
        run.settle()
        let answered = run.requestCount
        for _ in 0..<64 {
            run.chain.mine([Self.event])
            run.settle()
        }
        #expect(run.requestCount <= answered + 4)
        #expect(run.fold(id).gaps.count == 1)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("No audit waits where so many logs do that their keys would take too much room")
    func keysOfABurst() {
        var limits = ContinuityMachine.Limits()
        limits.auditedPerSecond = 10_000
        limits.unauditedKeys = 200
        var (run, id) = Self.start(limits: limits)
        run.slowestAnswer = 1
        var most = 0
        for _ in 0..<400 {
            run.chain.mine([Self.event, Self.event])
            run.settle(deadlines: 0)
            most = max(most, run.machine.books[0].entries.keys)
        }
        // Until an audit of 32 blocks has made room.
        #expect(most <= 204)
        #expect(run.requestCount > 8)
        #expect(run.logs(id).count == 800)
    }

    @Test("Audits that wait are made at once when no block will come any more")
    func burstAtTheEnd() {
        var limits = ContinuityMachine.Limits()
        limits.auditedPerSecond = 10_000
        var (run, id) = Self.start(limits: limits)
        for _ in 0..<160 {
            run.chain.mine([Self.event, Self.event])
            run.settle(deadlines: 0)
        }
        #expect(run.requestCount == 1)
        run.handle(.over)
        run.settle(deadlines: 0)
        // `latest` twice, and all four.
        #expect(run.requestCount >= 6)
        #expect(run.logs(id).count == 320)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("A sparse filter costs 0.3 requests a block at most, its audits included")
    func cost() {
        var (run, id) = Self.start()
        let before = run.callCount
        run.mine(320, logs: 1)
        #expect(Double(run.callCount - before) / 320 <= 0.3)
        #expect(run.check(upTo: 2).isEmpty)
        #expect(run.fold(id).rollbacks == 0)
    }

    @Test(
        "Under the blooms of real mainnet blocks, which match by chance, a sparse filter costs 0.3 calls a block at most"
    )
    func mainnetCost() throws {
        let lines = try String(contentsOfFile: Fixture.path("chain/headers.jsonl"), encoding: .utf8).split(
            separator: "\n"
        )
        let headers = try lines.compactMap { line -> BlockHeader? in
            guard line.contains("mainnet"), let value = try JSONValue(parsing: String(line))["value"] else {
                return nil
            }
            let text = ResponseBytes(value.description)
            guard let header = try? text.withBytes({ try Results.decode($0, as: BlockHeader.self) }) else { return nil }
            return header.computedHash() == header.hash && header.logsBloom != Bloom() ? header : nil
        }
        #expect(headers.count >= 20)
        var (calls, blocks) = (0, 0)
        for index in 0..<20 {
            var run = ContinuityRun(seed: UInt64(index))
            // A contract that no block has logs of, and on every other run one of its events.
            let address = Address(w0: 0x5eed, w1: UInt64(index) &* 0x9E37_79B9_7F4A_7C15, w2: UInt32(index))
            let topics: [LogFilter.Topic] = index % 2 == 0 ? [] : [.exactly(Hash32(w0: 1, w1: 2, w2: 3, w3: 4))]
            let id = run.join(run.addFilter(LogFilter(address: address, topics: topics)))
            run.start()
            let before = run.callCount
            for header in headers + headers + headers + headers {
                var next = header
                next.number = run.chain.head.number + 1
                next.parentHash = run.chain.head.hash
                next.hash = next.computedHash() ?? .zero
                let isAdopted = run.chain.adopt([SimulatedBlock(header: next)])
                #expect(isAdopted)
                run.settle()
                blocks += 1
            }
            calls += run.callCount - before
            #expect(run.check(upTo: 2).isEmpty)
            #expect(run.fold(id).rollbacks == 0)
        }
        let cost = Double(calls) / Double(blocks)
        #expect(cost <= 0.3, "\(cost) calls a block over \(headers.count) headers")
    }

    @Test("Edge cases 69, 89 and 90: `removed` comes, twice, or never: the same is told", arguments: [0, 1, 2])
    func removed(times: Int) throws {
        var quirks = SimulatedQuirks()
        quirks.noRemovedLogs = times == 0
        quirks.doubledRemovedLogs = times == 2
        var (run, id) = Self.start(quirks)
        for _ in 0..<10 {
            run.chain.mine([Self.event])
            run.settle()
        }
        run.chain.reorganise(depth: 3, events: [[Self.event], [], [Self.other], [Self.event, Self.event]])
        run.settle()
        run.mine(3)
        #expect(run.fold(id).rollbacks == 1)
        #expect(run.check(upTo: 2).isEmpty)
        #expect(run.logs(id).count == 10)
    }

    @Test("A `removed` log alone proves nothing: it only makes the session ask for `latest`")
    func removedAlone() throws {
        var (run, id) = Self.start()
        run.chain.mine([Self.event])
        run.settle()
        let before = run.requestCount
        var log = try #require(run.chain.head.logs.first)
        log.removed = true
        run.handle(.logs(run.filters[0].id, [log]))
        #expect(run.requestCount == before + 1)
        run.settle()
        #expect(run.logs(id).count == 1)
        #expect(run.fold(id).rollbacks == 0)
    }

    @Test(
        "Edge cases 71 and 89: a plain sequence tells removed logs highest first, also over a boundary of backfilled ones"
    )
    func plain() throws {
        var (run, id) = Self.start()
        for _ in 0..<3 {
            run.chain.mine([Self.event, Self.event])
            run.settle()
        }
        run.disconnect()
        run.inSilence { $0.mine(blocks: [[Self.event], [Self.event, Self.event]]) }
        run.start()
        run.mine(3)
        run.settle()
        let told = run.logs(id)
        #expect(told.count == 9)

        var plain = PlainLogs()
        for log in told { _ = try plain.take(.logs([log])) }
        let to = run.chain.canonical[1].header
        let removed = try plain.take(.rollback(to: BlockRef(to), removed: []))
        #expect(removed.count == 7)
        #expect(!removed.contains { !$0.removed })
        let expected = told.dropFirst(2).reversed().map { ($0.blockNumber, $0.logIndex) }
        #expect(zip(removed, expected).allSatisfy { $0.blockNumber == $1.0 && $0.logIndex == $1.1 })

        var short = PlainLogs(rollbackMemory: 3 * MemoryLayout<Log>.stride)
        for log in told { _ = try short.take(.logs([log])) }
        #expect(throws: PlainStreamFailure.rollbackBeyondMemory(BlockRef(to))) {
            try short.take(.rollback(to: BlockRef(to), removed: []))
        }
        #expect(throws: PlainStreamFailure.gap(5...6, .unavailable)) { try plain.take(.gap(5...6, .unavailable)) }
    }

    @Test("What is remembered for rollbacks is what a plain list would hold", arguments: UInt64(1)...10)
    func memoryOfRollbacks(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let memory = 100 * ContinuityEvent.weight(of: Log())
        var plain = PlainLogs(rollbackMemory: memory)
        var told: [Log] = []
        var forgottenTo: UInt64 = 0
        var tip: UInt64 = 1000
        var rollbacks = 0
        for _ in 0..<2000 {
            switch Int.random(in: 0..<20, using: &random) {
            case 0:
                let to = BlockRef(number: tip - UInt64.random(in: 0..<12, using: &random), hash: .zero)
                guard forgottenTo <= to.number else {
                    #expect(throws: PlainStreamFailure.rollbackBeyondMemory(to), "seed \(seed)") {
                        try plain.take(.rollback(to: to, removed: []))
                    }
                    continue
                }
                let removed = try plain.take(.rollback(to: to, removed: []))
                let void = told.filter { $0.blockNumberValue > to.number }
                #expect(removed.map(\.logIndexValue) == void.reversed().map(\.logIndexValue), "seed \(seed)")
                #expect(!removed.contains { !$0.removed })
                told.removeAll { $0.blockNumberValue > to.number }
                tip = to.number
                rollbacks += removed.isEmpty ? 0 : 1
            case 1:
                let final = BlockRef(number: tip - UInt64.random(in: 60..<150, using: &random), hash: .zero)
                _ = try plain.take(.finalized(final))
                told.removeAll { $0.blockNumberValue <= final.number }
            default:
                tip += 1
                var log = Log()
                log.blockNumber = tip
                log.logIndex = random.next() >> 1
                _ = try plain.take(.logs([log]))
                told.append(log)
                if told.count > 100 { forgottenTo = max(forgottenTo, told.removeFirst().blockNumberValue) }
            }
        }
        #expect(rollbacks > 20)
    }

    @Test(
        "Edge case 70: reorganised out and in again; log indexes that repeat: equal keys with different content are two"
    )
    func identity() throws {
        var quirks = SimulatedQuirks()
        quirks.repeatedLogIndexes = true
        var (run, id) = Self.start(quirks)
        run.chain.mine(Array(repeating: Self.event, count: 12))
        run.settle()
        let keys = run.logs(id).map { "\($0.transactionIndex ?? 0)/\($0.logIndex ?? 0)" }
        #expect(keys.count == 12)
        #expect(Set(keys).count < 12)
        let first = run.chain.head.hash
        run.chain.reorganise(depth: 1, events: [[Self.other]])
        run.settle()
        run.chain.return(to: first)
        run.settle()
        run.mine(3)
        #expect(run.logs(id).count == 12)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test(
        "Edge case 73: `[]` for a block that is not indexed yet does not count; its logs come later, without a rollback"
    )
    func notIndexed() {
        var quirks = SimulatedQuirks()
        quirks.unindexedBlocks = 1
        quirks.omittedLogs = 100
        var (run, id) = Self.start(quirks)
        for _ in 0..<10 {
            run.chain.mine([Self.event])
            run.settle()
        }
        run.mine(2)
        #expect(run.logs(id).count == 10)
        #expect(run.fold(id).rollbacks == 0)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Edge case 74: ranges of 5 blocks and answers of 4 logs at most; the limits are learnt")
    func limits() {
        var quirks = SimulatedQuirks()
        quirks.maxRange = 5
        quirks.maxResults = 4
        var (run, id) = Self.start(quirks)
        run.disconnect()
        run.inSilence { $0.mine(blocks: Array(repeating: [Self.event, Self.event], count: 60)) }
        run.start()
        run.mine(3)
        #expect(run.logs(id).count == 120)
        #expect(run.fold(id).gaps.isEmpty)
        #expect(run.machine.planner.span <= 5)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Edge case 74: a head that comes during the backfill, and live logs that overlap with it by a block")
    func overlap() {
        var (run, id) = Self.start()
        run.disconnect()
        run.inSilence { $0.mine(blocks: Array(repeating: [Self.event], count: 10)) }
        run.connect()
        run.acknowledgeAll()
        run.chain.mine([Self.event, Self.event])
        run.collect()
        run.answerOne()
        run.chain.mine([Self.event])
        run.collect()
        while run.deliverOne() {}
        run.settle()
        run.mine(2)
        #expect(run.logs(id).count == 13)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Edges 74 and 114: a rate limit is waited for, and costs nothing that was told")
    func rateLimit() {
        var (run, id) = Self.start()
        run.disconnect()
        run.inSilence { $0.mine(blocks: Array(repeating: [Self.event], count: 10)) }
        run.connect()
        run.acknowledgeAll()
        run.answerOne()
        let count = run.requestCount
        run.handle(.failed(run.requests.removeFirst().request.token, .rateLimited(retryAfter: 5_000_000_000)))
        #expect(run.requestCount == count)
        let deadline = run.machine.nextDeadline ?? 0
        #expect(deadline >= run.now + 5_000_000_000)
        run.now = deadline
        run.handle(.deadlineReached)
        #expect(run.requestCount > count)
        run.settle()
        run.mine(2)
        #expect(run.logs(id).count == 10)
        #expect(run.fold(id).gaps.isEmpty)
    }

    @Test("Edge case 75: a block that cannot be had is a gap of its own; what came live meanwhile is told")
    func unavailable() {
        var quirks = SimulatedQuirks()
        quirks.maxResults = 2
        var (run, id) = Self.start(quirks)
        run.disconnect()
        run.inSilence { $0.mine(blocks: [[Self.event], [Self.event, Self.event, Self.event], [Self.event]]) }
        run.connect()
        run.acknowledgeAll()
        run.chain.mine([Self.event])
        run.settle(deadlines: 60)
        run.mine(2)
        run.settle(deadlines: 60)
        #expect(run.fold(id).gaps == [102...102])
        #expect(run.logs(id).compactMap(\.blockNumber) == [101, 103, 104])
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Edge case 76: beyond the limit the gap begins behind the last audited block, and the stream goes on")
    func beyondLimit() {
        var (run, id) = Self.start(limits: .init(blocks: 24))
        run.mine(5, logs: 2)
        run.disconnect()
        run.inSilence { $0.mine(blocks: Array(repeating: [Self.event], count: 100)) }
        run.start()
        #expect(run.fold(id).gaps == [101...204])
        for _ in 0..<5 {
            run.chain.mine([Self.event])
            run.settle()
        }
        #expect(run.logs(id).last?.blockNumber == 210)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Edge case 91: a block's logs before its head, after it, and after the next head")
    func order() {
        for seed in UInt64(0)..<20 {
            var (run, id) = Self.start()
            run.random = SeededGenerator(seed: seed)
            for _ in 0..<12 {
                run.chain.mine([Self.event, Self.event])
                run.collect()
                if seed % 3 != 0 { run.deliverOne() }
            }
            run.settle()
            run.mine(3)
            #expect(run.logs(id).count == 24, "seed \(seed)")
            #expect(run.check(upTo: 2).isEmpty, "seed \(seed)")
        }
    }

    @Test("Edge case 98: the head flips A, B, A, and removed and new logs come in any order: nothing lost, no orphan")
    func flip() {
        for seed in UInt64(0)..<40 {
            var (run, _) = Self.start()
            run.random = SeededGenerator(seed: seed)
            run.swappedPushes = 50
            run.chain.mine([Self.event, Self.event])
            run.settle()
            let first = run.chain.head.hash
            run.chain.reorganise(depth: 1, events: [[Self.event, Self.other, Self.event]])
            run.collect()
            run.chain.return(to: first)
            run.collect()
            run.settle()
            run.mine(3)
            #expect(run.check(upTo: 2).isEmpty, "seed \(seed)")
        }
    }

    @Test("Edge case 98: a block's logs are never pushed though its head was: asked for, in their place")
    func neverPushed() {
        var quirks = SimulatedQuirks()
        quirks.omittedLogs = 100
        var (run, id) = Self.start(quirks)
        for _ in 0..<8 {
            run.chain.mine([Self.event])
            run.settle()
        }
        run.mine(2)
        #expect(run.logs(id).compactMap(\.blockNumber) == Array(101...108))
        #expect(run.fold(id).rollbacks == 0)
    }

    @Test("Some of a block's logs are never pushed: the audit finds it, and the blocks are told again rightly")
    func audit() {
        var (run, id) = Self.start()
        for number in UInt64(101)...110 {
            run.chain.mine([Self.event, Self.event])
            run.collect()
            if number == 105 { run.pushed[1].removeFirst() }
            run.settle()
        }
        #expect(run.logs(id).count == 19)
        run.mine(32)
        #expect(run.logs(id).count == 20)
        #expect(run.fold(id).rollbacks == 1)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Ranges are witnessed by a block above: what a node that was set back has not indexed yet is not taken back")
    func witness() {
        var quirks = SimulatedQuirks()
        quirks.unindexedBlocks = 1
        var (run, id) = Self.start(quirks, audit: 8)
        for _ in 0..<10 {
            run.chain.mine([Self.event])
            run.collect()
            while run.deliverOne() {}
        }
        // The audit of the first eight is under way.
        #expect(run.requests.count == 1)
        run.inSilence { $0.rewind(depth: 2) }
        run.settle(deadlines: 0)
        #expect(run.logs(id).compactMap(\.blockNumber).prefix(8) == Array(101...108)[...])
        run.mine(3)
        #expect(run.fold(id).rollbacks == 1)
        #expect(run.logs(id).compactMap(\.blockNumber) == Array(101...108))
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test(
        "`audit: 1` and `delivery: .fetched` tell a block when an answer has closed it: no rollback for missing pushes"
    )
    func held() {
        for delivery in [LogDelivery.pushed, .fetched] {
            var quirks = SimulatedQuirks()
            quirks.omittedLogs = 40
            var (run, id) = Self.start(quirks, audit: 1, delivery: delivery)
            for _ in 0..<20 {
                run.chain.mine([Self.event, Self.event])
                run.settle()
            }
            run.mine(2)
            #expect(run.logs(id).count == 40)
            #expect(run.fold(id).rollbacks == 0)
            #expect(run.check(upTo: 2).isEmpty)
        }
    }

    @Test(
        "Edge case 100: a range beyond the backend's head is partial, unknown and fresh blocks are `[]`: nothing is lost"
    )
    func partial() {
        for seed in UInt64(0)..<30 {
            var quirks = SimulatedQuirks()
            quirks.lag = 3
            quirks.emptyForUnknownBlocks = true
            quirks.unindexedBlocks = 1
            var run = ContinuityRun(seed: seed, quirks: quirks)
            run.join(run.addFilter(Self.filter))
            run.start()
            for _ in 0..<3 {
                run.disconnect()
                run.inSilence { $0.mine(blocks: Array(repeating: [Self.event], count: 7)) }
                run.start()
                run.chain.mine([Self.event])
                run.settle()
            }
            run.chain.quirks.lag = 0
            run.mine(70)
            #expect(run.check(upTo: 2).isEmpty, "seed \(seed)")
            #expect(run.folds[0].gaps.isEmpty, "seed \(seed)")
        }
    }

    @Test(
        "Edge case 101: blooms that are zero beside transactions, late, or wrong are not believed",
        arguments: [0, 1, 2]
    )
    func blooms(kind: Int) {
        var quirks = SimulatedQuirks()
        quirks.zeroBlooms = kind == 0
        quirks.lateBlooms = kind == 1
        quirks.wrongBlooms = kind == 2 ? 100 : 0
        quirks.omittedLogs = 50
        var (run, id) = Self.start(quirks)
        for _ in 0..<40 {
            // The first is missing from a wrong bloom; the second keeps it from being empty.
            run.chain.mine([Self.event, Self.other])
            run.settle()
        }
        run.mine(40)
        #expect(run.logs(id).count == 40)
        #expect(run.machine.bloomsAreTrusted == (kind != 2))
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Two consumers of one filter: each is told and taken back only its own")
    func shared() {
        var (run, first) = Self.start()
        for _ in 0..<5 {
            run.chain.mine([Self.event])
            run.settle()
        }
        let second = run.join(run.filters[0].id)
        run.chain.reorganise(depth: 3, events: Array(repeating: [Self.event], count: 5))
        run.settle()
        run.mine(2)
        #expect(run.fold(first).rollbacks == 1)
        #expect(run.fold(second).rollbacks == 0)
        #expect(run.numbers(second).first == 106)
        run.leave(first)
        run.chain.mine([Self.event])
        run.settle()
        #expect(run.logs(second).last?.blockNumber == 110)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Logs of blocks that never come wait in a bounded place, and what was dropped there is asked for")
    func waiting() throws {
        var (run, id) = Self.start()
        for number in 0..<10_000 {
            var log = try #require(try? Log(address: SimulatedChain.address(1), topics: []))
            log.blockNumber = 101 + UInt64(number % 7)
            log.blockHash = Hash32(w0: UInt64(number), w1: 1, w2: 1, w3: 1)
            log.transactionHash = .zero
            log.logIndex = 0
            run.handle(.logs(run.filters[0].id, [log]))
        }
        #expect(run.machine.books[0].waiting.bytes <= run.machine.books[0].waiting.limit)
        for _ in 0..<10 {
            run.chain.mine([Self.event])
            run.settle()
        }
        run.mine(2)
        #expect(run.logs(id).count == 10)
        #expect(run.check(upTo: 2).isEmpty)
    }
}
