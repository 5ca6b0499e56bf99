import Testing

@testable import HeadstreamRPC

@Suite("OrphanBuffer, DeadlineHeap, RequestQueue")
struct BookkeepingTests {
    private static func keep(_ buffer: inout OrphanBuffer, _ id: String, _ result: String) {
        withPadded(id) { id in withPadded(result) { buffer.append(id: id, result: $0) } }
    }

    private static func take(_ buffer: inout OrphanBuffer, _ id: String) -> [String] {
        withPadded(id) { id in buffer.take(id: id).map { String(decoding: $0, as: UTF8.self) } }
    }

    @Test("Orphans: against a model, with taking, giving way and the limit")
    func orphans() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = TestRandom(seed: seed)
        let limit = 20_000
        var buffer = OrphanBuffer(limit: limit)
        var model: [(id: String, result: String)] = []
        func size(_ record: (id: String, result: String)) -> Int {
            record.id.utf8.count + record.result.utf8.count + OrphanBuffer.overhead
        }
        for step in 0..<3_000 {
            let id = "0x\(random.below(20))"
            if random.below(12) > 0 {
                let result = String(repeating: "r", count: random.below(200)) + "\(step)"
                Self.keep(&buffer, id, result)
                model.append((id, result))
                while model.reduce(0, { $0 + size($1) }) > limit { model.removeFirst() }
            } else {
                #expect(Self.take(&buffer, id) == model.filter { $0.id == id }.map(\.result), "seed \(seed)")
                model.removeAll { $0.id == id }
            }
            #expect(buffer.count == model.count, "seed \(seed)")
            #expect(buffer.byteCount == model.reduce(0) { $0 + size($1) }, "seed \(seed)")
        }
        buffer.removeAll()
        #expect(buffer.isEmpty && buffer.byteCount == 0)
    }

    @Test("Orphans: what is larger than the limit or has an endless id is not kept")
    func orphanLimits() {
        var buffer = OrphanBuffer(limit: 1000)
        Self.keep(&buffer, "1", String(repeating: "x", count: 2000))
        Self.keep(&buffer, String(repeating: "1", count: 2000), "x")
        #expect(buffer.isEmpty && buffer.lost == 2)
    }

    @Test("Deadlines come out in order, and answered ones do not pile up")
    func deadlines() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = TestRandom(seed: seed)
        var heap = DeadlineHeap()
        var instants: [UInt64: UInt64] = [:]
        for number in 0..<5000 {
            let instant = UInt64(random.below(1000))
            instants[UInt64(number)] = instant
            heap.insert(RequestID(rawValue: UInt64(number)), at: instant)
        }
        // All but ten are answered.
        let live = Set((0..<10).map { UInt64($0 * 499) })
        #expect(heap.isOvergrown(liveCount: live.count))
        heap.compact { live.contains($0.rawValue) }
        #expect(heap.count == 10)
        var last: UInt64 = 0
        var seen: Set<UInt64> = []
        while let earliest = heap.earliest {
            #expect(heap.popDue(at: earliest - min(earliest, 1)) == nil || earliest == 0, "seed \(seed)")
            guard let id = heap.popDue(at: earliest) else { break }
            #expect(earliest >= last && instants[id.rawValue] == earliest, "seed \(seed)")
            last = earliest
            seen.insert(id.rawValue)
        }
        #expect(seen == live, "seed \(seed)")
        for number in 0..<100 { heap.insert(RequestID(rawValue: UInt64(number)), at: 5) }
        heap.dropStale { $0.rawValue == 70 }
        #expect(heap.popDue(at: 5)?.rawValue == 70)
    }

    @Test("A queue whose names were struck out stays as small as what is left")
    func queue() {
        var queue = RequestQueue()
        for number in 0..<100_000 {
            queue.append(RequestID(rawValue: UInt64(number)))
            if number % 2 == 0 { queue.removeFirst() }
        }
        #expect(queue.first?.rawValue == 50_000)
        queue.compact(liveCount: 1) { $0.rawValue == 99_999 }
        #expect(queue.first?.rawValue == 99_999)
        queue.removeFirst()
        queue.removeFirst()
        #expect(queue.isEmpty && queue.first == nil)
    }
}
