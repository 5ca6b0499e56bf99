import Testing

@testable import HeadstreamRPC

@Suite("What is kept of requests by their ids")
struct RequestTableTests {
    @Test("It holds what a dictionary holds, whatever comes and goes", arguments: 1...8 as ClosedRange<UInt64>)
    func likeADictionary(seed: UInt64) {
        var random = TestRandom(seed: seed)
        var table = RequestTable<UInt64>()
        var model: [UInt64: UInt64] = [:]
        var next: UInt64 = 1
        for step in 0..<20_000 {
            // Phases in which it grows to some thousand, and in which it shrinks to nothing.
            let grows = (step / 4000) % 2 == 0 ? 70 : 25
            if UInt64.random(in: 0..<100, using: &random) < grows {
                let id = next << RequestIDs.kindBits | UInt64.random(in: 0...2, using: &random)
                next += UInt64.random(in: 1...3, using: &random)
                table.insert(next, for: RequestID(rawValue: id))
                model[id] = next
            } else if let id = model.keys.randomElement(using: &random) {
                let place = table.place(of: RequestID(rawValue: id))
                #expect(place.flatMap { table.remove(at: $0) } == model.removeValue(forKey: id), "seed \(seed)")
            }
            #expect(table.count == model.count, "seed \(seed), step \(step)")
            let asked = UInt64.random(in: 0...(next + 8) << RequestIDs.kindBits, using: &random)
            #expect(table[RequestID(rawValue: asked)] == model[asked], "seed \(seed), step \(step)")
        }
        #expect(Dictionary(uniqueKeysWithValues: table.map { ($0.key.rawValue, $0.value) }) == model, "seed \(seed)")
    }

    @Test("An id of zero, which no request has, is not found")
    func zero() {
        let table = RequestTable<Int>()
        #expect(!table.contains(RequestID(rawValue: 0)) && table.isEmpty)
    }
}
