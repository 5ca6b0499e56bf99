import EthereumTypes
import Headstream
import HeadstreamSockets
import HeadstreamTesting

/// Follows the `soak-nodes`, whichever of them is there or all at once, for so many seconds, and then holds what it was told
/// against what they have: `soak SECONDS ordered|race ENDPOINT…`. Fails where something is lost or told twice, where memory grows, and where a socket is left.
enum Soak {
    static func run(_ arguments: [String]) async throws {
        guard arguments.count > 2, let seconds = Int(arguments[0]), ["ordered", "race"].contains(arguments[1]) else {
            throw Failed("usage: soak SECONDS ordered|race ENDPOINT…")
        }
        let policy: EndpointPolicy = arguments[1] == "race" ? .firstArrival : .ordered
        let endpoints = try arguments.dropFirst(2).map { try Endpoint($0) }
        try await Remains.check {
            let web3 = try await Follower.connect(to: endpoints, policy)
            let follower = Follower(
                web3,
                filters: [
                    LogFilter(address: SimulatedChain.address(0)),
                    LogFilter(topics: [.exactly(SimulatedChain.topic(1))]),
                ]
            )
            var memory: [Int] = []
            var seen: [Endpoint: Int] = [:]
            try await follower.follow {
                for second in 1...seconds {
                    try await EventLoop.shared.sleep(for: .seconds(1))
                    memory.append(Descriptors.residentKilobytes)
                    seen[web3.endpoint, default: 0] += 1
                    if second % 10 == 0 { say("\(second) s: \(follower.summary)") }
                }
                // The faults are over; what the nodes did not push is found by the next audit.
                try await EventLoop.shared.sleep(for: .seconds(8))
                return try await web3.eth.blockNumber()
            }
            say("in the end: \(follower.summary)")
            say("seconds at each node: \(seen.values.sorted())")
            guard seen.count == endpoints.count else { throw Failed("not every node was followed: the run shows less") }
            try await follower.check(against: web3)
            let metrics = await web3.metrics
            guard metrics.requestsWaiting == 0 else { throw Failed("\(metrics.requestsWaiting) requests still wait") }
            await web3.close()
            try Self.checkFlat(memory)
        }
    }

    /// The peaks of the second and of the last quarter of the time: what is kept for the comparison grows by some 50 bytes
    /// for each head and log.
    private static func checkFlat(_ memory: [Int]) throws {
        let quarter = memory.count / 4
        guard quarter > 4, let early = memory[quarter..<(2 * quarter)].max(), let late = memory.suffix(quarter).max()
        else { return }
        say("memory: \(early) kilobytes at most in the second quarter, \(late) in the last")
        guard late < early + max(4096, early / 4) else { throw Failed("memory grows") }
    }
}

/// What a run leaves behind.
enum Remains {
    /// Throws where `body` leaves sockets or other descriptors open.
    static func check(_ body: () async throws -> Void) async throws {
        let loop = EventLoop.shared
        // The loop and the runtime have what they need.
        try await loop.sleep(for: .milliseconds(100))
        let descriptors = Descriptors.count
        try await body()
        // The last descriptors are closed at the end of the loop's turn.
        try await loop.sleep(for: .milliseconds(200))
        say("left: \(loop.statistics.openSockets) sockets, \(Descriptors.count - descriptors) descriptors")
        guard loop.statistics.openSockets == 0, Descriptors.count <= descriptors else {
            throw Failed("sockets or descriptors are left")
        }
    }
}
