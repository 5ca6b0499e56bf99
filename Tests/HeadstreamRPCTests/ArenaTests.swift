import Testing

@testable import HeadstreamRPC

@Suite("Arena")
struct ArenaTests {
    private static func append(_ bytes: [UInt8], to arena: inout Arena, limit: Int) -> Bool {
        bytes.withUnsafeBytes { arena.append($0, limit: limit) }
    }

    @Test("It holds what an array of byte arrays would, through wrapping, growth and giving way", arguments: 0..<5)
    func model(_ round: Int) {
        let seed = UInt64.random(in: 0 ... .max)
        var random = TestRandom(seed: seed)
        let limit = [256, 1000, 4096, 20_001, 1 << 16][round % 5]
        var arena = Arena()
        var model: [[UInt8]] = []
        var lost: UInt64 = 0
        var used = 0
        for step in 0..<4000 {
            switch random.below(20) {
            case 0..<9:
                let bytes = (0..<random.below(random.below(8) == 0 ? 700 : 90)).map {
                    UInt8(truncatingIfNeeded: $0 + step) | 0x80
                }
                let fits = used + Arena.size(ofRecord: bytes.count) <= limit
                #expect(Self.append(bytes, to: &arena, limit: limit) == fits, "seed \(seed)")
                if fits {
                    model.append(bytes)
                    used += Arena.size(ofRecord: bytes.count)
                }
            case 9..<14:
                let bytes = (0..<random.below(300)).map { UInt8(truncatingIfNeeded: $0 &* 7 + step) | 0x80 }
                let gone = arena.makeRoom(forRecord: bytes.count, limit: limit)
                #expect((gone == nil) == (Arena.size(ofRecord: bytes.count) > limit), "seed \(seed)")
                if let gone {
                    used -= model[..<gone].reduce(0) { $0 + Arena.size(ofRecord: $1.count) }
                    model.removeFirst(gone)
                    lost += UInt64(gone)
                    #expect(Self.append(bytes, to: &arena, limit: limit), "seed \(seed)")
                    model.append(bytes)
                    used += Arena.size(ofRecord: bytes.count)
                }
            case 14..<19:
                let removed = arena.removeFirst()
                #expect(removed == !model.isEmpty, "seed \(seed)")
                if !model.isEmpty { used -= Arena.size(ofRecord: model.removeFirst().count) }
            default:
                if random.below(20) == 0 {
                    arena.removeAll(keeping: random.below(2) == 0 ? 0 : .max)
                    model = []
                    used = 0
                    lost = 0
                }
            }
            let (count, byteCount, gone) = (arena.count, arena.byteCount, arena.lost)
            let capacity = arena.capacity
            let first = arena.first.map { Array($0) }
            #expect(count == model.count && gone == lost, "seed \(seed)")
            #expect(byteCount == used, "seed \(seed)")
            #expect(byteCount <= limit && capacity <= max(limit, Arena.firstCapacity), "seed \(seed)")
            #expect(first == model.first, "seed \(seed)")
        }
        for record in model {
            let first = arena.first.map { Array($0) }
            #expect(first == record, "seed \(seed)")
            arena.removeFirst()
        }
        let isEmpty = arena.first == nil
        #expect(isEmpty)
    }

    @Test("64 bytes behind any record can be read, the last one of a full block too")
    func padding() {
        for size in 1...64 {
            var arena = Arena()
            let bytes = Array(repeating: UInt8(7), count: size)
            while Self.append(bytes, to: &arena, limit: 1024) {}
            var sum = 0
            while let record = arena.first, let base = record.baseAddress {
                for index in record.count..<record.count + Arena.padding {
                    sum += Int(base.load(fromByteOffset: index, as: UInt8.self))
                }
                arena.removeFirst()
            }
            #expect(sum >= 0)
        }
    }

    @Test("Memory of a burst is given back after many rounds of little use, and kept by a steady stream")
    func recycling() {
        var arena = Arena()
        let bytes = Array(repeating: UInt8(1), count: 60_000)
        for _ in 0..<40 { #expect(Self.append(bytes, to: &arena, limit: .max)) }
        let burst = arena.capacity
        #expect(burst >= 40 * 60_000)
        for _ in 0..<20 {
            arena.recycle()
            #expect(Self.append([1], to: &arena, limit: .max))
        }
        let kept = arena.capacity
        #expect(kept == burst)
        for _ in 0..<40 {
            arena.recycle()
            #expect(Self.append([1], to: &arena, limit: .max))
        }
        let left = arena.capacity
        #expect(left < 1 << 18)
        arena.removeAll(keeping: 0)
        let capacity = arena.capacity
        #expect(capacity == 0)
    }

    @Test("A limit that is no power of two is not exceeded by the block")
    func capacity() {
        var arena = Arena()
        while Self.append(Array(repeating: 1, count: 100), to: &arena, limit: 5000) {}
        let (capacity, count) = (arena.capacity, arena.count)
        #expect(capacity == 5000 && count == 5000 / 104)
    }
}
