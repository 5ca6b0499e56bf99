import EthereumTypes
import HeadstreamTesting
import Testing

@testable import Headstream

/// What endpoints beside the one with authority may do to the machine.
@Suite("Peers of the authority")
struct PeerTests {
    private static let peer = PeerID(rawValue: 1)
    private static let filter = LogFilter(address: SimulatedChain.address(0))
    private static let event = SimulatedEvent(address: SimulatedChain.address(0), topics: [SimulatedChain.topic(0)])
    /// Blocks with logs of others alone exclude the filter by their blooms: one of zeros beside transactions says nothing.
    private static let other = SimulatedEvent(address: SimulatedChain.address(1), topics: [SimulatedChain.topic(1)])

    /// The chain goes on, and only the peer says so.
    private static func mineForPeer(_ run: inout ContinuityRun, _ blocks: [[SimulatedEvent]]) {
        run.inSilence { chain in for events in blocks { chain.mine(events) } }
        for block in run.chain.canonical.suffix(blocks.count) { run.handle(.peerHead(Self.peer, block.header)) }
    }

    /// The peer announces a block on the newest one that nobody else knows.
    private static func lie(_ run: inout ContinuityRun) -> SimulatedBlock {
        var fork = run.chain
        fork.mine([Self.other, Self.other])
        run.announced[fork.head.hash] = fork.head
        run.handle(.peerHead(Self.peer, fork.head.header))
        return fork.head
    }

    @Test(
        "A peer's heads are told at once, at most 32 blocks above the authority's newest, and nothing is asked for them"
    )
    func bound() {
        var run = ContinuityRun(seed: 1)
        let consumer = run.join()
        run.start()
        let requests = run.requestCount
        Self.mineForPeer(&run, Array(repeating: [], count: 40))
        #expect(run.numbers(consumer) == Array(101...132))
        run.handle(.head(run.chain.canonical[1].header))
        #expect(run.numbers(consumer) == Array(101...133))
        #expect(run.machine.settled == 101)
        for block in run.chain.canonical.dropFirst(2) { run.handle(.head(block.header)) }
        #expect(run.numbers(consumer) == Array(101...140))
        #expect(run.machine.settled == 140 && run.machine.leader == nil)
        #expect(run.requestCount == requests && run.problems.isEmpty)
    }

    @Test(
        "A peer's block that the authority contradicts goes at once, is told once, and the peer adds nothing for a while"
    )
    func contradiction() {
        var run = ContinuityRun(seed: 2)
        let consumer = run.join()
        run.start()
        let requests = run.requestCount
        let lie = Self.lie(&run)
        #expect(run.fold(consumer).blocks.last?.ref.hash == lie.hash)
        for _ in 0..<3 {
            run.mine()
            #expect(run.fold(consumer).blocks.last?.ref.hash == run.chain.head.hash)
            // On probation.
            _ = Self.lie(&run)
            #expect(run.fold(consumer).blocks.last?.ref.hash == run.chain.head.hash)
        }
        #expect(run.divergences.map(\.block.hash) == [lie.hash])
        #expect(run.fold(consumer).rollbacks == 1)
        #expect(run.requestCount == requests)
        // It agrees, and leads again when the authority is two blocks further.
        run.mine(4)
        run.handle(.peerHead(Self.peer, run.chain.head.header))
        run.mine(2)
        Self.mineForPeer(&run, [[]])
        #expect(run.fold(consumer).blocks.last?.ref.hash == run.chain.head.hash)
        #expect(run.machine.leader?.id == Self.peer && run.problems.isEmpty)
    }

    @Test("That the authority's newest block is below what a peer has shown is no rewind")
    func noRewind() {
        var run = ContinuityRun(seed: 3)
        let consumer = run.join()
        run.start()
        run.mine(3)
        Self.mineForPeer(&run, [[], []])
        let newest = run.chain.canonical[3].header
        for _ in 0..<4 {
            run.now += 20_000_000_000
            run.handle(.head(newest))
            run.handle(.stalled)
            run.answer(with: [.header(newest)])
        }
        #expect(run.numbers(consumer) == Array(101...105))
        #expect(run.fold(consumer).rollbacks == 0 && run.machine.settled == 103)
    }

    @Test(
        "A peer's header with a false bloom hides no log: the authority's own counts, and where it has none it is asked"
    )
    func bloom() {
        for isPushed in [true, false] {
            var run = ContinuityRun(seed: 4)
            let filter = run.addFilter(Self.filter)
            let consumer = run.join(filter)
            run.start()
            run.mine(3, of: [Self.other])
            run.inSilence { $0.mine([Self.event]) }
            let block = run.chain.head
            var header = block.header
            header.logsBloom = Bloom()
            header.transactionsRoot = BlockHeader.emptyTrieRoot
            run.handle(.peerHead(Self.peer, header))
            #expect(run.numbers(consumer).last == block.number)
            if isPushed { run.handle(.head(block.header)) }
            run.mine(3, of: [Self.other])
            #expect(run.logs(consumer) == block.logs, "\(isPushed)")
            #expect(run.machine.bloomsAreTrusted)
            #expect(run.problems.isEmpty)
        }
    }

    @Test("A peer's log is told at once where it is behind what was told of its block, and never takes anything back")
    func logs() {
        var run = ContinuityRun(seed: 5)
        let filter = run.addFilter(Self.filter)
        let consumer = run.join(filter)
        run.start()
        run.mine(2, of: [Self.other])
        Self.mineForPeer(&run, [[Self.event, Self.event, Self.event]])
        let block = run.chain.head
        var removed = block.logs[1]
        removed.removed = true
        run.handle(.peerLog(Self.peer, filter, block.logs[1]))
        run.handle(.peerLog(Self.peer, filter, removed))
        run.handle(.peerLog(Self.peer, filter, block.logs[1]))
        #expect(run.logs(consumer) == [block.logs[1]])
        // In front of what was told: the authority will say so.
        run.handle(.peerLog(Self.peer, filter, block.logs[0]))
        #expect(run.logs(consumer) == [block.logs[1]])
        run.handle(.peerLog(Self.peer, filter, block.logs[2]))
        #expect(run.logs(consumer) == [block.logs[1], block.logs[2]])
        #expect(run.fold(consumer).rollbacks == 0)
        run.handle(.head(block.header))
        run.handle(.logs(filter, block.logs))
        #expect(run.logs(consumer) == block.logs && run.fold(consumer).rollbacks == 1)
        run.mine(3, of: [Self.other])
        // Long told, and contradicted by nothing of the authority's.
        var invented = block.logs[2]
        invented.logIndex = 9
        let requests = run.requestCount
        run.handle(.peerLog(Self.peer, filter, invented))
        run.settle()
        #expect(run.logs(consumer) == block.logs && run.requestCount == requests)
        #expect(run.problems.isEmpty)
    }

    @Test("What peers have told counts for no confirmation")
    func confirmations() {
        var run = ContinuityRun(seed: 6)
        let consumer = run.join(finality: .confirmations(2))
        run.start()
        run.mine(3)
        #expect(run.numbers(consumer) == [101])
        Self.mineForPeer(&run, [[], [], []])
        #expect(run.numbers(consumer) == [101])
        run.handle(.head(run.chain.head.header))
        #expect(run.numbers(consumer) == Array(101...104))
    }

    @Test("Of what a peer alone has shown nothing is asked, not even where a bloom says that logs are missing")
    func nothingAsked() {
        var run = ContinuityRun(seed: 7)
        let filter = run.addFilter(Self.filter)
        let consumer = run.join(filter)
        run.start()
        run.mine(3, of: [Self.other])
        let requests = run.requestCount
        Self.mineForPeer(&run, [[Self.event], [Self.other], [Self.other], [Self.other]])
        #expect(run.requestCount == requests)
        #expect(run.numbers(consumer) == Array(101...103))
        run.handle(.head(run.chain.head.header))
        run.settle()
        #expect(run.logs(consumer).count == 1)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("That a peer has passed a block says nothing where its logs may have come before the acknowledgement")
    func passedBeforeAcknowledgement() {
        for isLost in [false, true] {
            var run = ContinuityRun(seed: 8)
            let filter = run.addFilter(Self.filter)
            let consumer = run.join(filter)
            run.start()
            run.mine(3, of: [Self.other])
            run.handle(.peerAcknowledged(Self.peer, filter))
            if isLost {
                Self.mineForPeer(&run, [[Self.other]])
                run.handle(.head(run.chain.head.header))
                run.handle(.peerLost(Self.peer))
                Self.mineForPeer(&run, [[Self.other], [Self.other]])
                for block in run.chain.canonical.suffix(2) { run.handle(.head(block.header)) }
            }
            Self.mineForPeer(&run, [[Self.event, Self.event]])
            let block = run.chain.head
            run.handle(.peerLog(Self.peer, filter, block.logs[1]))
            Self.mineForPeer(&run, [[Self.other], [Self.other], [Self.other]])
            #expect(run.numbers(consumer).last == block.number - 1, "\(isLost)")
            // Nor what the authority shows of a descendant alone.
            run.handle(.head(run.chain.head.header))
            run.settle()
            #expect(run.logs(consumer) == block.logs, "\(isLost)")
            #expect(run.check(upTo: 2).isEmpty, "\(isLost)")
        }
    }

    @Test("A peer's head that is no child of the tip moves nothing: neither a sibling of it, nor the sibling's child")
    func noChild() {
        var run = ContinuityRun(seed: 9)
        let consumer = run.join()
        run.start()
        run.mine(3)
        let requests = run.requestCount
        var fork = run.chain
        fork.reorganise(depth: 1, events: [[Self.other], [Self.other]])
        for block in fork.canonical.suffix(2).reversed() + fork.canonical.suffix(2) {
            run.announced[block.hash] = block
            run.handle(.peerHead(Self.peer, block.header))
        }
        #expect(run.fold(consumer).blocks.last?.ref.hash == run.chain.head.hash)
        #expect(run.fold(consumer).rollbacks == 0 && run.requestCount == requests)
        run.mine(2)
        #expect(run.numbers(consumer) == Array(101...105))
        #expect(run.check().isEmpty)
    }
}
