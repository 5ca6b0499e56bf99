import EthereumTypes
import Foundation
import Headstream
import HeadstreamJSON
import HeadstreamSockets
import HeadstreamTesting
import Testing

@Suite("Replays", .timeLimit(.minutes(15)))
struct ReplayTests {
    static let sessions = [
        "anvil-heads-logs-pending", "anvil-reorgs", "geth-burst", "geth-finality", "geth-heads-logs-pending",
        "geth-ipc",
        "geth-reconnects", "geth-reorgs", "geth-rewinds", "hardhat-heads-logs-pending", "hardhat-reorgs",
        "mainnet-14000000-14000010",
    ]

    @Test(
        "The mainnet session's heads arrive typed, over WebSocket, TLS and IPC",
        arguments: [TestNode.Transport.webSocket(), .secureWebSocket(), .ipc()]
    )
    func mainnetHeads(transport: TestNode.Transport) async throws {
        try await withReplay(of: Fixture.path("sessions/mainnet-14000000-14000010.io"), on: transport) { web3, _ in
            var numbers: [UInt64] = []
            for try await head in web3.eth.newHeads() { numbers.append(head.number) }
            #expect(numbers == Array(14_000_000...14_000_010))
        }
    }

    @Test(
        "Each recorded session replays to what its transcript holds, over WebSocket, IPC and simulated",
        arguments: Stage.allCases,
        Self.sessions
    )
    func everySession(stage: Stage, name: String) async throws {
        let path = Fixture.path("sessions/\(name).io")
        let connections = try RecordedStreams(Transcript(contentsOf: path)).connections
        #expect(!connections.isEmpty)
        if stage == .simulated {
            try await SimulatedLoop.run(seed: 5) { loop in
                try await Self.replay(path, connections, loop, loop.configuration, .webSocket())
            }
        } else {
            let loop = EventLoop(name: "replay", userTimeout: 0)
            var configuration = Configuration.patient(on: loop)
            var transport = stage == .ipc ? TestNode.Transport.ipc() : .webSocket()
            if stage == .secureWebSocket {
                let certificate = try Stage.certificate.get()
                transport = .secureWebSocket(certificate: certificate)
                configuration.tls.trustRoots = certificate.trustRoots
            }
            try await Self.replay(path, connections, loop, configuration, transport)
            await loop.shutdown()
        }
    }

    /// Connects as often as the recording did, makes its subscriptions, and compares what each brings.
    private static func replay(
        _ path: String,
        _ connections: [[RecordedStreams.Stream]],
        _ loop: any Loop,
        _ configuration: Configuration,
        _ transport: TestNode.Transport
    ) async throws {
        var configuration = configuration
        configuration.endOfConnectionEndsStreams = true
        let transcript = try Transcript(contentsOf: path)
        let options = ReplayOptions(awaitedSubscriptions: .max, playsFinalEvent: false)
        let node = try await TestNode(
            replaying: transcript,
            options: options,
            on: transport,
            loop: loop,
            endsStreams: true
        )
        for streams in connections {
            try await Web3.withConnection(to: node.endpoint, configuration: configuration) { web3 in
                var readers: [@Sendable () async throws -> Void] = []
                for stream in streams { readers.append(try await Self.reader(of: stream, web3)) }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for reader in readers { group.addTask { try await reader() } }
                    try await group.waitForAll()
                }
            }
        }
        await node.close()
        #expect(await node.problems == [])
    }

    private static func reader(
        of stream: RecordedStreams.Stream,
        _ web3: Web3
    ) async throws -> @Sendable () async throws -> Void {
        switch stream.kind {
        case "newHeads":
            try await Self.reader(of: stream, as: BlockHeader.self, web3)
        case "logs":
            try await Self.reader(of: stream, as: Log.self, web3)
        default:
            try await Self.reader(of: stream, as: JSONValue.self, web3)
        }
    }

    private static func reader<Value: Decodable & Sendable & Equatable>(
        of stream: RecordedStreams.Stream,
        as type: Value.Type,
        _ web3: Web3
    ) async throws -> @Sendable () async throws -> Void {
        let subscription = try await web3.subscribe(RecordedRequest<Value>(recorded: stream.params))
        return {
            // `Codable` is the other way to read a value than the one the client takes.
            let expected = try stream.results.map { try JSONDecoder().decode(type, from: Data($0.description.utf8)) }
            var received: [Value] = []
            for try await item in subscription { received.append(item) }
            #expect(received.count == expected.count, "\(stream.params)")
            #expect(received == expected, "\(stream.params)")
        }
    }

    // MARK: Determinism

    private struct Run: Sendable, Equatable {
        var digest: UInt64
        var heads: [BlockHeader]
        var logs: [Log]
    }

    /// Client, node and two consumers on one simulated loop.
    private static func run(seed: UInt64) async throws -> Run {
        let path = Fixture.path("sessions/geth-reorgs.io")
        let address = try Address("0x12c528ad35f274226b35ec3fe8dd37668a3b8979")
        return try await SimulatedLoop.run(seed: seed) { loop in
            try await withReplay(of: path, configuration: loop.configuration) { web3, _ in
                async let heads = web3.eth.newHeads(continuity: .live).reduce(into: []) { $0.append($1) }
                async let logs = web3.eth.logs(LogFilter(address: address), continuity: .live).reduce(into: []) {
                    $0.append($1)
                }
                let result = try await (heads, logs)
                return Run(digest: loop.traceDigest, heads: result.0, logs: result.1)
            }
        }
    }

    @Test("A whole run on a simulated loop is a function of its seed, and its items are not")
    func determinism() async throws {
        let first = try await Self.run(seed: 1)
        #expect(try await Self.run(seed: 1) == first)
        let expected = try RecordedStreams(Transcript(contentsOf: Fixture.path("sessions/geth-reorgs.io"))).connections
        #expect(first.heads.count == expected[0].first { $0.kind == "newHeads" }?.results.count)
        #expect(first.logs.count == expected[0].first { $0.kind == "logs" }?.results.count)
        var digests: Set<UInt64> = [first.digest]
        for seed: UInt64 in 2...20 {
            let run = try await Self.run(seed: seed)
            #expect(run.heads == first.heads, "seed \(seed)")
            #expect(run.logs == first.logs, "seed \(seed)")
            digests.insert(run.digest)
        }
        #expect(digests.count > 15)
    }
}
