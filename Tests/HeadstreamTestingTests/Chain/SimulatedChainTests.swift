import EthereumTypes
import HeadstreamTesting
import Testing

@Suite("Simulated chain")
struct SimulatedChainTests {
    private static func heads(_ notifications: [SimulatedChain.Notification]) -> [UInt64] {
        notifications.compactMap { if case .head(let header) = $0 { header.number } else { nil } }
    }

    private static func logs(_ notifications: [SimulatedChain.Notification]) -> [Log] {
        notifications.compactMap { if case .log(let log) = $0 { log } else { nil } }
    }

    @Test("Hashes follow from the headers, parents link, blooms hold what the logs need")
    func blocks() {
        var chain = SimulatedChain(seed: 7)
        for _ in 0..<40 {
            let events = chain.randomEvents(3)
            chain.mine(events)
        }
        for (block, parent) in zip(chain.canonical.dropFirst(), chain.canonical) {
            #expect(block.header.computedHash() == block.hash)
            #expect(block.parentHash == parent.hash)
            #expect(block.number == parent.number + 1)
            #expect(block.header.logsBloom == Bloom(of: block.logs))
            #expect(block.logs.count == 3)
            #expect(!block.logs.contains { $0.blockHash != block.hash || $0.blockNumber != block.number })
        }
    }

    @Test("The same seed and calls give the same chain; a copy goes its own way")
    func deterministic() {
        var chains = [SimulatedChain(seed: 3), SimulatedChain(seed: 3), SimulatedChain(seed: 4)]
        for index in chains.indices {
            for _ in 0..<10 {
                let events = chains[index].randomEvents(2)
                chains[index].mine(events)
            }
        }
        #expect(chains[0].head.hash == chains[1].head.hash)
        #expect(chains[0].head.hash != chains[2].head.hash)
        var copy = chains[0]
        copy.mine()
        #expect(copy.head.number == chains[0].head.number + 1)
    }

    @Test("A reorganisation tells the lost logs as removed, the new ones, and the last head alone, as geth does")
    func reorganisation() throws {
        var chain = SimulatedChain(seed: 1)
        let event = SimulatedEvent(address: SimulatedChain.address(0))
        for _ in 0..<5 { chain.mine([event]) }
        let first = chain.takeNotifications()
        #expect(Self.heads(first) == [1, 2, 3, 4, 5])
        let lost = chain.canonical.suffix(2)
        chain.reorganise(depth: 2, events: [[event], [event], [event]])
        let notifications = chain.takeNotifications()
        #expect(Self.heads(notifications) == [6])
        let logs = Self.logs(notifications)
        #expect(logs.filter(\.removed).map(\.blockNumber) == [4, 5])
        #expect(logs.filter { !$0.removed }.map(\.blockNumber) == [4, 5, 6])
        // Orphans are still there by hash, and not by number.
        for block in lost {
            #expect(chain.block(block.hash) === block)
            let canonical = chain.block(.number(block.number))
            #expect(canonical !== block)
        }
        let orphan = try #require(lost.first)
        var filter = LogFilter()
        filter.blocks = .hash(orphan.hash)
        let ofOrphan = try chain.logs(filter)
        #expect(ofOrphan == orphan.logs)
        let isBack = chain.return(to: lost[lost.endIndex - 1].hash)
        #expect(isBack)
        #expect(chain.head.number == 5)
    }

    @Test("Quirks of notifications: no removed logs, doubled ones, logs first, all heads, none")
    func notifications() {
        let event = SimulatedEvent(address: SimulatedChain.address(0))
        func told(_ change: (inout SimulatedQuirks) -> Void) -> [SimulatedChain.Notification] {
            var chain = SimulatedChain(seed: 1)
            change(&chain.quirks)
            chain.mine([event])
            _ = chain.takeNotifications()
            chain.reorganise(depth: 1, events: [[event], [event]])
            return chain.takeNotifications()
        }
        #expect(Self.logs(told { $0.noRemovedLogs = true }).filter(\.removed).isEmpty)
        #expect(Self.logs(told { $0.doubledRemovedLogs = true }).filter(\.removed).count == 2)
        #expect(Self.heads(told { $0.announcesWholeBranch = true }) == [1, 2])
        #expect(Self.heads(told { $0.skippedHeads = 100 }).isEmpty)
        #expect(Self.logs(told { $0.omittedLogs = 100 }).filter { !$0.removed }.isEmpty)
        #expect(Self.logs(told { $0.omitsLogsOfEarlierBlocks = true }).filter { !$0.removed }.map(\.blockNumber) == [2])
        if case .head? = told({ $0.logsBeforeHead = true }).last {} else { Issue.record("the head comes last") }
    }

    @Test("Answers: limits on ranges and results, backends that lag, blocks that are not indexed or unknown")
    func answers() throws {
        var chain = SimulatedChain(seed: 1)
        let event = SimulatedEvent(address: SimulatedChain.address(0))
        for _ in 0..<10 { chain.mine([event, event]) }
        func count(_ filter: LogFilter, lag: Int = 0) throws -> Int { try chain.logs(filter, lag: lag).count }
        var range = LogFilter(address: SimulatedChain.address(0))
        range.blocks = .range(from: 1, to: 20)
        #expect(try count(range) == 20)
        #expect(try count(range, lag: 3) == 14)
        chain.quirks.maxRange = 5
        #expect(throws: SimulatedNodeError.self) { try count(range) }
        range.blocks = .range(from: 3, to: 7)
        #expect(try count(range) == 10)
        chain.quirks.maxResults = 9
        #expect(throws: SimulatedNodeError.self) { try count(range) }
        chain.quirks = SimulatedQuirks()
        range.blocks = .hash(chain.head.hash)
        #expect(throws: SimulatedNodeError.self) { try count(range, lag: 1) }
        chain.quirks.emptyForUnknownBlocks = true
        #expect(try count(range, lag: 1) == 0)
        chain.quirks.unindexedBlocks = 1
        #expect(try count(range) == 0)
        let behind = chain.block(.latest, lag: 2)
        let beyond = chain.block(.number(99))
        let final = chain.block(.finalized)
        #expect(behind?.number == 8)
        #expect(beyond == nil)
        #expect(final?.number == 2)
    }

    @Test("Final blocks stay, unless the node is one that takes them back")
    func finality() {
        var chain = SimulatedChain(seed: 1)
        chain.mine(blocks: Array(repeating: [], count: 20))
        let final = chain.block(.finalized)
        #expect(final?.number == 12)
        chain.reorganise(depth: 20, events: [[]])
        #expect(chain.head.number == 13)
        chain.quirks.violatesFinality = true
        chain.reorganise(depth: 13, events: [[]])
        #expect(chain.head.number == 1)
    }
}
