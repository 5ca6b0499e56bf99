import Headstream
import HeadstreamSockets
import Testing

@testable import HeadstreamTesting

@Suite("Recording sessions", .timeLimit(.minutes(15)))
struct RecorderTests {
    private static let session = "geth-heads-logs-pending"

    /// Runs a client through a recorder in front of a node that replays a session to its end, its last event included.
    private static func record(
        _ transcript: Transcript,
        to file: TemporaryFile,
        node: TestNode.Transport = .webSocket(),
        client: TestNode.Transport = .webSocket(),
        loop: SimulatedLoop? = nil
    ) async throws -> Streams {
        var configuration = Configuration()
        configuration.loop = loop
        configuration.endOfConnectionEndsStreams = true

        // The client makes the two subscriptions; the session holds more.
        let options = ReplayOptions(awaitedSubscriptions: 2)
        let node = try await TestNode(
            replaying: transcript,
            options: options,
            on: node,
            loop: configuration.loop ?? EventLoop.shared
        )
        let streams = try await withRecording(
            of: node.endpoint,
            to: file.path,
            on: client,
            configuration: configuration
        ) { try await Streams(of: $0) }
        await node.close()
        return streams
    }

    @Test(
        "A recorded session replays to the same heads and logs, over WebSocket, IPC and from one to the other",
        arguments: [(false, false), (true, true), (true, false), (false, true)]
    )
    func realSockets(nodeOverIPC: Bool, clientOverIPC: Bool) async throws {
        let original = try Transcript(contentsOf: FixturePaths.session(Self.session))
        let file = TemporaryFile()
        let seen = try await Self.record(
            original,
            to: file,
            node: nodeOverIPC ? .ipc() : .webSocket(),
            client: clientOverIPC ? .ipc() : .webSocket()
        )
        #expect(seen.heads.count == 8)
        #expect(seen.logs.count > 10)

        let again = TemporaryFile()
        let replayed = try await Self.record(try file.transcript(), to: again)
        #expect(replayed == seen)
        #expect(try file.events() == ["open", nodeOverIPC ? "drop" : "close 1000 done"])
        // Byte for byte, but for the subscription's id.
        let notifications = try Self.notifications(file)
        #expect(notifications.count == seen.heads.count + seen.logs.count)
        #expect(try Self.notifications(again) == notifications)
    }

    @Test("Under every seed a session is recorded to the same streams, and replays to them")
    func simulated() async throws {
        let original = try Transcript(contentsOf: FixturePaths.session(Self.session))
        var first: Streams?
        for seed in 0..<8 {
            let file = TemporaryFile()
            let again = TemporaryFile()
            let transport: TestNode.Transport = seed % 2 == 0 ? .webSocket() : .ipc(path: "/recorder.ipc")
            let (seen, replayed) = try await SimulatedLoop.run(seed: UInt64(seed)) { loop in
                let seen = try await Self.record(original, to: file, client: transport, loop: loop)
                let recorded = try file.transcript()
                return (seen, try await Self.record(recorded, to: again, client: transport, loop: loop))
            }
            #expect(seen.heads.count == 8, "seed \(seed)")
            #expect(seen == first ?? seen, "seed \(seed)")
            #expect(replayed == seen, "seed \(seed)")
            first = first ?? seen
        }
    }

    /// The node's notifications, with their subscription ids, which differ from run to run, left out.
    private static func notifications(_ file: TemporaryFile) throws -> [String] {
        try file.transcript().entries.compactMap { entry in
            guard case .fromNode(let bytes) = entry.event else { return nil }
            guard let id = WireMessage(bytes).elements?.first?.subscription else { return nil }
            return String(decoding: bytes.replacing([(id, [])]), as: UTF8.self)
        }
    }

    @Test("Connections one after another stand in one file, each with its end")
    func reconnects() async throws {
        let file = TemporaryFile()
        let heads = try await SimulatedLoop.run(seed: 1) { loop in
            var configuration = loop.configuration
            configuration.endOfConnectionEndsStreams = true
            let transcript = try Transcript(contentsOf: FixturePaths.session("geth-reconnects"))
            let node = try await TestNode(replaying: transcript, loop: loop)
            let recorder = try await Recorder(recording: node.endpoint, to: file.path, configuration: configuration)
            var heads: [UInt64] = []
            for _ in 0..<3 {
                let numbers = try await Web3.withConnection(to: recorder.endpoint, configuration: configuration) {
                    var numbers: [UInt64] = []
                    for try await head in try await $0.eth.subscribe(.newHeads) { numbers.append(head.number) }
                    return numbers
                }
                heads += numbers
            }
            await recorder.close()
            await node.close()
            return heads
        }
        #expect(heads.count >= 6)
        #expect(try file.events() == ["open", "drop", "open", "close 1000", "open", "close 1000"])
        let times = try file.transcript().entries.compactMap(\.time)
        #expect(times.first == .zero)
        #expect(times == times.sorted())
    }

    @Test("A recording that was cut at any byte reads up to its last whole line")
    func cuts() async throws {
        let file = TemporaryFile()
        try await SimulatedLoop.run(seed: 2) { loop in
            let transcript = try Transcript(
                parsing: """
                    >> {"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}
                    << {"jsonrpc":"2.0","id":1,"result":"0x1"}
                    >> {"jsonrpc":"2.0","id":2,"method":"web3_clientVersion","params":[]}
                    << {"jsonrpc":"2.0","id":2,"result":"Geth/v1.16.4"}
                    // @2.000 close 1001 going away
                    """
            )
            let node = try await TestNode(replaying: transcript, loop: loop)
            try await withRecording(of: node.endpoint, to: file.path, configuration: loop.oneConnection) { web3 in
                #expect(try await web3.eth.chainID() == 1)
                _ = try await web3.request("web3_clientVersion", as: String.self)
                try await loop.sleep(for: .seconds(5))
            }
            await node.close()
        }
        let bytes = try file.bytes
        let whole = try file.transcript()
        #expect(try file.events() == ["open", "close 1001 going away"])
        #expect(bytes.count < 4096)
        var lines = 0
        for cut in 0...bytes.count {
            let read = try Transcript(parsing: Array(bytes[..<cut]), droppingCutLine: true)
            let kept = bytes[..<cut].lastIndex(of: UInt8(ascii: "\n")).map { Array(bytes[...$0]) } ?? []
            let expected = try Transcript(parsing: kept)
            #expect(read.entries == expected.entries, "cut at \(cut)")
            #expect(whole.entries.starts(with: read.entries), "cut at \(cut)")
            lines = max(lines, read.entries.count)
        }
        #expect(lines == whole.entries.count)
        let head = try #require(try file.text.split(separator: "\n").first)
        #expect(head.hasPrefix("// recorded from ws://127.0.0.1:"))
        #expect(try file.text.contains("\n// the node is Geth/v1.16.4\n"))
    }

    @Test("Credentials of the URL and the headers are not in the file, even if the node quotes them")
    func credentials() async throws {
        let file = TemporaryFile()
        try await SimulatedLoop.run(seed: 3) { loop in
            let transcript = try Transcript(
                parsing: """
                    >> {"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}
                    << {"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"key 9aa3d95b3bc440fa of s3cr3t-pa$$ over \
                    quota; Bearer tokentokentoken, apikey=QueryKey42, dXNlcjpzM2NyM3QtcGEkJA=="}}
                    // @2.000 close 1008 9aa3d95b3bc440fa is blocked
                    """
            )
            let node = try await TestNode(replaying: transcript, loop: loop)
            let port = "\(node.endpoint)".split(separator: ":").last ?? ""
            let url = "ws://user:s3cr3t-pa%24%24@127.0.0.1:\(port)/v3/9aa3d95b3bc440fa?apikey=QueryKey42"
            var configuration = loop.configuration
            configuration.headers = [("Authorization", "Bearer tokentokentoken")]
            try await withRecording(of: Endpoint(url), to: file.path, configuration: configuration) { web3 in
                let error = await #expect(throws: Web3Error.self) { try await web3.eth.chainID() }
                // The client sees what the node said.
                #expect(error?.rpcMessage?.contains("9aa3d95b3bc440fa") == true)
                try await loop.sleep(for: .seconds(5))
            }
            await node.close()
        }
        let text = try file.text
        for secret in [
            "9aa3d95b", "s3cr3t", "pa$$", "pa%24", "QueryKey42", "tokentoken", "dXNlcjpzM2NyM3QtcGEkJA", "v3/",
            "Authorization",
        ] {
            #expect(!text.contains(secret), "\(secret)")
        }
        #expect(text.contains("key **************** of "))
        #expect(try file.events() == ["open", "close 1008 **************** is blocked"])
    }

    private static func secrets(_ endpoint: Endpoint, headers: [(name: String, value: String)] = []) -> Secrets {
        var configuration = Configuration()
        configuration.headers = headers
        return Secrets(of: endpoint, configuration, sparesWords: true)
    }

    @Test("Words of a URL that are no secrets stay in messages")
    func words() throws {
        let secrets = Self.secrets("ws://node@host/ethereum-mainnet/rpc/v3", headers: [("Accept", "*/*")])
        let text = "ethereum-mainnet rpc v3 node */*"
        #expect(secrets.cleaned(text) == text)
        let path = Self.secrets("ws://host/0123456789abcdef0123456789abcdef")
        let token = "0123456789abcdef0123456789abcdef"
        #expect(path.cleaned("\(token)\(token) 0123") == String(repeating: "*", count: 64) + " 0123")
    }
}
