import EthereumTypes
import Foundation
import HeadstreamTesting
import Testing

@testable import Headstream

@Suite("Cursors")
struct CursorTests {
    private static func cursor(_ run: inout ContinuityRun, _ id: ConsumerID) throws -> Cursor {
        let cursor = try #require(run.fold(id).cursor)
        // As another process has it.
        return try JSONDecoder().decode(Cursor.self, from: JSONEncoder().encode(cursor))
    }

    @Test("Edge case 78: a stream resumed in another process goes on without a seam")
    func resume() throws {
        var run = ContinuityRun(seed: 1)
        let id = run.join()
        run.start()
        run.mine(40)
        let cursor = try Self.cursor(&run, id)
        #expect(cursor.block.number == 140)
        #expect(cursor.ancestors.map(\.number).prefix(4) == [139, 138, 136, 132])

        run.disconnect()
        run.machine = ContinuityMachine()
        run.folds = []
        run.inSilence { $0.mine(blocks: Array(repeating: [], count: 30)) }
        let next = run.join(origin: .cursor(cursor))
        run.start()
        run.mine(1)
        #expect(run.numbers(next) == Array(141...171))
        #expect(run.check().isEmpty)
    }

    @Test("Edge case 78: a cursor on an orphaned block rolls back to its highest ancestor still on the chain")
    func orphaned() throws {
        var run = ContinuityRun(seed: 2)
        let id = run.join()
        run.start()
        run.mine(40)
        let cursor = try Self.cursor(&run, id)
        run.disconnect()
        run.machine = ContinuityMachine()
        run.folds = []
        run.inSilence { $0.reorganise(depth: 3, events: Array(repeating: [], count: 20)) }
        let next = run.join(origin: .cursor(cursor))
        run.start()
        // 137 is the fork; of 139, 138 and 136 the last is an ancestor still.
        #expect(run.numbers(next).first == 137)
        #expect(run.check().isEmpty)
    }

    @Test("Edge case 78: a cursor that the chain does not know at all ends the stream and says so")
    func unknown() {
        var run = ContinuityRun(seed: 3)
        run.inSilence { $0.mine(blocks: Array(repeating: [], count: 20)) }
        let other = Hash32(w0: 1, w1: 2, w2: 3, w3: 4)
        let id = run.join(origin: .cursor(Cursor(block: BlockRef(number: 110, hash: other))))
        run.start()
        #expect(run.fold(id).failure == .cursorUnknown)
    }

    @Test("A cursor too far below is vouched for by its number; what cannot be caught up with is a gap")
    func far() throws {
        var run = ContinuityRun(seed: 4, limits: .init(blocks: 24))
        let id = run.join()
        run.start()
        run.mine(10)
        let cursor = try Self.cursor(&run, id)
        run.disconnect()
        run.machine = ContinuityMachine(limits: .init(blocks: 24))
        run.folds = []
        run.inSilence { $0.mine(blocks: Array(repeating: [], count: 200)) }
        let next = run.join(origin: .cursor(cursor))
        run.start()
        #expect(run.fold(next).gaps == [111...286])
        #expect(run.numbers(next) == Array(287...310))
        #expect(run.check().isEmpty)
    }

    @Test("From a block: backfilled, and joined with the live stream without a seam")
    func fromBlock() {
        var run = ContinuityRun(seed: 5)
        for _ in 0..<80 { run.inSilence { chain in chain.mine(chain.randomEvents(2)) } }
        let filter = run.addFilter(LogFilter(address: SimulatedChain.address(1)))
        let heads = run.join(origin: .block(105))
        let logs = run.join(filter, origin: .block(120))
        let future = run.join(origin: .block(190))
        run.start()
        run.mine(20, logs: 2)
        #expect(run.numbers(heads) == Array(105...200))
        #expect(run.numbers(logs).first == 120)
        #expect(run.numbers(future).first == 190)
        #expect(run.check(upTo: 2).isEmpty)
    }

    @Test("Edge case 79: a filter that matches nothing moves its cursor with every block, and costs its audits alone")
    func empty() {
        var run = ContinuityRun(seed: 6)
        let filter = run.addFilter(LogFilter(address: Address(w0: 9, w1: 9, w2: 9)))
        let id = run.join(filter)
        run.start()
        let before = run.requestCount
        run.mine(100, logs: 1)
        #expect(run.fold(id).cursor?.block.number == 200)
        #expect(run.logs(id).isEmpty)
        // Two or three audits, and a few blooms that match by chance.
        #expect(run.requestCount - before <= 6)
    }

    @Test(
        "The cursor stays below a block that was told and not checked: what was missing there comes after a resumption"
    )
    func open() throws {
        var run = ContinuityRun(seed: 7)
        let filter = run.addFilter(LogFilter(address: SimulatedChain.address(1)))
        let id = run.join(filter)
        run.start()
        run.mine(5)
        run.chain.mine(Array(repeating: SimulatedEvent(address: SimulatedChain.address(1)), count: 2))
        run.collect()
        run.pushed[1].removeFirst()
        run.settle()
        run.mine(3)
        #expect(run.logs(id).count == 1)
        let cursor = try Self.cursor(&run, id)
        #expect(cursor.block.number < 106)

        run.disconnect()
        run.machine = ContinuityMachine()
        run.folds = []
        run.handle(.filterAdded(filter, run.filters[0].options))
        let next = run.join(filter, origin: .cursor(cursor))
        run.start()
        run.mine(3)
        #expect(run.logs(next).count == 2)
        #expect(run.check(upTo: 2).isEmpty)
    }
}
