import EthereumTypes
import Headstream
import HeadstreamSockets
import HeadstreamTesting

/// Follows heads and logs without a gap through whatever happens, and holds what it was told against what the node itself
/// answers in the end.
struct Follower: Sendable {
    /// Where it follows.
    let web3: Web3
    let filters: [LogFilter]
    private let heads = UpdateFold()
    private let logs: [UpdateFold]

    init(_ web3: Web3, filters: [LogFilter]) {
        self.web3 = web3
        self.filters = filters
        self.logs = filters.map { _ in UpdateFold() }
    }

    private var folds: [UpdateFold] { [self.heads] + self.logs }

    /// A client that notices soon what is wrong, and comes back soon.
    static func connect(to endpoints: [Endpoint]) async throws -> Web3 {
        var configuration = Configuration()
        configuration.reconnect = ReconnectPolicy(base: .milliseconds(50), cap: .seconds(1))
        configuration.requestTimeout = .seconds(5)
        configuration.connectTimeout = .seconds(3)
        configuration.keepalive = .ping(every: .seconds(2), timeout: .seconds(2))
        for _ in 0..<50 {
            do {
                return try await Web3.connect(to: endpoints, configuration: configuration)
            } catch {
                try await EventLoop.shared.sleep(for: .milliseconds(100))
            }
        }
        return try await Web3.connect(to: endpoints, configuration: configuration)
    }

    /// Follows while `body` runs, and then until a block that is named by it has been told.
    func follow(until body: () async throws -> UInt64) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            let (web3, heads) = (self.web3, self.heads)
            group.addTask { try await heads.read(web3.eth.newHeads()) }
            for (filter, fold) in zip(self.filters, self.logs) {
                group.addTask { try await fold.read(web3.eth.logs(filter)) }
            }
            let last = try await body()
            var rounds = 0
            while self.reached < last {
                rounds += 1
                guard rounds < 600 else {
                    let reached = self.folds.map { "\($0.state.reached)" }.joined(separator: ", ")
                    throw Failed("a minute after block \(last) the streams stand at \(reached)")
                }
                try await EventLoop.shared.sleep(for: .milliseconds(100))
            }
            group.cancelAll()
            // A stream that ended with an error throws it here.
            try await group.waitForAll()
        }
    }

    /// The newest block that all streams have told.
    var reached: UInt64 { self.folds.map(\.state.reached).min() ?? 0 }

    /// Throws where what was told is not what the node has.
    /// - Parameter gapsAllowed: whether blocks may be missing where a gap says so.
    func check(against node: Web3, gapsAllowed: Bool = false) async throws {
        let last = self.reached
        guard self.heads.state.rollbacks > 0, self.logs.allSatisfy({ !$0.state.told.isEmpty }) else {
            throw Failed("nothing was reorganised, or there were no logs: the run shows nothing")
        }
        try await Self.check("heads", self.heads.state, through: last, gapsAllowed) { start in
            var wanted: [UpdateFold.Told] = []
            for number in start...last {
                guard let block = try await node.eth.block(.number(number)) else {
                    throw Failed("the node does not have block \(number)")
                }
                wanted.append(UpdateFold.Told(block.header))
            }
            return wanted
        }
        for (index, fold) in self.logs.enumerated() {
            try await Self.check("logs \(index + 1)", fold.state, through: last, gapsAllowed) { start in
                var wanted: [UpdateFold.Told] = []
                var first = start
                while first <= last {
                    var filter = self.filters[index]
                    filter.blocks = .range(from: .number(first), to: .number(min(first + 999, last)))
                    wanted += try await node.eth.getLogs(filter).map { UpdateFold.Told($0) }
                    first += 1000
                }
                return wanted
            }
        }
    }

    private static func check(
        _ name: String,
        _ state: UpdateFold.State,
        through last: UInt64,
        _ gapsAllowed: Bool,
        wanted: (UInt64) async throws -> [UpdateFold.Told]
    ) async throws {
        guard let start = state.start, start <= last else { throw Failed("\(name): nothing was told") }
        func isInGap(_ item: UpdateFold.Told) -> Bool { state.gaps.contains { $0.contains(item.number) } }
        let told = state.told.filter { $0.number <= last && !isInGap($0) }
        let wanted = try await wanted(start).filter { !isInGap($0) }
        say(
            "\(name): blocks \(start) to \(last), \(told.count) told, \(wanted.count) on the node, \(state.rollbacks) rollbacks, "
                + "\(state.reconnects) reconnects, gaps \(state.gaps)"
        )
        if let problem = state.problems.first { throw Failed("\(name): \(problem)") }
        if !gapsAllowed, !state.gaps.isEmpty { throw Failed("\(name): gaps \(state.gaps)") }
        guard told != wanted else { return }
        let lost = Set(wanted).subtracting(told)
        let more = Set(told).subtracting(wanted)
        let place = zip(told, wanted).first { $0 != $1 }.map { "\($0.0)" } ?? "the end"
        throw Failed("\(name): \(lost.count) lost, \(more.count) too many or twice; they differ from \(place) on")
    }

    /// One line of what has happened.
    var summary: String {
        let told = self.folds.map { "\($0.state.told.count)" }.joined(separator: " + ")
        return "told \(told), at block \(self.reached), reconnects \(self.heads.state.reconnects), rollbacks "
            + "\(self.heads.state.rollbacks), kilobytes \(Descriptors.residentKilobytes), descriptors \(Descriptors.count)"
    }
}

/// What a run found.
struct Failed: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
