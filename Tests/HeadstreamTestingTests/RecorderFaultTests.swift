import Headstream
import HeadstreamSockets
import Testing

@testable import HeadstreamTesting

@Suite("Recording what goes wrong", .timeLimit(.minutes(15)))
struct RecorderFaultTests {
    private static let quiet = """
        >> {"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}
        << {"jsonrpc":"2.0","id":1,"result":"0x1"}
        """

    /// A node that answers `eth_chainId` and stays.
    private static func node(_ loop: SimulatedLoop) async throws -> TestNode {
        try await TestNode(replaying: Transcript(parsing: self.quiet), loop: loop)
    }

    @Test("A slow reader holds the other side back: what waits in the recorder is bounded", arguments: [false, true])
    func slowReader(nodeIsSlow: Bool) async throws {
        let file = TemporaryFile()
        let count = 5_000
        let padding = String(repeating: "x", count: 400)
        let line: @Sendable (Int) -> String = { #"{"n":\#($0),"padding":"\#(padding)"}"# }
        let lineSize = 430
        try await SimulatedLoop.run(seed: 4) { loop in
            let node = RawPeer(loop)
            let listener = try loop.listen(on: .unix(path: "/node.ipc")) { node.attach($0) }
            let recorder = try await Recorder(
                recording: .ipc("/node.ipc"),
                to: file.path,
                on: .ipc(path: "/recorder.ipc"),
                configuration: loop.oneConnection
            )
            let client = RawPeer(loop)
            _ = loop.connect(to: .unix(path: "/recorder.ipc"), delegate: client)
            try await loop.sleep(for: .seconds(1))
            let (slow, fast) = nodeIsSlow ? (node, client) : (client, node)
            slow.channel?.isReading = false
            fast.flood(count, line)
            try await loop.sleep(for: .seconds(60))
            // What fits into two links, the recorder's bound and the flooder's own queue.
            let bound = 2 * SimulatedNetwork.capacity + RecordedConnection.highWater + (256 << 10)
            #expect(fast.written * lineSize < bound)
            #expect(fast.written < count)

            slow.channel?.isReading = true
            try await loop.sleep(for: .seconds(600))
            #expect(fast.written == count)
            #expect(slow.lines == (0..<count).map(line))
            client.channel?.finishWriting()
            await recorder.close()
            listener.close()
        }
        let messages = try file.transcript().entries.compactMap { entry -> String? in
            switch entry.event {
            case .fromClient(let bytes) where nodeIsSlow: String(decoding: bytes, as: UTF8.self)
            case .fromNode(let bytes) where !nodeIsSlow: String(decoding: bytes, as: UTF8.self)
            default: nil
            }
        }
        #expect(messages == (0..<count).map(line))
    }

    @Test("Where nobody listens the client is answered 502 with the reason, and the file has an error")
    func unreachable() async throws {
        let file = TemporaryFile()
        try await SimulatedLoop.run(seed: 5) { loop in
            let recorder = try await Recorder(
                recording: "ws://127.0.0.1:9",
                to: file.path,
                configuration: loop.oneConnection
            )
            for _ in 0..<2 {
                let error = await #expect(throws: Web3Error.self) {
                    try await Web3.connect(to: recorder.endpoint, configuration: loop.oneConnection)
                }
                #expect(error?.code == .upgradeRefused)
                #expect(error?.httpStatus == 502)
                #expect(error?.message.contains("headstream recorder: ") == true)
            }
            await recorder.close()
        }
        let events = try file.events()
        #expect(events.count == 2)
        #expect(events.allSatisfy { $0.hasPrefix("error ws://127.0.0.1:9: ") })
    }

    @Test("A node's own refusal reaches the client with its status")
    func refusal() async throws {
        let file = TemporaryFile()
        try await SimulatedLoop.run(seed: 6) { loop in
            let node = RawPeer(loop)
            node.answer = { peer, line in
                guard line == "\r" else { return }
                peer.send("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 5\r\n\r\nquota")
                peer.channel?.finishWriting()
            }
            let listener = try loop.listen(on: .host("127.0.0.1", port: 8546)) { node.attach($0) }
            let recorder = try await Recorder(
                recording: "ws://127.0.0.1:8546",
                to: file.path,
                configuration: loop.oneConnection
            )
            let error = await #expect(throws: Web3Error.self) {
                try await Web3.connect(to: recorder.endpoint, configuration: loop.oneConnection)
            }
            #expect(error?.httpStatus == 429)
            #expect(error?.retryAfter == .seconds(7))
            await recorder.close()
            listener.close()
        }
        #expect(
            try file.events() == [
                "error ws://127.0.0.1:8546: the node answered 429 Too Many Requests (retry after 7): quota"
            ]
        )
    }

    @Test("One connection is recorded at a time: another is refused with 503, the next one is let in")
    func oneAtATime() async throws {
        for seed in 0..<8 {
            let file = TemporaryFile()
            try await SimulatedLoop.run(seed: UInt64(seed)) { loop in
                let node = try await Self.node(loop)
                let recorder = try await Recorder(
                    recording: node.endpoint,
                    to: file.path,
                    configuration: loop.oneConnection
                )
                let first = try await Web3.connect(to: recorder.endpoint, configuration: loop.oneConnection)
                let error = await #expect(throws: Web3Error.self, "seed \(seed)") {
                    try await Web3.connect(to: recorder.endpoint, configuration: loop.oneConnection)
                }
                #expect(error?.httpStatus == 503, "seed \(seed)")
                #expect(try await first.eth.chainID() == 1, "seed \(seed)")
                await first.close()
                // At once, while the recorder still ends the first one's connection to the node.
                let second = try await Web3.connect(to: recorder.endpoint, configuration: loop.oneConnection)
                #expect(try await second.eth.chainID() == 1, "seed \(seed)")
                await second.close()
                await recorder.close()
                await node.close()
            }
            #expect(try file.events() == ["open", "close 1000", "open", "close 1000"], "seed \(seed)")
        }
    }

    @Test("A node that vanishes is a drop, for the file and for the client")
    func drop() async throws {
        let file = TemporaryFile()
        try await SimulatedLoop.run(seed: 7) { loop in
            let transcript = try Transcript(parsing: Self.quiet + "\n// @1.000 drop\n")
            let node = try await TestNode(replaying: transcript, loop: loop)
            try await withRecording(of: node.endpoint, to: file.path, configuration: loop.oneConnection) { web3 in
                #expect(try await web3.eth.chainID() == 1)
                try await loop.sleep(for: .seconds(5))
                let error = await #expect(throws: Web3Error.self) { try await web3.eth.chainID() }
                #expect(error?.code == .connectionClosed)
                #expect(error?.closeCode == 1006)
            }
            await node.close()
        }
        #expect(try file.events() == ["open", "drop"])
    }

    @Test("A message over the limit is an error that says so, and ends both sides")
    func tooLong() async throws {
        let file = TemporaryFile()
        try await SimulatedLoop.run(seed: 8) { loop in
            let node = try await TestNode(
                replaying: Transcript(
                    parsing: """
                        >> {"jsonrpc":"2.0","id":1,"method":"eth_big","params":[]}
                        << {"jsonrpc":"2.0","id":1,"result":"\(String(repeating: "0", count: 5000))"}
                        """
                ),
                loop: loop
            )
            var configuration = loop.configuration
            configuration.maxMessageSize = 4096
            let recorder = try await Recorder(recording: node.endpoint, to: file.path, configuration: configuration)
            let web3 = try await Web3.connect(to: recorder.endpoint, configuration: loop.oneConnection)
            let error = await #expect(throws: Web3Error.self) { try await web3.request("eth_big", as: String.self) }
            #expect(error?.closeCode == 1014)
            #expect(error?.message.contains("maxMessageSize 4096") == true)
            await web3.close()
            await recorder.close()
            await node.close()
        }
        let events = try file.events()
        #expect(events.count == 2)
        #expect(events.last?.contains("exceeds maxMessageSize 4096") == true)
    }

    @Test("What is no text is recorded and passed on byte for byte")
    func anyBytes() async throws {
        let file = TemporaryFile()
        try await SimulatedLoop.run(seed: 9) { loop in
            let node = RawPeer(loop)
            node.answer = { peer, line in peer.send(line + "\n") }
            let listener = try loop.listen(on: .unix(path: "/node.ipc")) { node.attach($0) }
            let recorder = try await Recorder(
                recording: .ipc("/node.ipc"),
                to: file.path,
                on: .ipc(path: "/recorder.ipc"),
                configuration: loop.oneConnection
            )
            let client = RawPeer(loop)
            let channel = loop.connect(to: .unix(path: "/recorder.ipc"), delegate: client)
            let bytes: [UInt8] = Array(#"{"a":""#.utf8) + [0xFF, 0xFE] + Array("\"}\n".utf8)
            bytes.withUnsafeBytes { channel.write($0) }
            try await loop.sleep(for: .seconds(1))
            #expect(node.received == bytes)
            channel.finishWriting()
            await recorder.close()
            listener.close()
        }
        let message = Array(#"{"a":""#.utf8) + [0xFF, 0xFE] + Array("\"}".utf8)
        #expect(try file.transcript().entries.contains { $0.event == .fromClient(message) })
        #expect(try file.text.contains(">>base64 "))
    }

    @Test("A file that cannot be created or written is told at once, and nothing listens")
    func unwritable() async throws {
        let missing = "/nonexistent-folder/session.io"
        await #expect(throws: TranscriptError.self) { try await Recorder(recording: "ws://127.0.0.1:9", to: missing) }
        let error = await #expect(throws: TranscriptError.self) {
            try await Recorder(recording: "ws://127.0.0.1:9", to: "/dev/full")
        }
        #expect(error?.reason == "cannot be written: No space left on device")
    }

    @Test("Closing the recorder ends the client with 1001, and the file has no end of the node's")
    func closing() async throws {
        let file = TemporaryFile()
        try await SimulatedLoop.run(seed: 10) { loop in
            let node = try await Self.node(loop)
            let recorder = try await Recorder(
                recording: node.endpoint,
                to: file.path,
                configuration: loop.oneConnection
            )
            let web3 = try await Web3.connect(to: recorder.endpoint, configuration: loop.oneConnection)
            #expect(try await web3.eth.chainID() == 1)
            await recorder.close()
            try await recorder.finished()
            let error = await #expect(throws: Web3Error.self) { try await web3.eth.chainID() }
            #expect(error?.closeCode == 1001)
            await recorder.close()
            await node.close()
        }
        #expect(try file.events() == ["open"])
    }
}
