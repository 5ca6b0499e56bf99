import EthereumTypes
import HeadstreamTesting

@testable import Headstream

/// One run of node, faults and consumers, a function of its seed.
enum SeededContinuity {
    /// - Returns: the promises that were broken.
    static func run(seed: UInt64, journal: ((String) -> Void)? = nil) -> [String] {
        var random = SeededGenerator(seed: seed &* 0x9E37_79B9 &+ 7)
        func chance(_ percent: Int) -> Bool { random.below(100) < percent }
        func some(_ percents: [Int]) -> Int { percents[random.below(percents.count)] }

        var quirks = SimulatedQuirks()
        quirks.logsBeforeHead = chance(30)
        quirks.noRemovedLogs = chance(40)
        quirks.doubledRemovedLogs = chance(20)
        quirks.announcesWholeBranch = chance(30)
        quirks.skippedHeads = some([0, 0, 10, 40])
        quirks.omittedLogs = some([0, 0, 0, 10, 50])
        quirks.omitsLogsOfEarlierBlocks = chance(20)
        quirks.repeatedAncestors = some([0, 0, 30])
        quirks.pushesOtherHashes = chance(7)
        quirks.zeroBlooms = chance(10)
        quirks.lateBlooms = chance(10)
        quirks.wrongBlooms = some([0, 0, 0, 0, 20])
        quirks.repeatedLogIndexes = chance(15)
        quirks.forgetsOrphans = chance(30)
        quirks.emptyForUnknownBlocks = chance(40)
        quirks.unindexedBlocks = UInt64(some([0, 0, 1]))
        quirks.lag = some([0, 0, 0, 1, 3])
        quirks.maxRange = chance(20) ? UInt64(1 + random.below(12)) : nil
        quirks.maxResults = chance(10) ? 20 : nil
        quirks.finalityMovesBack = some([0, 30])
        quirks.finalityDepth = UInt64(some([8, 66]))
        // Drawn from a stream of their own, so that the runs of seeds without them stay as they were.
        var others = SeededGenerator(seed: seed &* 0x9E37_79B9 &+ 8)
        quirks.siblings = [0, 0, 0, 0, 10][others.below(5)]
        quirks.mixesKinds = others.below(5) == 0
        let peers = [0, 0, 1, 2][others.below(4)]
        let liars = peers > 0 && others.below(3) == 0
        let lostByPeers = [0, 20][others.below(2)]
        let isLimited = chance(8)
        // Little room: logs are let go all the time; audits that wait. Drawn apart, so that seeds of before stay what they were.
        var apart = SeededGenerator(seed: seed ^ 0xb0ff)
        let bufferLimit = [1 << 24, 1 << 24, 40_000, 8_000, 1_000][apart.below(5)]
        var limits = ContinuityMachine.Limits(blocks: isLimited ? 24 : 1024)
        limits.auditedPerSecond = [1 << 20, 1 << 20, 4_000][apart.below(3)]

        var run = ContinuityRun(seed: seed, quirks: quirks, limits: limits)
        run.keepsJournal = journal != nil
        run.chain.secondsPerBlock = UInt64(some([0, 1, 2]))
        run.lostPushes = some([0, 0, 5, 20])
        run.doubledPushes = some([0, 0, 10])
        run.swappedPushes = some([0, 0, 15])
        run.failedAnswers = some([0, 0, 10])
        run.nullAnswers = some([0, 0, 8])
        run.honesty = run.lostPushes == 0
        run.bufferLimit = bufferLimit
        // Nothing is reorganised: nothing may be taken back.
        let isCalm = chance(15)
        if isCalm { run.swappedPushes = 0 }
        let density = some([0, 1, 3])

        // Filters: one contract, one event of any contract, everything.
        var filters = [
            run.addFilter(LogFilter(address: SimulatedChain.address(0)), audit: some([32, 32, 8, 1]))
        ]
        if chance(60) {
            filters.append(
                run.addFilter(LogFilter(topics: [.exactly(SimulatedChain.topic(1))]), audit: some([32, 16]))
            )
        }
        if chance(30) {
            filters.append(run.addFilter(LogFilter(), delivery: chance(40) ? .fetched : .pushed))
        }
        // Some filters' logs come on connections of their own; drawn apart too.
        var further = SeededGenerator(seed: seed ^ 0xfa57)
        if further.below(3) == 0 {
            for place in run.filters.indices
            where run.filters[place].options.delivery == .pushed && further.below(3) > 0 {
                run.apart.insert(place)
            }
        }
        run.race(peers)
        run.lostByPeers = lostByPeers
        run.join()
        for filter in filters where chance(80) { run.join(filter) }
        if chance(20) { run.join(finality: .confirmations(UInt64(1 + random.below(6)))) }
        if chance(10) { run.join(filters[0], finality: .safe) }
        if chance(10) { run.join(isToldFinality: true) }

        let steps = 60 + random.below(120)
        for _ in 0..<steps {
            run.now += UInt64(random.below(600)) * 1_000_000
            if let place = run.apart.sorted().randomElement(using: &further) {
                switch further.below(20) {
                case 0: run.cutApart(place)
                case 1...4:
                    if further.below(2) == 0 { run.chain.mine(run.chain.randomEvents(5)) }
                    run.acknowledgeApart(place)
                case 5...12: _ = run.answerApart()
                default: break
                }
            }
            if liars, others.below(10) == 0 { run.lie(ofPeer: 0) }
            if peers > 0, others.below(30) == 0 { run.handle(.peerLost(PeerID(rawValue: others.below(peers)))) }
            var event = random.below(100)
            if isCalm, (22..<33).contains(event) { event = 21 }
            switch event {
            case ..<22:
                let count = chance(80) ? 1 : 1 + random.below(5)
                run.chain.mine(blocks: (0..<count).map { _ in events(&run, density, &random) })
                run.collect()
            case ..<28:
                let depth = chance(70) ? 1 + random.below(3) : 1 + random.below(64)
                let length = chance(60) ? depth + 1 : 1 + random.below(depth + 2)
                run.chain.reorganise(depth: depth, events: (0..<length).map { _ in events(&run, density, &random) })
                run.collect()
            case ..<29:
                run.chain.rewind(depth: 1 + random.below(4))
                run.collect()
            case ..<31:
                // A, B, and A again.
                let left = run.chain.head.hash
                let depth = 1 + random.below(2)
                run.chain.reorganise(depth: depth, events: (0..<depth).map { _ in events(&run, density, &random) })
                if chance(50) { run.collect() }
                run.chain.return(to: left)
                run.collect()
            case ..<33:
                for block in run.chain.announceAbandoned(
                    depth: 1 + random.below(3),
                    length: 1 + random.below(4),
                    isServed: chance(50)
                ) {
                    run.announced[block.hash] = block
                }
                run.collect()
            case ..<60: run.deliverOne()
            case ..<82: run.answerOne()
            case ..<86:
                if let deadline = run.machine.nextDeadline {
                    run.now = max(run.now, deadline)
                    run.handle(.deadlineReached)
                }
            case ..<89:
                if run.isConnected { run.disconnect() } else { reconnect(&run) }
            case ..<92:
                if !run.isConnected { reconnect(&run) }
            case ..<94:
                if run.folds.count < 8 { join(&run, filters, &random) }
            case ..<95:
                if run.folds.count > 2 { run.leave(run.folds[random.below(run.folds.count)].id) }
            case ..<97:
                if let fold = run.folds.randomElement(using: &random) { run.pause(fold.id) }
            case ..<99:
                for fold in run.folds { run.resume(fold.id) }
            default: run.handle(.stalled)
            }
            if !run.problems.isEmpty { break }
        }
        if run.problems.isEmpty { finish(&run) }
        var problems = run.problems
        let mayGap =
            isLimited || run.failedAnswers > 0 || run.nullAnswers > 0 || quirks.maxResults != nil || quirks.lag > 0
            || quirks.siblings > 0
        if problems.isEmpty, !mayGap, run.folds.contains(where: { !$0.gaps.isEmpty }) {
            problems.append("a gap without need")
        }
        // Where every push comes and no answer lies, the audits have nothing to find: the rules alone are enough.
        let isHonest =
            run.honesty && quirks.lag == 0 && quirks.siblings == 0 && quirks.omittedLogs == 0 && quirks.wrongBlooms == 0
            && quirks.unindexedBlocks == 0 && !isLimited
            // Logs that are pushed later than the next audit are found by it.
            && !run.filters.contains { $0.options.audit == 8 }
        if problems.isEmpty, isHonest, run.machine.differences > 0 {
            problems.append("an audit found \(run.machine.differences) differences")
        }
        if problems.isEmpty, isHonest, isCalm, !mayGap, !liars,
            run.folds.contains(where: { $0.filter == nil && $0.rollbacks > 0 })
        {
            problems.append("a rollback without need")
        }
        if let journal {
            journal("quirks \(quirks)")
            for line in run.journal { journal(line) }
        }
        return problems
    }

    private static func events(
        _ run: inout ContinuityRun,
        _ density: Int,
        _ random: inout SeededGenerator
    ) -> [SimulatedEvent] {
        run.chain.randomEvents(random.below(density * 3 + 2))
    }

    private static func reconnect(_ run: inout ContinuityRun) {
        run.connect()
        run.acknowledgeAll()
    }

    private static func join(_ run: inout ContinuityRun, _ filters: [FilterID], _ random: inout SeededGenerator) {
        let filter: FilterID? = random.below(3) == 0 ? nil : filters[random.below(filters.count)]
        switch random.below(4) {
        case 0:
            let head = max(run.chain.head.number, 101) - 101
            run.join(filter, origin: .block(101 + head - min(head, UInt64(random.below(20)))))
        case 1:
            // Goes on where another of its kind stands.
            let other = run.folds.first { fold in
                fold.filter == filter.flatMap { id in run.filters.first { $0.id == id }?.filter } && fold.cursor != nil
            }
            if let cursor = other?.cursor { run.join(filter, origin: .cursor(cursor)) }
        default: run.join(filter)
        }
    }

    /// Faults stop, and one audit passes.
    private static func finish(_ run: inout ContinuityRun) {
        run.lostPushes = 0
        run.doubledPushes = 0
        run.swappedPushes = 0
        run.failedAnswers = 0
        run.nullAnswers = 0
        run.lostByPeers = 0
        run.chain.quirks.lag = 0
        run.chain.quirks.siblings = 0
        run.chain.quirks.skippedHeads = 0
        run.chain.quirks.omittedLogs = 0
        run.chain.quirks.repeatedAncestors = 0
        run.chain.quirks.finalityMovesBack = 0
        for fold in run.folds { run.resume(fold.id) }
        if !run.isConnected { reconnect(&run) }
        for place in run.apart.sorted() { run.acknowledgeApart(place) }
        if !run.settle() { return }
        for _ in 0..<44 {
            run.now += 1_000_000_000
            run.chain.mine(run.chain.randomEvents(run.random.below(3)))
            if !run.settle(deadlines: 6) { return }
            if !run.problems.isEmpty { return }
        }
        run.settle()
        let head = run.chain.head.number
        for index in run.folds.indices {
            let last: UInt64 =
                switch run.folds[index].level {
                case .latest: run.folds[index].filter == nil ? head : head - 4
                case .confirmations(let count): head - count - 4
                case .safe, .finalized: head - min(head, run.chain.quirks.finalityDepth + 14)
                }
            let shown = run.shown
            run.folds[index].checkComplete(run.chain, through: last, shown)
        }
    }
}
