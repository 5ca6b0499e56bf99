import EthereumTypes
import Foundation
import HeadstreamJSON
import HeadstreamTesting
import Testing

@testable import Headstream

@Suite("Verification")
struct VerificationTests {
    /// Chains with hashes of another rule, and headers that their source had altered; `BlockHeaderTests` says why.
    private static let unverifiable = [
        "chain/other-chains/cronos", "chain/other-chains/stable", "chain/other-chains/tempo",
        "rpc-recorded/erigon-rpc-tests/gnosis/erigon_getHeaderByHash/test_02",
        "rpc-recorded/erigon-rpc-tests/gnosis/erigon_getHeaderByHash/test_04",
        "rpc-recorded/erigon-rpc-tests/gnosis/eth_getBlockByHash/test_02",
        "rpc-recorded/erigon-rpc-tests/gnosis/eth_getBlockByHash/test_04", "subscriptions/chainlink-heads",
    ]

    /// The recorded headers of many chains that have a hash and all that it covers.
    private static func recorded() throws -> [(source: String, header: BlockHeader)] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "Fixtures/chain/headers.jsonl"), encoding: .utf8)
        return try text.split(separator: "\n").compactMap { line in
            let object = try JSONValue(parsing: String(line))
            let header = try JSONDecoder().decode(
                BlockHeader.self,
                from: Data((object["value"] ?? .null).description.utf8)
            )
            guard header.hasHash, header.isComplete else { return nil }
            return (object["source"]?.stringValue ?? "", header)
        }
    }

    /// One that has seen a right header.
    private static func strict() throws -> HeaderCheck {
        var check = HeaderCheck()
        #expect(check.check(SimulatedChain(seed: 1).head.header) == .verified)
        return check
    }

    @Test("Every recorded header is accepted; those of chains with another rule are unverifiable, not wrong")
    func accepted() throws {
        var verified = 0
        for (source, header) in try Self.recorded() {
            var check = HeaderCheck()
            let isOther = Self.unverifiable.contains { source.hasPrefix($0) }
            #expect(check.check(header) == (isOther ? .unverifiable : .verified), "\(source)")
            verified += isOther ? 0 : 1
        }
        #expect(verified > 60)
    }

    @Test("Every single-bit mutation of a header is refused: all bits of one of each fork, some of every other")
    func mutations() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        var forks: Set<Int> = []
        var refused = 0
        let check = try Self.strict()
        for (source, header) in try Self.recorded() where header.computedHash() == header.hash {
            let bytes = header.rlpEncoded.withBytes { Array($0) }
            guard case .list(let fields) = try RLP.decode(Bytes(bytes)) else { continue }
            let bits =
                forks.insert(fields.count).inserted
                ? Array(0..<(bytes.count * 8)) : (0..<24).map { _ in random.below(bytes.count * 8) }
            for bit in bits {
                var mutated = bytes
                mutated[bit / 8] ^= 1 << UInt8(bit % 8)
                // Many of them are no header any more.
                guard var wrong = try? BlockHeader(rlpEncoded: Bytes(mutated)) else { continue }
                wrong.hash = header.hash
                var check = check
                #expect(check.check(wrong) == .wrong, "bit \(bit) of \(source), seed \(seed)")
                refused += 1
            }
            for bit in 0..<256 where bit % 16 == 0 {
                var wrong = header
                wrong.hash = try Hash32(
                    bytes: header.hash.withBytes { hash in
                        var hash = Array(hash)
                        hash[bit / 8] ^= 1 << UInt8(bit % 8)
                        return hash
                    }
                )
                var check = check
                #expect(check.check(wrong) == .wrong, "bit \(bit) of the hash of \(source)")
            }
        }
        #expect(forks.count > 3 && refused > 10_000)
    }

    @Test("The logs of a block make up its bloom: fewer are some, others are none of it")
    func blooms() throws {
        var chain = SimulatedChain(seed: 3)
        let block = chain.mine(chain.randomEvents(6))
        let check = try Self.strict()
        #expect(check.admits(block.logs, in: block.header, areAll: true))
        #expect(check.admits([], in: block.header, areAll: false))
        #expect(!check.admits([], in: block.header, areAll: true))
        var other = block.logs[0]
        other.address = Address(w0: 1, w1: 2, w2: 3)
        #expect(!check.admits([other], in: block.header, areAll: false))
        // Of a chain that cannot be verified nothing is known of blooms either.
        #expect(HeaderCheck().admits([other], in: block.header, areAll: false))
    }

    /// A node and one consumer of heads that wants them verified, at block 100.
    private static func start(_ verify: Verification = .headers) -> (ContinuityRun, ConsumerID) {
        var run = ContinuityRun(seed: 1)
        let id = run.join(verify: verify)
        run.start()
        return (run, id)
    }

    @Test("A pushed head that is wrong is told once and not used; the right one is asked for")
    func pushed() {
        var (run, id) = Self.start()
        run.mine(3)
        run.inSilence { $0.mine() }
        var wrong = run.chain.head.header
        wrong.gasUsed += 1
        run.handle(.head(wrong))
        run.handle(.head(wrong))
        #expect(run.numbers(id) == [101, 102, 103])
        run.settle()
        #expect(run.numbers(id) == [101, 102, 103, 104])
        #expect(run.fold(id).unverified.count == 1 && run.fold(id).unverified.first?.failure == .header)
        #expect(run.fold(id).blocks.last?.ref.hash == run.chain.head.hash)
        #expect(run.check().isEmpty)
    }

    @Test("A node whose answers are wrong for good: nothing of it is told, its blocks are a gap, and the rest goes on")
    func answered() {
        var (run, id) = Self.start()
        run.mine(3)
        run.disconnect()
        run.inSilence { chain in for _ in 0..<20 { chain.mine() } }
        run.connect()
        run.acknowledgeAll()
        run.answerUntilGap(of: id, steps: 400) { run, call in
            guard case .header(var header?) = run.answer(call, 0) else { return .header(nil) }
            if case .header(.latest) = call { return .header(header) }
            header.timestamp += 1
            return .header(header)
        }
        #expect(run.fold(id).gaps.last?.upperBound == 122)
        #expect(!run.fold(id).unverified.isEmpty)
        #expect(run.fold(id).unverified.allSatisfy { $0.failure == .header })
        run.settle()
        run.mine(3)
        #expect(run.fold(id).blocks.last?.ref.number == 126)
        #expect(run.check().isEmpty)
    }

    @Test("A chain of another rule is told once to each who asked, and goes on; a first match ends the leniency")
    func otherRule() {
        var quirks = SimulatedQuirks()
        quirks.pushesOtherHashes = true
        var run = ContinuityRun(seed: 4, quirks: quirks)
        let plain = run.join()
        run.start()
        run.mine(5)
        #expect(run.fold(plain).unverified.isEmpty)
        // What it answers follows the rule, what it pushes does not.
        let strict = run.join(verify: .headers)
        run.mine(5)
        #expect(run.numbers(strict) == Array(106...110))
        #expect(run.fold(strict).unverified.filter { $0.failure == .unverifiable }.count <= 1)
        #expect(run.check().isEmpty)
    }

    @Test("Nobody asked: nothing is checked, and nothing is refused")
    func off() {
        var run = ContinuityRun(seed: 1)
        let id = run.join()
        run.start()
        run.mine(2)
        run.inSilence { $0.mine() }
        var other = run.chain.head.header
        other.gasUsed += 1
        run.handle(.head(other))
        #expect(run.numbers(id) == [101, 102, 103])
    }

    @Test("Blocks of before somebody asked are checked when they are told")
    func earlier() {
        var run = ContinuityRun(seed: 1)
        run.join()
        run.start()
        run.mine(3)
        run.inSilence { $0.mine() }
        var wrong = run.chain.head.header
        wrong.gasUsed += 1
        run.handle(.head(wrong))
        let strict = run.join(origin: .block(102), verify: .headers)
        run.mine(2)
        #expect(run.numbers(strict) == [102, 103, 105, 106])
        #expect(run.fold(strict).gaps == [104...104])
        #expect(run.fold(strict).unverified.map(\.ref.number) == [104])
    }

    @Test("A pushed log that its block's bloom denies is told and not used", arguments: [Verification.headers, .logs])
    func pushedLogs(_ verify: Verification) {
        var run = ContinuityRun(seed: 2)
        let filter = run.addFilter(LogFilter(), verify: verify)
        let id = run.join(filter, verify: verify)
        run.start()
        run.mine(3, logs: 2)
        var lie = run.chain.head.logs[0]
        lie.address = Address(w0: 1, w1: 2, w2: 3)
        lie.logIndex = 77
        run.handle(.logs(filter, [lie]))
        run.mine(3, logs: 2)
        run.mine(4)
        #expect(run.logs(id) == run.chain.canonicalLogs(LogFilter(), from: 101))
        #expect(run.fold(id).unverified.map(\.failure) == [.logs])
        #expect(run.check(upTo: 4).isEmpty)
    }

    @Test("With .logs an answer that withholds logs is refused, one by one of the filter's too; the rest is a gap")
    func withheld() {
        let wanted = LogFilter(address: SimulatedChain.address(0))
        var run = ContinuityRun(seed: 6)
        let filter = run.addFilter(wanted, verify: .logs)
        let id = run.join(filter, verify: .logs)
        run.start()
        run.mine(10, logs: 4)
        run.mine(4)
        #expect(run.logs(id) == run.chain.canonicalLogs(wanted, from: 101))
        #expect(run.fold(id).unverified.isEmpty)
        // From here on the node leaves out what the filter matches.
        run.withheld = wanted
        let before = run.chain.head.number
        run.mine(1, logs: 30)
        #expect(run.chain.head.logs.contains { wanted.matches($0) })
        run.mine(4)
        run.settle(deadlines: 200)
        #expect(run.fold(id).gaps.contains(before + 1...before + 1))
        #expect(run.fold(id).unverified.contains { $0.ref.number == before + 1 && $0.failure == .logs })
    }

    @Test("Verification of an honest node changes nothing of what is told", arguments: 1...20)
    func honest(seed: UInt64) {
        let filter = LogFilter(address: SimulatedChain.address(1))
        var told: [[Log]] = []
        for verify in Verification.allCases {
            var run = ContinuityRun(seed: seed)
            let logs = run.addFilter(filter, verify: verify)
            let id = run.join(logs, verify: verify)
            run.start()
            for _ in 0..<6 {
                run.mine(4, logs: 3)
                run.chain.reorganise(depth: 2, events: [[], run.chain.randomEvents(3), []])
                run.settle()
            }
            run.mine(40)
            #expect(run.check(upTo: 3).isEmpty && run.fold(id).unverified.isEmpty, "seed \(seed), \(verify)")
            told.append(run.logs(id))
            #expect(run.logs(id) == run.chain.canonicalLogs(filter, from: 101), "seed \(seed), \(verify)")
        }
        #expect(Set(told).count == 1)
    }
}
