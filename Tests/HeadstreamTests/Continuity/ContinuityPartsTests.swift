import EthereumTypes
import HeadstreamTesting
import Testing

@testable import Headstream

@Suite("Continuity: its parts")
struct ContinuityPartsTests {
    @Test("The window takes children of its tip and the parent of its base, and forgets the lowest past its capacity")
    func window() throws {
        var chain = SimulatedChain(seed: 1)
        chain.mine(blocks: Array(repeating: [], count: 20))
        let blocks = chain.canonical.map { ChainBlock($0.header) }
        var window = ChainWindow(capacity: 8)
        let step1 = window.append(blocks[5])
        #expect(step1)
        let step2 = window.append(blocks[7])
        #expect(!step2)
        let step3 = window.append(blocks[6])
        #expect(step3)
        let step4 = window.prepend(blocks[4])
        #expect(step4)
        let step5 = window.prepend(blocks[2])
        #expect(!step5)
        #expect(window.links(4, parent: blocks[3].hash))
        #expect(window.ref(3)?.hash == blocks[3].hash)
        #expect(window.ref(2) == nil)
        for block in blocks[7...] { window.append(block) }
        #expect(window.count == 8)
        #expect(window.base?.number == 13)
        #expect(window[12] == nil)
        window.setAlias(Hash32(w0: 1, w1: 1, w2: 1, w3: 1), for: 15)
        #expect(window.contains(15, Hash32(w0: 1, w1: 1, w2: 1, w3: 1)))
        #expect(window.contains(15, blocks[15].hash))
        window.truncate(above: 14)
        #expect(window.tip?.number == 14)
        #expect(!window.contains(15, blocks[15].hash))
        window.truncate(above: 3)
        #expect(window.isEmpty)
        let step6 = window.append(blocks[2])
        #expect(step6)
    }

    @Test("Edge case 74: a span is halved at too many results, and set to the limit that a node names")
    func planner() {
        var planner = LogRangePlanner(span: 128)
        let step7 = planner.refused(128, .tooManyResults)
        #expect(step7)
        #expect(planner.span == 64)
        let step8 = planner.refused(64, .rangeTooLarge(limit: 10))
        #expect(step8)
        #expect(planner.span == 9)
        for _ in 0..<20 { planner.answered(planner.span) }
        #expect(planner.span == 9)
        let step9 = planner.refused(9, .tooManyResults)
        #expect(step9)
        #expect(planner.span == 4)
        for _ in 0..<20 { planner.answered(planner.span) }
        #expect(planner.span == 8)
        let step10 = planner.refused(1, .tooManyResults)
        #expect(!step10)
    }

    @Test(
        "Edge cases 74 and 114: what nodes' refusals mean",
        arguments: [
            (-32005, "query returned more than 10000 results", ChainFailure.tooManyResults),
            (
                -32602, "Log response size exceeded. this block range should work: [0x1, 0x2]",
                .rangeTooLarge(limit: nil)
            ),
            (-32600, "block range too large, limit 5 blocks", .rangeTooLarge(limit: 5)),
            (-32000, "exceed maximum block range: 50000", .rangeTooLarge(limit: 50000)),
            (429, "Too Many Requests", .rateLimited(retryAfter: nil)),
            (-32005, "daily request count exceeded, request rate limited", .rateLimited(retryAfter: nil)),
            (-32000, "unknown block", .other),
        ]
    )
    func failures(code: Int, message: String, meaning: ChainFailure) {
        #expect(ChainFailure(code: code, message: message) == meaning)
    }

    @Test("Numbers that no chain reaches are refused: nothing overflows")
    func implausible() {
        var run = ContinuityRun(seed: 1)
        let id = run.join()
        run.start()
        var header = run.chain.head.header
        header.number = .max
        run.handle(.head(header))
        run.handle(.stalled)
        run.answer(with: [.header(header)])
        run.settle()
        run.mine(2)
        #expect(run.numbers(id) == [101, 102])
    }

    @Test("Answers of the wrong number or kind are failures, not traps")
    func malformed() {
        var run = ContinuityRun(seed: 1)
        let filter = run.addFilter(LogFilter(), delivery: .fetched)
        let id = run.join(filter)
        run.start()
        for wrong in [[], [ChainAnswer.logs([])], [.header(nil), .logs([])], [.failure(.other)]] {
            run.chain.mine([SimulatedEvent(address: SimulatedChain.address(0))])
            run.chain.mine([SimulatedEvent(address: SimulatedChain.address(0))])
            run.handle(.stalled)
            run.collect()
            while run.deliverOne() {}
            for _ in 0..<3 { run.answer(with: wrong) }
        }
        run.settle()
        run.mine(3)
        #expect(run.logs(id).count == 8)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Logs that are fetched again stand in the order in which they stood, also where two have one place")
    func restored() throws {
        var logs: [Log] = []
        for place in UInt64(0)..<3 {
            var log = try Log(address: SimulatedChain.address(Int(place)), topics: [])
            log.transactionIndex = 0
            log.logIndex = place / 2
            logs.append(log)
        }
        var entry = LogBook.Entry()
        entry.insert(logs[...], seed: 1)
        entry.forget(isTold: true)
        #expect(!entry.isWhole && entry.keys.count == 3)
        var answer = LogBook.Entry()
        answer.insert([logs[1], logs[0], logs[2]], seed: 1)
        entry.restore(from: answer)
        #expect(entry.isWhole && entry.logs.joined == logs)
    }
}
