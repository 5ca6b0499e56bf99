import EthereumTypes
import Foundation
import Headstream
import HeadstreamLocks
import HeadstreamTesting
import Testing

/// Streams in batches.
@Suite("Batches of what is there", .timeLimit(.minutes(15)))
struct BatchTests {
    @Test(
        "A batch is what is there, at most so many, in order; the next one goes on behind it",
        arguments: Stage.allCases
    )
    func sizes(stage: Stage) async throws {
        try await stage.run { web3, server in
            let numbers = try await web3.subscribe(NumbersRequest())
            await server.act { client in
                for number in 0..<1000 { client.notify(client.lastSubscription, "\(number)") }
            }
            await Self.arrived(1000, web3)
            var iterator = numbers.batches(upTo: 300).makeAsyncIterator()
            var sizes: [Int] = []
            var items: [Int] = []
            while items.count < 1000, let batch = try await iterator.next() {
                sizes.append(batch.count)
                items += batch
            }
            #expect(items == Array(0..<1000) && sizes == [300, 300, 300, 100])
        }
    }

    @Test("A batch takes what the loop has filled meanwhile, beside what is in hand")
    func acrossArenas() async throws {
        try await Stage.simulated.run { web3, server in
            let numbers = try await web3.subscribe(NumbersRequest())
            await server.act { client in
                for number in 0..<5 { client.notify(client.lastSubscription, "\(number)") }
            }
            await Self.arrived(5, web3)
            var iterator = numbers.batches(upTo: 3).makeAsyncIterator()
            #expect(try await iterator.next() == [0, 1, 2])
            await server.act { client in
                for number in 5..<7 { client.notify(client.lastSubscription, "\(number)") }
            }
            await Self.arrived(7, web3)
            #expect(try await iterator.next() == [3, 4, 5])
            #expect(try await iterator.next() == [6])
        }
    }

    @Test("An item that cannot be read: those before it first, then its error, then the rest")
    func unreadable() async throws {
        try await Stage.simulated.run { web3, server in
            let numbers = try await web3.subscribe(NumbersRequest())
            await server.act { client in
                for text in ["1", "2", "\"x\"", "\"y\"", "3", "4"] { client.notify(client.lastSubscription, text) }
            }
            await Self.arrived(6, web3)
            var iterator = numbers.batches(upTo: 100).makeAsyncIterator()
            #expect(try await iterator.next() == [1, 2])
            for _ in 0..<2 {
                let error = await failure { _ = try await iterator.next() }
                #expect(error?.code == .malformedResponse)
            }
            #expect(try await iterator.next() == [3, 4])
        }
    }

    @Test("Heads and logs in batches from a recording, to its end; a limit below one is one")
    func recording() async throws {
        let path = Fixture.path("sessions/mainnet-14000000-14000010.io")
        try await withReplay(of: path) { web3, _ in
            var numbers: [UInt64] = []
            for try await heads in web3.eth.newHeads().batches(upTo: 4) {
                #expect((1...4).contains(heads.count))
                numbers += heads.map(\.number)
            }
            #expect(numbers == Array(14_000_000...14_000_010))
        }
        let filter = LogFilter(
            address: try Address("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"),
            topics: [.exactly(try Hash32("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"))]
        )
        var logs: [Log] = []
        try await withReplay(of: path) { web3, _ in
            for try await log in web3.eth.logs(filter) { logs.append(log) }
        }
        try await withReplay(of: path) { web3, _ in
            var batched: [Log] = []
            for try await batch in web3.eth.logs(filter).batches(upTo: -1) {
                #expect(batch.count == 1)
                batched += batch
            }
            #expect(batched == logs && !logs.isEmpty)
        }
        try await withReplay(of: path) { web3, _ in
            var count = 0
            for try await batch in web3.notifications(.newHeads).batches(upTo: 1000) { count += batch.count }
            #expect(count == 11)
        }
    }

    @Test("What is buffered comes before the end of the connection; a second iteration of a handle throws")
    func ends() async throws {
        try await Stage.simulated.run { web3, server in
            let numbers = try await web3.subscribe(NumbersRequest())
            await server.act { client in
                for number in 0..<3 { client.notify(client.lastSubscription, "\(number)") }
                client.close(1001, "going away")
            }
            let batches = numbers.batches(upTo: 10)
            var iterator = batches.makeAsyncIterator()
            var items: [Int] = []
            let error = await failure { while let batch = try await iterator.next() { items += batch } }
            #expect(items == [0, 1, 2] && error?.code == .connectionClosed)
            #expect(try await iterator.next() == nil)
            let misuse = await failure { for try await _ in batches {} }
            #expect(misuse?.code == .misuse)
        }
    }

    @Test("A cancelled task's batches end with nil")
    func cancelled() async throws {
        try await Stage.webSocket.run { web3, server in
            let task = Task {
                var iterator = web3.notifications(NumbersRequest()).batches(upTo: 10).makeAsyncIterator()
                return try await iterator.next()
            }
            await server.until { $0.count(of: "eth_subscribe") == 1 }
            task.cancel()
            let batch = try await task.value
            #expect(batch == nil)
        }
    }

    @Test("A batch does not suspend when something is there")
    func withoutSuspending() async throws {
        try await Stage.webSocket.run { web3, server in
            let executor = CountingExecutor()
            let numbers = try await web3.subscribe(NumbersRequest())
            await server.act { client in
                for number in 0..<500 { client.notify(client.lastSubscription, "\(number)") }
            }
            await Self.arrived(500, web3)
            let task = Task(executorPreference: executor) {
                var iterator = numbers.batches(upTo: 100).makeAsyncIterator()
                var items: [Int] = []
                let before = executor.count
                while items.count < 500, let batch = try await iterator.next() { items += batch }
                return (items, executor.count - before)
            }
            let (items, jobs) = try await task.value
            #expect(items == Array(0..<500))
            // Each suspension would have come back as a job of its own.
            #expect(jobs == 0)
        }
    }

    /// Returns when so many notifications lie in their buffers.
    private static func arrived(_ count: UInt64, _ web3: Web3) async {
        await eventually { await web3.metrics.notifications >= count }
        // Buffers are published at the end of the loop's turn; this is answered in a later one.
        _ = await web3.metrics
    }
}

/// Counts the jobs it is given.
private final class CountingExecutor: TaskExecutor {
    private let jobs = Locked(0)
    private let queue = DispatchQueue(label: "counting")

    var count: Int { self.jobs.withLock { $0 } }

    func enqueue(_ job: consuming ExecutorJob) {
        self.jobs.withLock { $0 += 1 }
        let job = UnownedJob(job)
        self.queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
