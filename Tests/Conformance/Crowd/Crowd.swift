import Glibc
import Headstream
import HeadstreamSockets

/// Opens, uses and closes many connections at once in random order, round after round, and tells what is left:
/// `crowd PORT CONNECTIONS ROUNDS SEED`, against a `silent-node`. Each connection has ten subscriptions.
enum Crowd {
    static func run(_ arguments: [String]) async throws {
        guard arguments.count == 4, let count = Int(arguments[1]), let rounds = Int(arguments[2]),
            let seed = UInt64(arguments[3])
        else { throw Web3Error(.invalidEndpoint, "usage: crowd PORT CONNECTIONS ROUNDS SEED") }
        let limit = Descriptors.raiseLimit()
        guard limit >= count + 100 else {
            say("skipped: \(limit) descriptors are allowed, \(count + 100) are needed")
            return
        }
        let endpoint = try Endpoint("ws://127.0.0.1:\(arguments[0])")
        let loop = EventLoop.shared
        for round in 0..<rounds {
            let task = Task(executorPreference: loop.executor) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for index in 0..<count {
                        var state = seed &+ UInt64(round * count + index)
                        group.addTask { try await Self.visit(endpoint, loop, &state) }
                    }
                    for try await _ in group {}
                }
            }
            try await task.value
            // The last descriptors are closed at the end of the loop's turn.
            try await loop.sleep(for: .milliseconds(50))
            say(
                "round \(round) descriptors \(Descriptors.count) sockets \(loop.statistics.openSockets)"
                    + " threads \(Descriptors.threads) kilobytes \(Descriptors.residentKilobytes)"
            )
        }
    }

    private static func visit(_ endpoint: Endpoint, _ loop: EventLoop, _ state: inout UInt64) async throws {
        func pause(_ state: inout UInt64) async throws {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            try await loop.sleep(for: .milliseconds(Int64(state >> 54)))
        }
        var configuration = Configuration()
        configuration.connectTimeout = .seconds(600)
        configuration.requestTimeout = .seconds(600)
        try await pause(&state)
        let web3 = try await Web3.connect(to: endpoint, configuration: configuration)
        try await pause(&state)
        var subscriptions: [Subscription<Int>] = []
        for _ in 0..<10 { subscriptions.append(try await web3.subscribe(IdleClient.Numbers())) }
        try await pause(&state)
        // Some are read to the last item, some in part, some not at all.
        for (index, subscription) in subscriptions.enumerated() where index % 3 > 0 {
            var sum = 0
            for try await number in subscription {
                sum += number
                if number == (index % 3 == 1 ? 5 : 2) { break }
            }
            guard sum == (index % 3 == 1 ? 15 : 3) else { throw Web3Error(.protocolViolation, "the sum is \(sum)") }
        }
        try await pause(&state)
        guard try await web3.request("test_answer", as: String.self) == "test_answer" else {
            throw Web3Error(.protocolViolation, "another answer")
        }
        // Half of them close, the others are let go of.
        if state & 1 << 40 == 0 { await web3.close() }
    }
}
