import HeadstreamSockets
import Testing

@testable import HeadstreamTesting

/// A node on a simulated loop: a script behind a channel, one message a line.
private final class LineNode: ChannelDelegate {
    private let loop: SimulatedLoop
    private var script: ReplayScript
    private let channel: any Channel
    private var timer: DeadlineID?

    init(_ loop: SimulatedLoop, _ script: ReplayScript, _ channel: any Channel) {
        self.loop = loop
        self.script = script
        self.channel = channel
        self.script.opened(now: loop.now)
    }

    func channelOpened(_ channel: any Channel) {}

    func channel(_ channel: any Channel, received bytes: UnsafeMutableRawBufferPointer) -> Int {
        let end = (bytes.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
        for line in bytes[..<end].split(separator: UInt8(ascii: "\n")) {
            for answer in self.script.received(Array(line), now: self.loop.now) { self.send(answer) }
        }
        self.pump()
        return end
    }

    func channelSecured(_ channel: any Channel) {}

    func channelDrained(_ channel: any Channel) { self.pump() }
    func channelEnded(_ channel: any Channel, _ reason: ChannelEnd) {}

    private func send(_ message: [UInt8]) {
        (message + [UInt8(ascii: "\n")]).withUnsafeBytes { self.channel.write($0) }
    }

    /// As long as the client takes it, and again when it has taken all, or the time has come.
    private func pump() {
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
        while self.channel.queuedBytes < 64 << 10 {
            switch self.script.nextAction(now: self.loop.now) {
            case .send(let message): self.send(message)
            case .wait(let until): return self.timer = self.loop.schedule(at: until) { self.pump() }
            case .idle, .finished: return
            case .close, .drop, .error: return self.channel.finishWriting()
            }
        }
    }
}

private final class LineClient: ChannelDelegate {
    var lines: [String] = []
    var hasEnded = false

    func channelOpened(_ channel: any Channel) {
        let text = #"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"# + "\n"
        Array(text.utf8).withUnsafeBytes { channel.write($0) }
    }

    func channel(_ channel: any Channel, received bytes: UnsafeMutableRawBufferPointer) -> Int {
        let end = (bytes.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
        self.lines += bytes[..<end].split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
        return end
    }

    func channelSecured(_ channel: any Channel) {}

    func channelDrained(_ channel: any Channel) {}
    func channelEnded(_ channel: any Channel, _ reason: ChannelEnd) { self.hasEnded = true }
}

@Suite("Replays on a simulated loop")
struct SimulatedReplayTests {
    @Test("A session replays to the same messages under every seed, at every speed")
    func sameMessages() async throws {
        let transcript = try Transcript(contentsOf: FixturePaths.session("geth-rewinds"))
        let scripts = [ReplaySpeed.max, .recorded, .times(0.001)].map { speed in
            ReplayScript(transcript, options: ReplayOptions(speed: speed))
        }
        var first: [String]?
        for seed in 0..<9 {
            let script = scripts[seed % 3]
            let (lines, elapsed) = try await SimulatedLoop.run(seed: UInt64(seed)) { loop in
                let start = loop.now
                let listener = try loop.listen(on: .unix(path: "/geth.ipc")) { LineNode(loop, script, $0) }
                let client = LineClient()
                _ = loop.connect(to: listener.address, delegate: client)
                while !client.hasEnded { try await loop.sleep(for: .seconds(60)) }
                return (client.lines, loop.now.since(start))
            }
            #expect(lines.count > 30, "seed \(seed)")
            #expect(lines == first ?? lines, "seed \(seed)")
            first = first ?? lines
            // 0.001 times as fast makes hours of a recording of seconds.
            if seed % 3 == 2 { #expect(elapsed > .seconds(3600), "seed \(seed)") }
        }
    }
}
