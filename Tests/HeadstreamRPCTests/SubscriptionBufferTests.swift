import Synchronization
import Testing

@testable import HeadstreamRPC

@Suite("SubscriptionBuffer")
struct SubscriptionBufferTests {
    private static func publish(_ items: [String], to buffer: SubscriptionBuffer, isPausing: Bool = false) -> Bool {
        var arena = buffer.takeFilling()
        for item in items { withPadded(item) { _ = arena.append($0, limit: .max) } }
        let waiter = buffer.publish(arena, isPausing: isPausing)
        waiter?.resume()
        return waiter != nil
    }

    @Test("What was filled is drained in order, and the arenas go back and forth")
    func order() {
        let buffer = SubscriptionBuffer(limit: 1 << 16, policy: .fail)
        let consumer = TestConsumer(buffer)
        #expect(consumer.drain() == [])
        for round in 0..<10 {
            let items = (0..<round).map { "\(round).\($0)" }
            #expect(!Self.publish(items, to: buffer))
            #expect(consumer.drain() == items)
        }
    }

    @Test("The end reaches the consumer behind what is buffered, also while the loop has the arena")
    func end() {
        let buffer = SubscriptionBuffer(limit: 8192, policy: .fail)
        let consumer = TestConsumer(buffer)
        var arena = buffer.takeFilling()
        withPadded("last") { _ = arena.append($0, limit: .max) }
        #expect(buffer.finish(.failed(RPCError(.connectionClosed, "gone"))) == nil)
        #expect(consumer.drain() == [])
        #expect(consumer.end == nil)
        #expect(buffer.publish(arena, isPausing: false) == nil)
        #expect(consumer.drain() == ["last"])
        #expect(consumer.failure?.code == .connectionClosed)
        #expect(buffer.finish(.finished) == nil)
        #expect(consumer.drain() == [])
        #expect(consumer.failure?.code == .connectionClosed, "the first end counts")
    }

    @Test("Draining what paused the reading asks for it to go on, once")
    func pausing() {
        let buffer = SubscriptionBuffer(limit: 8192, policy: .suspendReading)
        let consumer = TestConsumer(buffer)
        _ = Self.publish(["a"], to: buffer, isPausing: true)
        #expect(buffer.isPausing)
        _ = Self.publish(["b"], to: buffer)
        #expect(consumer.drain() == ["a", "b"])
        #expect(consumer.resumesReading == 1)
        #expect(!buffer.isPausing)
    }

    @Test("A consumer that waits is woken by an item, by the end, by cancellation, and by a second one that waits")
    func waiting() async {
        let buffer = SubscriptionBuffer(limit: 8192, policy: .fail)
        _ = Self.publish(["a"], to: buffer)
        await buffer.wait()
        _ = TestConsumer(buffer).drain()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await buffer.wait() }
            group.addTask { await buffer.wait() }
            await group.next()
            group.cancelAll()
            await group.waitForAll()
        }
        // Cancelled before it waits.
        await withTaskGroup(of: Void.self) { group in
            group.cancelAll()
            group.addTask { await buffer.wait() }
        }
        #expect(buffer.finish(.finished) == nil)
        await buffer.wait()
    }

    @Test("Two threads, everything accounted for, in order", arguments: [BufferPolicy.fail, .dropOldest])
    func concurrent(_ policy: BufferPolicy) async {
        let buffer = SubscriptionBuffer(limit: policy == .fail ? 1 << 24 : 8192, policy: policy)
        let total = 50_000
        let (received, lost) = await withTaskGroup(of: (Int, UInt64).self) { group in
            group.addTask {
                var next = 0
                while next < total {
                    var arena = buffer.takeFilling()
                    for _ in 0..<min(1 + next % 37, total - next) {
                        withPadded("\(next)") { bytes in
                            if !arena.append(bytes, limit: buffer.limit / 2) {
                                _ = arena.makeRoom(forRecord: bytes.count, limit: buffer.limit / 2)
                                _ = arena.append(bytes, limit: buffer.limit / 2)
                            }
                        }
                        next += 1
                    }
                    buffer.publish(arena, isPausing: false)?.resume()
                }
                buffer.finish(.finished)?.resume()
                return (0, 0)
            }
            group.addTask {
                let consumer = TestConsumer(buffer)
                var count = 0
                var last = -1
                while consumer.end == nil {
                    for item in consumer.drain() {
                        let number = Int(item) ?? -1
                        #expect(number > last)
                        last = number
                        count += 1
                    }
                    if consumer.end == nil { await buffer.wait() }
                }
                return (count, consumer.lost)
            }
            return await group.reduce((0, 0)) { ($0.0 + $1.0, $0.1 + $1.1) }
        }
        #expect(received + Int(lost) == total)
        if policy == .fail { #expect(lost == 0) }
    }
}
