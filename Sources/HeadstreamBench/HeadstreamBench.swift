import EthereumTypes
import Glibc
import Headstream
import Synchronization

/// One client among those of the bench: the public API, every field of typed values decoded, one JSON line at the end.
@main
struct HeadstreamBench {
    let run: BenchRun
    let options: BenchOptions

    static func main() async {
        let options: BenchOptions
        do throws(BenchOptions.Invalid) {
            options = try BenchOptions(Array(CommandLine.arguments.dropFirst()))
        } catch {
            Self.complain("\(error.message)\n\(BenchOptions.usage)\n")
            exit(64)
        }
        let bench = HeadstreamBench(run: BenchRun(options), options: options)
        do {
            try await bench.measure()
        } catch {
            bench.run.add("error", .string("\(error)"))
        }
        bench.run.finish()
        exit(0)
    }

    private static func complain(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }

    private func measure() async throws {
        var configuration = Configuration()
        // What is measured is how fast messages are taken, so none may be dropped: a full buffer pauses the node.
        configuration.whenFull = self.isSlow ? .dropOldest : .suspendReading
        let web3 = try await Web3.connect(to: Endpoint(self.options.url), configuration: configuration)
        self.run.begin()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await EventLoop.shared.sleep(for: .seconds(self.options.limit))
                return false
            }
            switch self.options.executor {
            case .loop: group.addTask(executorPreference: web3.executor) { try await self.work(web3) }
            case .default: group.addTask { try await self.work(web3) }
            }
            if try await group.next() == false { self.run.add("hang", true) }
            self.run.measure()
            group.cancelAll()
        }
        if self.options.mode == .slowclose {
            let began = BenchRun.now()
            await web3.close()
            self.run.add("close_s", .number(JSONNumber(Double(BenchRun.now() - began) / 1e9) ?? JSONNumber(0)))
        }
    }

    private var isSlow: Bool { self.options.mode == .slow || self.options.mode == .slowclose }

    private func work(_ web3: Web3) async throws -> Bool {
        switch self.options.mode {
        case .burst, .rate, .nested, .slow, .slowclose: try await self.readAll(web3)
        case .idle: try await self.hold(web3)
        case .connections: try await self.connect()
        case .request: try await self.request(web3)
        case .wait:
            _ = try await web3.eth.blockNumber()
            self.run.received.add(1, ordering: .relaxed)
        }
        return true
    }

    // MARK: Streams

    private func readAll(_ web3: Web3) async throws {
        let subs = min(self.options.subs, self.options.consumers)
        let held = try await self.holdOthers(web3, self.options.subs - subs)
        // The clocks stop before the others are let go of, which are unsubscribed then.
        defer { withExtendedLifetime(held) { self.run.measure() } }
        if self.isSlow { return try await self.readBesideRequests(web3) }
        let count = self.options.count
        guard subs > 1 else { return try await self.read(web3, count: count) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<subs {
                let share = count / subs + (index < count % subs ? 1 : 0)
                group.addTask { try await self.read(web3, count: share, index: index) }
            }
            try await group.waitForAll()
        }
    }

    /// Subscriptions that nobody reads, and what memory each takes.
    private func holdOthers(_ web3: Web3, _ count: Int) async throws -> [[Subscription<Log>]] {
        guard count > 0 else { return [] }
        let before = BenchRun.memory()
        let workers = 50
        let held = try await withThrowingTaskGroup(of: [Subscription<Log>].self) { group in
            for index in 0..<workers {
                group.addTask {
                    var held: [Subscription<Log>] = []
                    for _ in 0..<count / workers + (index < count % workers ? 1 : 0) {
                        held.append(try await web3.eth.subscribe(.logs()))
                    }
                    return held
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        self.run.add("bytes_per_subscription", .number(JSONNumber((BenchRun.memory() - before) / count)))
        self.run.begin()
        return held
    }

    /// The slow consumer, and a request ten times a second beside it.
    private func readBesideRequests(_ web3: Web3) async throws {
        try await withThrowingTaskGroup(of: [UInt64].self) { group in
            group.addTask {
                var latencies: [UInt64] = []
                while !Task.isCancelled {
                    let began = BenchRun.now()
                    guard (try? await web3.eth.blockNumber()) != nil else { break }
                    latencies.append(BenchRun.now() - began)
                    guard (try? await EventLoop.shared.sleep(for: .milliseconds(100))) != nil else { break }
                }
                return latencies
            }
            do {
                try await self.read(web3, count: self.options.count)
            } catch {
                group.cancelAll()
                throw error
            }
            group.cancelAll()
            let latencies = try await group.next() ?? []
            guard !latencies.isEmpty else { return }
            self.run.add("request_us", BenchRun.quantiles(of: latencies, ["p50": 0.5, "p99": 0.99, "max": 1]))
        }
    }

    /// - Parameter index: which of several subscriptions it is. Equal streams would share one, so each has its filter.
    private func read(_ web3: Web3, count: Int, index: Int = 0) async throws {
        guard count > 0 else { return }
        switch (self.options.mode, self.options.kind) {
        case (.rate, .logs): try await self.readRate(web3.eth.logs(continuity: .live), count) { $0.data }
        case (.rate, .heads): try await self.readRate(web3.eth.newHeads(continuity: .live), count) { $0.extraData }
        case (.nested, .logs): try await self.readNested(web3.eth.logs(continuity: .live), web3, count)
        case (.nested, .heads): try await self.readNested(web3.eth.newHeads(continuity: .live), web3, count)
        case (.slow, .logs), (.slowclose, .logs):
            try await self.readSlowly(web3.eth.logs(continuity: .live).updates, web3, count)
        case (.slow, .heads), (.slowclose, .heads):
            try await self.readSlowly(web3.eth.newHeads(continuity: .live).updates, web3, count)
        case (_, .logs) where self.options.continuity == .gapless: try await self.readGapless(web3, count)
        case (_, .logs): try await self.readLogs(web3, count, index)
        case (_, .heads): try await self.readHeads(web3, count)
        }
    }

    // Each loop in a function of its own, as a program has it: what is in its frame is touched at each wake-up.

    @inline(never)
    private func readLogs(_ web3: Web3, _ count: Int, _ index: Int) async throws {
        var read = 0
        let filter = LogFilter(address: Address(w0: 0, w1: 0, w2: UInt32(truncatingIfNeeded: index)))
        for try await _ in web3.eth.logs(self.options.subs > 1 ? filter : LogFilter(), continuity: .live) {
            read += 1
            if read == count { break }
        }
        self.run.received.add(read, ordering: .relaxed)
    }

    @inline(never)
    private func readHeads(_ web3: Web3, _ count: Int) async throws {
        var read = 0
        for try await _ in web3.eth.newHeads(continuity: .live) {
            read += 1
            if read == count { break }
        }
        self.run.received.add(read, ordering: .relaxed)
    }

    @inline(never)
    private func readGapless(_ web3: Web3, _ count: Int) async throws {
        var read = 0
        for try await _ in web3.eth.logs() {
            read += 1
            if read == count { break }
        }
        self.run.received.add(read, ordering: .relaxed)
    }

    private func readRate<Stream: AsyncSequence>(
        _ stream: Stream,
        _ count: Int,
        _ stamped: (Stream.Element) -> Bytes
    ) async throws {
        var latencies: [UInt64] = []
        latencies.reserveCapacity(count)
        for try await item in stream {
            let stamp = stamped(item).suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            latencies.append(BenchRun.now() &- stamp)
            if latencies.count == count { break }
        }
        self.run.received.add(latencies.count, ordering: .relaxed)
        self.run.add(latencies: latencies)
    }

    private func readNested(_ stream: some AsyncSequence, _ web3: Web3, _ count: Int) async throws {
        var read = 0
        for try await _ in stream {
            read += 1
            if read % 10 == 0 { _ = try await web3.eth.blockNumber() }
            if read == count { break }
        }
        self.run.received.add(read, ordering: .relaxed)
    }

    /// Takes 5 ms over each item: by sleeping on the loop, by blocking elsewhere. Lost items are told and counted.
    private func readSlowly<Stream: AsyncSequence, Item>(
        _ stream: Stream,
        _ web3: Web3,
        _ count: Int
    ) async throws where Stream.Element == SubscriptionUpdate<Item> {
        var accounted: UInt64 = 0
        for try await update in stream {
            switch update {
            case .item:
                accounted += 1
                self.run.received.add(1, ordering: .relaxed)
                if self.options.executor == .loop {
                    try await EventLoop.shared.sleep(for: .milliseconds(5))
                } else {
                    usleep(5000)
                }
            case .lagged(let lost, _):
                accounted += lost
                self.run.lost.add(lost, ordering: .relaxed)
            default:
                break
            }
            if accounted >= UInt64(count) { break }
        }
        self.run.add("lagged", .number(JSONNumber(self.run.lost.load(ordering: .relaxed))))
    }

    /// Holds a subscription open for so many seconds.
    private func hold(_ web3: Web3) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for try await _ in web3.eth.newHeads(continuity: .live) { self.run.received.add(1, ordering: .relaxed) }
            }
            try await EventLoop.shared.sleep(for: .seconds(self.options.count))
            self.run.measure()
            group.cancelAll()
        }
    }

    /// Opens connections; the first hundred warm up what they share.
    private func connect() async throws {
        var connections: [Web3] = []
        var before = 0
        let endpoint = try Endpoint(self.options.url)
        for number in 0..<self.options.count + 100 {
            if number == 100 { before = BenchRun.memory() }
            let web3 = try await Web3.connect(to: endpoint)
            _ = try await web3.eth.chainID()
            connections.append(web3)
        }
        let memory = (BenchRun.memory() - before) / self.options.count
        self.run.add("bytes_per_connection", .number(JSONNumber(memory)))
        self.run.received.add(self.options.count, ordering: .relaxed)
        for web3 in connections { await web3.close() }
    }

    // MARK: Requests

    private func request(_ web3: Web3) async throws {
        let inFlight = 100
        let count = self.options.count
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<inFlight {
                let share = count / inFlight + (index < count % inFlight ? 1 : 0)
                group.addTask {
                    for _ in 0..<share { _ = try await web3.eth.blockNumber() }
                    self.run.received.add(share, ordering: .relaxed)
                }
            }
            try await group.waitForAll()
        }
    }
}
