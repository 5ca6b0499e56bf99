import EthereumTypes
import HeadstreamLocks
import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

/// Blocks as they are folded, from several tasks.
private final class Folded: Sendable {
    let blocks = Locked<[GaplessBlock<Log>]>([])

    func change<Value: Sendable>(_ body: (inout [GaplessBlock<Log>]) -> sending Value) -> Value {
        self.blocks.withLock { body(&$0) }
    }
}

@Suite("Gapless streams block by block", .timeLimit(.minutes(15)))
struct BlockAssemblyTests {
    private static func ref(_ number: UInt64, _ branch: UInt64 = 0) -> BlockRef {
        BlockRef(number: number, hash: Hash32(w0: branch, w1: 0, w2: 0, w3: number))
    }

    /// What a sequence of updates is, as text; an item is its block's number and its own.
    private static func told(_ updates: [GaplessUpdate<[UInt64]>]) -> [String] {
        var assembly = BlockAssembly<[UInt64]> { $0.first }
        return updates.compactMap { assembly.take($0) }.map { update in
            switch update {
            case .item(let block): "block \(block.ref.number): \(block.items.map { $0[1] })"
            case .rollback(let to, let removed): "rollback to \(to.number), \(removed.map(\.number))"
            case .gap(let range, _): "gap \(range)"
            case .progress(let cursor): "progress \(cursor.block.number)"
            default: "\(update)"
            }
        }
    }

    @Test("One element a block, empty ones included, with the items in order")
    func blocks() {
        let told = Self.told([
            .item([1, 0]), .item([1, 1]), .block(Self.ref(1)), .block(Self.ref(2)),
            .progress(Cursor(block: Self.ref(2))),
            .item([3, 0]), .caughtUp, .item([3, 1]), .block(Self.ref(3)),
        ])
        #expect(told == ["block 1: [0, 1]", "block 2: []", "progress 2", "caughtUp", "block 3: [0, 1]"])
    }

    @Test("A rollback of what was not told whole is nothing; else it names the whole blocks")
    func rollbacks() {
        let alone = Self.told([
            .block(Self.ref(1)), .item([2, 0]), .rollback(to: Self.ref(1), removed: [Self.ref(2)]), .item([2, 5]),
            .block(Self.ref(2, 1)),
        ])
        #expect(alone == ["block 1: []", "block 2: [5]"])
        let both = Self.told([
            .block(Self.ref(1)), .block(Self.ref(2)), .item([3, 0]),
            .rollback(to: Self.ref(1), removed: [Self.ref(3), Self.ref(2)]), .block(Self.ref(2, 1)),
        ])
        #expect(both == ["block 1: []", "block 2: []", "rollback to 1, [2]", "block 2: []"])
        // The first of a resumed stream, and one below the cursor while its first block is being told.
        let resumed = Self.told([
            .rollback(to: Self.ref(5), removed: []), .item([6, 0]), .rollback(to: Self.ref(3), removed: [Self.ref(6)]),
        ])
        #expect(resumed == ["rollback to 5, []", "rollback to 3, []"])
        let gap = Self.told([.item([2, 0]), .gap(2...4, .unavailable), .block(Self.ref(5))])
        #expect(gap == ["gap 2...4", "block 5: []"])
    }

    @Test("Folded blocks are the chain's, with their logs, through cuts and reorganisations", arguments: 1...10)
    func folded(seed: UInt64) async throws {
        let filter = LogFilter(address: SimulatedChain.address(0))
        var quirks = SimulatedQuirks()
        quirks.omittedLogs = seed % 2 == 0 ? 20 : 0
        try await GaplessStreamTests.play(seed: seed, quirks: quirks) { web3, node, loop in
            let stream = web3.eth.logs(filter, continuity: .gapless(), from: .block(101)).blocks
            let fold = Folded()
            let plain = Folded()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for try await update in stream.updates {
                        switch update {
                        case .item(let block):
                            let last = fold.change { blocks in
                                defer { blocks.append(block) }
                                return blocks.last
                            }
                            if let last { #expect(block.ref.parentHash == last.ref.hash) }
                        case .rollback(let to, let removed):
                            fold.change { blocks in
                                let gone = blocks.filter { $0.ref.number > to.number }
                                #expect(Array(gone.map(\.ref.hash).reversed()) == removed.map(\.hash))
                                blocks.removeAll { $0.ref.number > to.number }
                            }
                        case .gap(let range, _): Issue.record("gap \(range), seed \(seed)")
                        case .block: Issue.record("a block beside its element")
                        default: break
                        }
                    }
                }
                group.addTask {
                    for try await block in stream {
                        plain.change { blocks in
                            blocks.removeAll { $0.ref.number >= block.ref.number }
                            if let last = blocks.last { #expect(block.ref.parentHash == last.ref.hash) }
                            blocks.append(block)
                        }
                    }
                }
                try await node.weather(seed: seed, on: loop)
                group.cancelAll()
                try await group.waitForAll()
            }
            let blocks = fold.change { $0 }
            let last = try #require(blocks.last?.ref.number)
            #expect(last + 2 >= node.chain.head.number)
            let wanted = node.chain.canonical.filter { $0.number > 100 && $0.number <= last }
            #expect(blocks.map(\.ref.hash) == wanted.map(\.hash), "seed \(seed)")
            #expect(blocks.flatMap(\.items) == wanted.flatMap { $0.logs.filter { filter.matches($0) } }, "seed \(seed)")
            #expect(plain.change { $0 } == blocks, "seed \(seed)")
        }
    }

    @Test("Heads block by block: each block with its one head")
    func heads() async throws {
        try await GaplessStreamTests.play(seed: 3) { web3, node, _ in
            await node.change { chain in for _ in 0..<3 { chain.mine() } }
            var blocks = web3.eth.newHeads(continuity: .gapless(), from: .block(101)).blocks.makeAsyncIterator()
            for number: UInt64 in 101...103 {
                let block = try await blocks.next()
                #expect(block?.ref.number == number && block?.items.map(\.hash) == block.map { [$0.ref.hash] })
            }
        }
    }
}
