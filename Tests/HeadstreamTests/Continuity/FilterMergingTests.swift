import EthereumTypes
import HeadstreamTesting
import Testing

@testable import Headstream

/// Filters that share subscriptions, and what each of them is told.
@Suite("Merged log filters", .timeLimit(.minutes(15)))
struct FilterMergingTests {
    // MARK: Filters

    /// A filter over few addresses and topics, so that many filters match the same logs.
    private static func filter(_ random: inout SeededGenerator) -> LogFilter {
        let addresses = (0..<random.below(3)).map { _ in SimulatedChain.address(random.below(4)) }
        let topics: [LogFilter.Topic] = (0..<random.below(4)).map { _ in
            switch random.below(4) {
            case 0: .any
            case 1: .anyOf((0..<random.below(3)).map { _ in SimulatedChain.topic(random.below(4)) })
            default: .exactly(SimulatedChain.topic(random.below(4)))
            }
        }
        return LogFilter(addresses: addresses, topics: topics)
    }

    private static func log(_ random: inout SeededGenerator) throws -> Log {
        let topics = (0..<random.below(5)).map { _ in SimulatedChain.topic(random.below(4)) }
        return try Log(address: SimulatedChain.address(random.below(4)), topics: topics)
    }

    /// What nodes do, written down once more: geth's `includes` and its loop over topics.
    private static func isWanted(_ log: Log, by filter: LogFilter) -> Bool {
        if !filter.addresses.isEmpty, !filter.addresses.contains(log.address) { return false }
        if filter.topics.count > log.topics.count { return false }
        for (place, topic) in filter.topics.enumerated() {
            var wanted: [Hash32] = []
            if case .exactly(let hash) = topic { wanted = [hash] }
            if case .anyOf(let hashes) = topic { wanted = hashes }
            if !wanted.isEmpty, !wanted.contains(log.topics[place]) { return false }
        }
        return true
    }

    @Test("A merged filter matches all that its parts match, and the parts tell it apart exactly", arguments: 0..<10)
    func merged(round: Int) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var mergedCount = 0
        for _ in 0..<300 {
            let parts = (0..<1 + random.below(4)).map { _ in Self.filter(&random) }
            let merged = LogFilter.merging(parts)
            if merged != nil { mergedCount += 1 }
            for _ in 0..<30 {
                let log = try Self.log(&random)
                for part in parts {
                    let isWanted = Self.isWanted(log, by: part)
                    #expect(part.matches(log) == isWanted, "seed \(seed): \(part) \(log)")
                    if isWanted, let merged { #expect(merged.matches(log), "seed \(seed): \(parts) \(log)") }
                    // Covering is certain where it is said.
                    if parts[0].covers(part), isWanted { #expect(parts[0].matches(log), "seed \(seed): \(parts)") }
                }
            }
            for part in parts { #expect(merged?.covers(part) ?? true, "seed \(seed): \(parts)") }
        }
        #expect(mergedCount > 50)
    }

    @Test("No condition is dropped by merging")
    func conditions() {
        let (one, two) = (SimulatedChain.address(1), SimulatedChain.address(2))
        let (first, second) = (SimulatedChain.topic(1), SimulatedChain.topic(2))
        let byBoth = LogFilter(address: one, topics: [.exactly(first)])
        #expect(LogFilter.merging([LogFilter(address: one), LogFilter(address: two)])?.addresses == [one, two])
        #expect(LogFilter.merging([LogFilter(address: one), LogFilter()]) == nil)
        #expect(LogFilter.merging([byBoth, LogFilter(address: two)]) == nil)
        let merged = LogFilter.merging([byBoth, LogFilter(address: two, topics: [.exactly(second), .any])])
        #expect(merged == LogFilter(addresses: [one, two], topics: [.anyOf([first, second])]))
        #expect(LogFilter.merging([]) == nil && LogFilter.merging([byBoth, byBoth]) == byBoth)
    }

    // MARK: Groups

    /// A node's side of the groups' actions.
    private struct Node {
        var live: [FilterGroups.SubscriptionID: (filter: LogFilter, isAcknowledged: Bool, wasAcknowledged: Bool)] = [:]
        var pushed: Set<FilterID> = []
        var refused: Set<FilterID> = []
        var subscribed = 0
        var problems: [String] = []

        mutating func follow(_ actions: [FilterGroups.Action], _ wanted: [FilterID: LogFilter]) {
            for action in actions {
                switch action {
                case .subscribe(let id, let filter):
                    self.live[id] = (filter, false, false)
                    self.subscribed += 1
                case .end(let id):
                    if self.live.removeValue(forKey: id) == nil { self.problems.append("\(id) is ended twice") }
                case .acknowledged(let ids):
                    for id in ids {
                        let isBrought = self.live.values.contains { live in
                            live.isAcknowledged && wanted[id].map { live.filter.covers($0) } ?? false
                        }
                        if !isBrought { self.problems.append("\(id) is acknowledged and nothing brings it") }
                        self.pushed.insert(id)
                    }
                case .refused(let id): self.refused.insert(id)
                }
            }
        }
    }

    @Test(
        "Filters that come, go, are refused and lose their connection: each has its logs, nothing is left over",
        arguments: [true, false],
        0..<10
    )
    func groups(merges: Bool, round: Int) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var groups = FilterGroups(merges: merges)
        var node = Node()
        var wanted: [FilterID: LogFilter] = [:]
        func acknowledge(_ id: FilterGroups.SubscriptionID) {
            node.live[id]?.isAcknowledged = true
            node.live[id]?.wasAcknowledged = true
            node.follow(groups.acknowledged(id), wanted)
        }
        for step in 0..<400 {
            switch random.below(12) {
            case 0..<5:
                let id = FilterID(rawValue: UInt64(step))
                wanted[id] = Self.filter(&random)
                if let filter = wanted[id] { groups.add(id, filter) }
                if random.below(3) > 0 { node.follow(groups.settle(), wanted) }
            case 5..<7:
                let ids = wanted.keys.sorted { $0.rawValue < $1.rawValue }
                guard !ids.isEmpty else { continue }
                let id = ids[random.below(ids.count)]
                node.follow(groups.remove(id), wanted)
                wanted[id] = nil
            case 7..<10:
                let open = node.live.filter { !$0.value.isAcknowledged }.keys.sorted()
                if !open.isEmpty { acknowledge(open[random.below(open.count)]) }
            case 10:
                let new = node.live.filter { !$0.value.wasAcknowledged }.keys.sorted()
                guard random.below(4) == 0, !new.isEmpty else { continue }
                let id = new[random.below(new.count)]
                node.live[id] = nil
                node.follow(groups.refused(id), wanted)
                for id in node.refused { wanted[id] = nil }
            default:
                guard random.below(4) == 0 else { continue }
                groups.resubscribed()
                node.pushed = []
                for id in node.live.keys { node.live[id]?.isAcknowledged = false }
            }
        }
        node.follow(groups.settle(), wanted)
        for _ in 0..<1000 {
            guard let open = node.live.filter({ !$0.value.isAcknowledged }).keys.min() else { break }
            acknowledge(open)
        }
        #expect(node.problems == [], "seed \(seed)")
        #expect(node.pushed.isSuperset(of: wanted.keys), "seed \(seed)")
        for _ in 0..<100 {
            let log = try Self.log(&random)
            var told: [FilterID] = []
            for (id, live) in node.live where live.filter.matches(log) {
                told += groups.members(of: id).filter { $0.filter.matches(log) }.map(\.id)
            }
            let matching = wanted.filter { Self.isWanted(log, by: $0.value) }.map(\.key)
            #expect(told.count == matching.count && Set(told) == Set(matching), "seed \(seed)")
        }
        #expect(merges ? node.live.count < wanted.count : node.live.count == Set(wanted.values).count, "seed \(seed)")
        for id in wanted.keys { node.follow(groups.remove(id), wanted) }
        #expect(node.live.isEmpty && node.problems == [], "seed \(seed)")
    }

    @Test("A refused merged filter is tried with half as many, down to each by itself; only then it is refused")
    func refused() {
        var groups = FilterGroups(merges: true)
        let filters = (0..<8).map { LogFilter(address: SimulatedChain.address($0)) }
        for (index, filter) in filters.enumerated() { groups.add(FilterID(rawValue: UInt64(index)), filter) }
        // A node that takes three addresses and not the last contract.
        var asked = groups.settle()
        var taken: [LogFilter] = []
        var refused: [FilterID] = []
        for _ in 0..<100 {
            guard let action = asked.popLast() else { break }
            switch action {
            case .subscribe(let id, let filter):
                let isTaken = filter.addresses.count <= 3 && !filter.addresses.contains(SimulatedChain.address(7))
                if isTaken { taken.append(filter) }
                asked += isTaken ? groups.acknowledged(id) : groups.refused(id)
            case .refused(let id): refused.append(id)
            case .acknowledged, .end: break
            }
        }
        #expect(refused == [FilterID(rawValue: 7)])
        #expect(Set(taken.flatMap(\.addresses)) == Set((0..<7).map { SimulatedChain.address($0) }))
    }

    // MARK: Client and node

    private static let filters: [LogFilter] =
        (0..<8).map { LogFilter(address: SimulatedChain.address($0)) }
        + (0..<4).map { LogFilter(topics: [.exactly(SimulatedChain.topic($0))]) }
        + [
            LogFilter(address: SimulatedChain.address(1), topics: [.exactly(SimulatedChain.topic(0))]),
            LogFilter(address: SimulatedChain.address(2), topics: [.exactly(SimulatedChain.topic(1)), .any]),
            LogFilter(), LogFilter(address: SimulatedChain.address(0)),
        ]

    @Test(
        "Each consumer sees what its own filter gives, merged or not, through cuts and reorganisations",
        arguments: 1...8
    )
    func told(seed: UInt64) async throws {
        var quirks = SimulatedQuirks()
        quirks.noRemovedLogs = seed % 2 == 0
        quirks.omittedLogs = seed % 3 == 0 ? 20 : 0
        quirks.logsBeforeHead = seed % 5 == 0
        let shared = quirks
        try await SimulatedLoop.run(seed: seed) { loop in
            var configuration = loop.configuration
            configuration.reconnect = ReconnectPolicy(base: .milliseconds(100), cap: .seconds(2))
            let node = try await TestNode(chain: SimulatedChain(seed: seed, quirks: shared, number: 100), loop: loop)
            let plain = try await Web3.connect(to: node.endpoint, configuration: configuration)
            configuration.mergeFilters = true
            let merging = try await Web3.connect(to: node.endpoint, configuration: configuration)
            let alone = Self.filters.map { _ in UpdateFold() }
            let merged = Self.filters.map { _ in UpdateFold() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (filter, (one, other)) in zip(Self.filters, zip(alone, merged)) {
                    group.addTask {
                        try await one.read(plain.eth.logs(filter, continuity: .gapless(), from: .block(101)))
                    }
                    group.addTask {
                        try await other.read(merging.eth.logs(filter, continuity: .gapless(), from: .block(101)))
                    }
                }
                // Others come and go, so that what is merged changes.
                group.addTask {
                    var random = SeededGenerator(seed: seed)
                    for _ in 0..<20 {
                        let filter = LogFilter(address: SimulatedChain.address(20 + random.below(40)))
                        let stay = Duration.milliseconds(100 * random.below(20))
                        await withTaskGroup(of: Void.self) { visit in
                            visit.addTask {
                                try? await UpdateFold().read(merging.eth.logs(filter, continuity: .gapless()))
                            }
                            try? await loop.sleep(for: stay)
                            visit.cancelAll()
                        }
                    }
                }
                try await node.weather(seed: seed, on: loop)
                // Where they all are merged: by address, by topic, by both, and everything.
                #expect(await merging.metrics.serverSubscriptions <= 6, "seed \(seed)")
                #expect(await plain.metrics.serverSubscriptions == Self.filters.count, "seed \(seed)")
                group.cancelAll()
                try await group.waitForAll()
            }
            for (filter, (one, other)) in zip(Self.filters, zip(alone, merged)) {
                let wanted = node.chain.canonicalLogs(filter, from: 101).map { UpdateFold.Told($0) }
                let isTold = one.state.told == wanted
                let isToldMerged = other.state.told == wanted
                #expect(isTold && isToldMerged, "seed \(seed): \(filter) alone \(isTold), merged \(isToldMerged)")
                #expect(other.state.problems + other.state.gaps.map(\.description) == [], "seed \(seed): \(filter)")
            }
            try await loop.sleep(for: .seconds(1))
            for client in [plain, merging] { #expect(await client.metrics.subscriptions == 0, "seed \(seed)") }
            await plain.close()
            await merging.close()
            await node.close()
        }
    }

    @Test("A hundred streams that begin together: one subscription of heads and one of logs, or two")
    func beginning() async throws {
        try await SimulatedLoop.run(seed: 7) { loop in
            var configuration = loop.configuration
            configuration.mergeFilters = true
            let node = try await TestNode(chain: SimulatedChain(seed: 7, number: 100), loop: loop)
            let web3 = try await Web3.connect(to: node.endpoint, configuration: configuration)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<100 {
                    group.addTask {
                        let filter = LogFilter(address: SimulatedChain.address(index))
                        for try await _ in web3.eth.logs(filter, continuity: .gapless()) {}
                    }
                }
                try await loop.sleep(for: .seconds(1))
                #expect(await web3.metrics.serverSubscriptions == 2)
                #expect(await node.requests["eth_subscribe"] ?? 0 <= 3)
                group.cancelAll()
                try await group.waitForAll()
            }
            try await loop.sleep(for: .seconds(1))
            let requests = await node.requests
            #expect(requests["eth_subscribe"] == requests["eth_unsubscribe"])
            await web3.close()
            await node.close()
        }
    }

    @Test("Equal filters that are audited differently share one subscription without merging")
    func equal() async throws {
        try await SimulatedLoop.run(seed: 8) { loop in
            let node = try await TestNode(chain: SimulatedChain(seed: 8, number: 100), loop: loop)
            let web3 = try await Web3.connect(to: node.endpoint, configuration: loop.configuration)
            let filter = LogFilter(address: SimulatedChain.address(0))
            let folds = (0..<3).map { _ in UpdateFold() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (fold, audit) in zip(folds, [1, 8, 32]) {
                    group.addTask {
                        try await fold.read(
                            web3.eth.logs(filter, continuity: .gapless(), from: .block(101), audit: audit)
                        )
                    }
                }
                try await node.weather(seed: 8, on: loop)
                #expect(await web3.metrics.serverSubscriptions == 2)
                group.cancelAll()
                try await group.waitForAll()
            }
            let wanted = node.chain.canonicalLogs(filter, from: 101).map { UpdateFold.Told($0) }
            for fold in folds { #expect(fold.state.told == wanted && fold.state.problems == []) }
            await web3.close()
            await node.close()
        }
    }
}
