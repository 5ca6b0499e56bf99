import Testing

@testable import HeadstreamRPC

@Suite("SubscriptionTable")
struct SubscriptionTableTests {
    private static let buffer = SubscriptionBuffer(limit: 8192, policy: .fail)

    private static func insert(_ table: inout SubscriptionTable, _ id: String, _ local: UInt64)
        -> SubscriptionTable.Slot
    {
        withPadded(id) { bytes in
            table.insert(
                bytes,
                isQuoted: true,
                SubscribeRequest(
                    local: LocalSubscriptionID(rawValue: local),
                    methods: .ethereum,
                    key: nil,
                    id: RequestID(rawValue: local),
                    text: [],
                    buffer: Self.buffer,
                    deadline: .max,
                    waiter: .nobody
                )
            )
        }
    }

    private static func find(_ table: inout SubscriptionTable, _ id: String) -> UInt64? {
        withPadded(id) { table.find($0)?.pointee.local.rawValue }
    }

    @Test("100,000 subscriptions: a look-up visits a place or two", arguments: 0..<3)
    func constantTime(_ number: Int) {
        let seed = [UInt64(0), 1, 0xDEAD_BEEF][number]
        let count = 100_000
        let forms: [@Sendable (Int) -> String] = [
            { "0x" + String($0, radix: 16) },
            { "\($0 + 24040)" },
            { "0x" + String(String($0, radix: 16).reversed()) + String(repeating: "0", count: 25) },
        ]
        for form in [forms[number]] {
            var table = SubscriptionTable(seed: seed)
            for number in 0..<count { _ = Self.insert(&table, form(number), UInt64(number)) }
            var total = 0
            var longest = 0
            for number in 0..<count {
                let visited = withPadded(form(number)) { table.probes($0) }
                total += visited
                longest = max(longest, visited)
                if number % 1000 == 0 { #expect(Self.find(&table, form(number)) == UInt64(number)) }
            }
            #expect(Double(total) / Double(count) < 2)
            #expect(longest < 64)
            #expect(Self.find(&table, "none") == nil)
        }
    }

    @Test("Edge case 120: ids that collide under one seed do not under another")
    func collisions() {
        // Ids whose places are equal in a table of 512 places with seed 1.
        let known = SubscriptionTable(seed: 1)
        var chosen: [String] = []
        for number in 0..<200_000 where chosen.count < 200 {
            let id = "0x" + String(number, radix: 16)
            if withPadded(id, { known.hash($0) & 0x1FF }) == 0 { chosen.append(id) }
        }
        #expect(chosen.count == 200)
        func longest(_ seed: UInt64) -> Int {
            var table = SubscriptionTable(seed: seed)
            for (index, id) in chosen.enumerated() { _ = Self.insert(&table, id, UInt64(index)) }
            return chosen.map { id in withPadded(id) { table.probes($0) } }.max() ?? 0
        }
        #expect(longest(1) == 200)
        for seed in [2, 77, UInt64.max] { #expect(longest(seed) < 24) }
    }

    @Test("Random insertions and removals, siblings among them, as a dictionary has it", arguments: 0..<6)
    func model(_ round: Int) {
        let seed = UInt64.random(in: 0 ... .max)
        var random = TestRandom(seed: seed)
        var table = SubscriptionTable(seed: random.next())
        var model: [String: Set<UInt64>] = [:]
        var slots: [UInt64: (id: String, slot: SubscriptionTable.Slot)] = [:]
        for step in 0..<4_000 {
            let id = "0x\(random.below(round == 0 ? 3 : 400))"
            if random.below(slots.count < 300 ? 3 : 2) > 0 {
                slots[UInt64(step)] = (id, Self.insert(&table, id, UInt64(step)))
                model[id, default: []].insert(UInt64(step))
            } else if !slots.isEmpty {
                let local = slots.keys.sorted()[random.below(slots.count)]
                guard let removed = slots.removeValue(forKey: local) else { continue }
                model[removed.id]?.remove(local)
                if model[removed.id]?.isEmpty == true { model[removed.id] = nil }
                let wasLast = table.remove(removed.slot)
                #expect(wasLast == (model[removed.id] == nil), "seed \(seed)")
            }
            let count = table.count
            #expect(count == model.count, "seed \(seed)")
            var found: Set<UInt64> = []
            var next = withPadded(id) { table.find($0) }
            while let slot = next {
                #expect(slot.pointee.sibling.map { $0.pointee.previousSibling == slot } ?? true, "seed \(seed)")
                found.insert(slot.pointee.local.rawValue)
                next = slot.pointee.sibling
            }
            #expect(found == model[id] ?? [], "seed \(seed)")
        }
        let locals = table.sorted().map { $0.pointee.local.rawValue }
        #expect(locals == slots.keys.sorted(), "seed \(seed)")
    }

    @Test("20,000 subscriptions of one id are removed in any order without walking them")
    func siblings() {
        var table = SubscriptionTable(seed: 3)
        let slots = (0..<20_000).map { Self.insert(&table, "0x1", UInt64($0)) }
        var order = Array(slots[1...])
        order.insert(slots[0], at: 10_000)
        var gone: [Bool] = []
        for slot in order { gone.append(table.remove(slot)) }
        #expect(gone.count == 20_000 && gone.last == true && !gone.dropLast().contains(true))
        let count = table.count
        #expect(count == 0 && Self.find(&table, "0x1") == nil)
    }
}
