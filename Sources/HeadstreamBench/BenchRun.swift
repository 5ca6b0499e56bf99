import Glibc
import Headstream
import Synchronization

/// What a run measures: messages, wall and CPU time, latencies, peak memory; printed as one JSON line.
final class BenchRun: Sendable {
    let options: BenchOptions
    let received = Atomic<Int>(0)
    let lost = Atomic<UInt64>(0)
    private let isPrinted = Atomic(false)
    private let state = Mutex(State())

    private struct State {
        var wallBegan: UInt64 = 0
        var cpuBegan = 0.0
        var wall: Double?
        var cpu = 0.0
        var latencies: [UInt64] = []
        var extra: [(String, JSONValue)] = []
    }

    init(_ options: BenchOptions) {
        self.options = options
    }

    /// CLOCK_MONOTONIC in nanoseconds: the clock of the load server's stamps.
    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    private static func cpu() -> Double {
        var usage = rusage()
        getrusage(RUSAGE_SELF.rawValue, &usage)
        let seconds = { (time: timeval) in Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    /// When connected, before subscribing.
    func begin() {
        self.state.withLock {
            $0.wallBegan = Self.now()
            $0.cpuBegan = Self.cpu()
        }
    }

    /// Stops the clocks; what is printed may come later.
    func measure() {
        self.state.withLock { state in
            guard state.wall == nil else { return }
            state.wall = Double(Self.now() - state.wallBegan) / 1e9
            state.cpu = Self.cpu() - state.cpuBegan
        }
    }

    func add(latencies: [UInt64]) {
        self.state.withLock { $0.latencies += latencies }
    }

    func add(_ name: String, _ value: JSONValue) {
        self.state.withLock { $0.extra.append((name, value)) }
    }

    /// Prints the line, once.
    func finish() {
        guard !self.isPrinted.exchange(true, ordering: .relaxed) else { return }
        self.measure()
        let state = self.state.withLock { $0 }
        let wall = state.wall ?? 0
        let received = self.received.load(ordering: .relaxed)
        func rounded(_ value: Double, _ digits: Int) -> JSONValue {
            let scale = pow(10, Double(digits))
            return JSONNumber((value * scale).rounded() / scale).map { .number($0) } ?? .null
        }
        var members: [(String, JSONValue)] = [
            ("client", "headstream"), ("version", .string(Web3.version)),
            ("mode", .string(self.options.mode.rawValue)), ("kind", .string(self.options.kind.rawValue)),
            ("executor", .string(self.options.executor.rawValue)),
            ("count", .number(JSONNumber(self.options.count))), ("received", .number(JSONNumber(received))),
            ("wall_s", rounded(wall, 4)), ("cpu_s", rounded(state.cpu, 4)),
            ("rate", .number(JSONNumber(wall > 0 ? Int(Double(received) / wall) : 0))),
            ("cpu_us_per_msg", received > 0 ? rounded(state.cpu / Double(received) * 1e6, 3) : .null),
            ("cpu_pct", rounded(wall > 0 ? 100 * state.cpu / wall : 0, 2)), ("rss_mb", rounded(Self.peakMemory(), 1)),
        ]
        members += state.extra
        if !state.latencies.isEmpty {
            let shares: KeyValuePairs = ["p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1]
            members.append(("lat_us", Self.quantiles(of: state.latencies, shares)))
        }
        var object = JSONObject()
        for (name, value) in members { object[name] = value }
        print(JSONValue.object(object).description)
        fflush(nil)
    }

    /// Of times in nanoseconds, by name, in microseconds.
    static func quantiles(of times: [UInt64], _ shares: KeyValuePairs<String, Double>) -> JSONValue {
        let sorted = times.sorted()
        var object = JSONObject()
        for (name, share) in shares {
            let index = min(sorted.count - 1, Int(share * Double(sorted.count)))
            object[name] = .number(JSONNumber(sorted[index] / 1000))
        }
        return .object(object)
    }

    /// The process's resident memory, in bytes.
    static func memory() -> Int {
        guard let file = fopen("/proc/self/statm", "re") else { return 0 }
        defer { fclose(file) }
        var (size, resident) = (0, 0)
        return withUnsafeMutablePointer(to: &size) { size in
            withUnsafeMutablePointer(to: &resident) { resident in
                withVaList([size, resident]) { vfscanf(file, "%ld %ld", $0) }
            }
        } == 2 ? resident * Int(getpagesize()) : 0
    }

    /// The process's peak of resident memory, in MB.
    private static func peakMemory() -> Double {
        var usage = rusage()
        getrusage(RUSAGE_SELF.rawValue, &usage)
        return Double(usage.ru_maxrss) / 1024
    }
}
