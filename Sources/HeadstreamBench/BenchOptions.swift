/// The command line of the bench clients: `--url URL --mode MODE --count N --kind heads|logs [--subs K] [--consumers C]
/// [--limit SECONDS] [--executor loop|default] [--continuity live|gapless]`.
struct BenchOptions: Sendable {
    enum Mode: String, CaseIterable, Sendable {
        /// Read N notifications.
        case burst
        /// The same, and record the latency of each.
        case rate
        /// Hold a newHeads subscription open for N seconds.
        case idle
        /// Like burst, but the consumer takes 5 ms over each message.
        case slow
        /// Like slow, but close the connection after N messages, in the middle of the flood.
        case slowclose
        /// N eth_blockNumber requests, 100 at a time.
        case request
        /// One eth_blockNumber request that the server answers late.
        case wait
        /// N connections at once; the memory that each takes while it is idle.
        case connections
        /// Like burst, but the consumer calls eth_blockNumber for every 10th message.
        case nested
    }

    enum Kind: String, CaseIterable, Sendable {
        case heads, logs
    }

    enum Executor: String, CaseIterable, Sendable {
        /// The connection's event loop.
        case loop
        /// Swift's global pool.
        case `default`
    }

    enum Continuity: String, CaseIterable, Sendable {
        /// What the node pushes.
        case live
        /// Logs without a gap, on a node with a chain.
        case gapless
    }

    var url = ""
    var mode = Mode.burst
    var count = 1000
    var kind = Kind.logs
    var subs = 1
    /// How many of the subscriptions are read, the last ones; the others are held.
    var consumers = Int.max
    /// Seconds after which it gives up.
    var limit = 60.0
    var executor = Executor.loop
    var continuity = Continuity.live

    struct Invalid: Error {
        var message: String
    }

    static let usage = """
        usage: HeadstreamBench --url URL [--mode MODE] [--count N] [--kind heads|logs] [--subs K]
                               [--consumers C] [--limit SECONDS] [--executor loop|default]
                               [--continuity live|gapless]
        modes: \(Mode.allCases.map(\.rawValue).joined(separator: " "))
        """

    init(_ arguments: [String]) throws(Invalid) {
        var rest = arguments[...]
        func choice<Value: RawRepresentable & CaseIterable>(_ text: String, _ name: String) throws(Invalid) -> Value
        where Value.RawValue == String {
            if let value = Value(rawValue: text) { return value }
            let known = Value.allCases.map(\.rawValue).joined(separator: ", ")
            throw Invalid(message: "\(name) takes one of \(known), not \(text)")
        }
        func number(_ text: String, _ name: String) throws(Invalid) -> Int {
            guard let value = Int(text), value > 0 else {
                throw Invalid(message: "\(name) takes a whole number of at least 1, not \(text)")
            }
            return value
        }
        while let name = rest.popFirst() {
            guard let value = rest.popFirst() else { throw Invalid(message: "\(name) takes a value") }
            switch name {
            case "--url": self.url = value
            case "--mode": self.mode = try choice(value, name)
            case "--count": self.count = try number(value, name)
            case "--kind": self.kind = try choice(value, name)
            case "--subs": self.subs = try number(value, name)
            case "--consumers": self.consumers = try number(value, name)
            case "--executor": self.executor = try choice(value, name)
            case "--continuity": self.continuity = try choice(value, name)
            case "--opt": break
            case "--limit":
                guard let seconds = Double(value), seconds > 0 else {
                    throw Invalid(message: "--limit takes a number of seconds, not \(value)")
                }
                self.limit = seconds
            default: throw Invalid(message: "unknown option \(name)")
            }
        }
        guard !self.url.isEmpty else { throw Invalid(message: "--url is missing") }
        if self.mode == .idle { self.kind = .heads }
    }
}
