import HeadstreamSockets
import Testing

@testable import HeadstreamTesting

/// Notes what its channel tells, in order; consumes whole lines or everything.
private final class Peer: ChannelDelegate {
    var channel: (any Channel)?
    var bytes: [UInt8] = []
    var chunks: [Int] = []
    var events: [String] = []
    var readsWholeBlocks: Int?
    var echoes = false
    var onBytes: ((Peer) -> Void)?

    func channelOpened(_ channel: any Channel) { self.events.append("opened") }

    func channel(_ channel: any Channel, received bytes: UnsafeMutableRawBufferPointer) -> Int {
        // 64 initialised bytes follow what is handed over.
        let padding = UnsafeRawBufferPointer(start: bytes.baseAddress.map { $0 + bytes.count }, count: 64)
        #expect(padding.allSatisfy { $0 == 0 })
        var count = bytes.count
        if let block = self.readsWholeBlocks { count -= count % block }
        self.chunks.append(bytes.count)
        self.bytes += bytes[..<count]
        if self.echoes { channel.write(UnsafeRawBufferPointer(rebasing: bytes[..<count])) }
        self.onBytes?(self)
        return count
    }

    func channelSecured(_ channel: any Channel) {}

    func channelDrained(_ channel: any Channel) { self.events.append("drained") }

    func channelEnded(_ channel: any Channel, _ reason: ChannelEnd) {
        switch reason {
        case .endOfStream: self.events.append("end")
        case .failed(let error): self.events.append("\(error.code)")
        }
    }
}

extension Channel {
    fileprivate func write(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { self.write($0) }
    }
}

/// A pair of connected ends on a loop.
private struct Pair {
    let client = Peer()
    let server = Peer()
    let listener: any Listener

    init(on loop: SimulatedLoop, _ address: SocketAddress = .host("localhost", port: 0)) async throws {
        let server = self.server
        self.listener = try loop.listen(on: address) { channel in
            server.channel = channel
            return server
        }
        self.client.channel = loop.connect(to: self.listener.address, delegate: self.client)
        #expect(self.client.events.isEmpty, "never told inside the call")
        await loop.settle()
        #expect(self.client.events == ["opened"])
        #expect(self.server.events == [])
    }

    var clientEnd: any Channel { get throws { try #require(self.client.channel) } }
    var serverEnd: any Channel { get throws { try #require(self.server.channel) } }
}

@Suite("Channels of the simulated loop")
struct SimulatedChannelTests {
    private static let message = (0..<3000).map { UInt8(truncatingIfNeeded: $0 &* 31) }

    @Test("Bytes arrive whole and in order under every seed, in pieces that the seed draws")
    func order() async throws {
        var pieces: Set<Int> = []
        for seed in 0..<30 {
            let count = try await SimulatedLoop.run(seed: UInt64(seed)) { loop in
                let pair = try await Pair(on: loop)
                pair.server.echoes = true
                pair.server.readsWholeBlocks = 7
                for start in stride(from: 0, to: 3000, by: 500) {
                    try pair.clientEnd.write(Array(Self.message[start..<start + 500]))
                    if start % 1000 == 0 { await loop.settle() }
                }
                await loop.settle()
                #expect(pair.server.bytes == Array(Self.message[..<2996]), "seed \(seed)")
                #expect(pair.client.bytes == Array(Self.message[..<2996]), "seed \(seed)")
                try pair.clientEnd.write([1, 2, 3])
                await loop.settle()
                #expect(pair.server.bytes.count == 2996 + 7, "what was left comes again in front")
                return pair.server.chunks.count
            }
            pieces.insert(count)
        }
        #expect(pieces.count > 5)
    }

    @Test("Nobody listening is a refusal; a taken address cannot be listened on, a closed one can")
    func addresses() async throws {
        try await SimulatedLoop.run(seed: 1) { loop in
            let client = Peer()
            _ = loop.connect(to: .unix(path: "/run/geth.ipc"), delegate: client)
            await loop.settle()
            #expect(client.events == ["refused"])

            let listener = try loop.listen(on: .host("localhost", port: 8545)) { _ in Peer() }
            let error = #expect(throws: SocketError.self) {
                try loop.listen(on: .host("127.0.0.1", port: 8545)) { _ in Peer() }
            }
            #expect(error?.code == .cannotListen)
            listener.close()
            listener.close()
            try loop.listen(on: .host("127.0.0.1", port: 8545)) { _ in Peer() }.close()
            let any = try loop.listen(on: .host("::1", port: 0)) { _ in Peer() }
            let other = try loop.listen(on: .host("::1", port: 0)) { _ in Peer() }
            #expect(any.address != other.address)
        }
    }

    @Test("A half-close is read after the bytes before it, and what was written in answer to them still arrives")
    func halfClose() async throws {
        for seed in 0..<20 {
            try await SimulatedLoop.run(seed: UInt64(seed)) { loop in
                let pair = try await Pair(on: loop, .unix(path: "@abstract"))
                pair.server.echoes = true
                try pair.clientEnd.write(Self.message)
                try pair.clientEnd.finishWriting()
                try pair.clientEnd.write([9])
                await loop.settle()
                #expect(pair.server.bytes == Self.message)
                #expect(pair.server.events == ["end"])
                #expect(pair.client.bytes == Self.message)
                // The end was told: this end is over as well, as a socket is.
                try pair.serverEnd.write([1, 2])
                try pair.serverEnd.close()
                await loop.settle()
                #expect(pair.client.bytes == Self.message)
                #expect(pair.client.events == ["opened", "end"])
            }
        }
    }

    @Test("After close the delegate hears nothing more, and what was queued is dropped")
    func close() async throws {
        for seed in 0..<20 {
            try await SimulatedLoop.run(seed: UInt64(seed)) { loop in
                let pair = try await Pair(on: loop)
                try pair.serverEnd.write(Self.message)
                try pair.clientEnd.write([1])
                try pair.clientEnd.close()
                #expect(try pair.clientEnd.queuedBytes == 0)
                await loop.settle()
                #expect(pair.client.events == ["opened"])
                #expect(pair.client.bytes == [])
                #expect(pair.server.bytes == [])
                #expect(pair.server.events.count == 1)
            }
        }
    }

    @Test("A peer that does not read holds the writer back, and the writer is told when it has room again")
    func backpressure() async throws {
        for seed: UInt64? in [nil, 1, 2, 3] {
            try await SimulatedLoop.run(seed: seed) { loop in
                let pair = try await Pair(on: loop)
                try pair.serverEnd.isReading = false
                let megabyte = [UInt8](repeating: 7, count: 1 << 20)
                try pair.clientEnd.write(megabyte)
                #expect(try pair.clientEnd.queuedBytes == 1 << 20)
                await loop.settle()
                #expect(try pair.clientEnd.queuedBytes == (1 << 20) - SimulatedNetwork.capacity)
                #expect(pair.server.bytes == [])
                try pair.serverEnd.isReading = true
                await loop.settle()
                #expect(pair.server.bytes == megabyte)
                #expect(try pair.clientEnd.queuedBytes == 0)
                #expect(pair.client.events == ["opened", "drained"])
            }
        }
    }

    @Test("A delegate that stops reading with bytes left gets them again when it reads on, without new ones")
    func leftoverAwaitsReading() async throws {
        for seed: UInt64? in [nil, 1, 2, 3] {
            try await SimulatedLoop.run(seed: seed) { loop in
                let pair = try await Pair(on: loop)
                pair.server.readsWholeBlocks = 1000
                pair.server.onBytes = { $0.channel?.isReading = false }
                try pair.clientEnd.write([1, 2, 3])
                await loop.settle()
                let calls = pair.server.chunks.count
                #expect(calls == 1)
                try pair.serverEnd.isReading = true
                await loop.settle()
                #expect(pair.server.chunks.count == 2)
            }
        }
    }

    @Test("Closing inside a callback is the last that is heard")
    func closeInCallback() async throws {
        for seed in 0..<20 {
            try await SimulatedLoop.run(seed: UInt64(seed)) { loop in
                let pair = try await Pair(on: loop)
                pair.server.onBytes = { peer in
                    peer.channel?.close()
                    peer.events.append("closed")
                }
                try pair.clientEnd.write(Self.message)
                try pair.clientEnd.finishWriting()
                await loop.settle()
                #expect(pair.server.events == ["closed"])
                #expect(pair.client.events.count == 2)
            }
        }
    }

    @Test("A fault cuts a link after so many bytes, delays it, or makes it go silent")
    func faults() async throws {
        for seed in 0..<20 {
            try await SimulatedLoop.run(seed: UInt64(seed)) { loop in
                loop.setFaults { _, number in
                    switch number {
                    case 1: LinkFaults(toListener: LinkFault(cutAfter: 1000))
                    case 2: LinkFaults(toListener: LinkFault(delay: .milliseconds(200)))
                    default: LinkFaults(toConnector: LinkFault(silentAfter: 10))
                    }
                }
                let cut = try await Pair(on: loop)
                try cut.clientEnd.write(Self.message)
                await loop.settle()
                #expect(cut.server.bytes == Array(Self.message[..<1000]))
                #expect(cut.server.events == ["reset"])
                #expect(cut.client.events == ["opened", "reset"])

                let slow = try await Pair(on: loop)
                let start = loop.now
                slow.server.onBytes = { _ in #expect(loop.now.since(start) == .milliseconds(200)) }
                try slow.clientEnd.write(Self.message)
                try slow.clientEnd.finishWriting()
                try await loop.sleep(for: .milliseconds(200))
                await loop.settle()
                #expect(slow.server.bytes == Self.message)
                #expect(slow.server.events == ["end"])

                let silent = try await Pair(on: loop)
                try silent.serverEnd.write(Self.message)
                await loop.settle()
                try silent.serverEnd.close()
                try await loop.sleep(for: .seconds(3600))
                #expect(silent.client.bytes == Array(Self.message[..<10]))
                #expect(silent.client.events == ["opened"])
            }
        }
    }

    @Test("The same seed cuts the same bytes at the same places")
    func trace() async throws {
        @Sendable func run(_ loop: SimulatedLoop) async throws -> UInt64 {
            let pair = try await Pair(on: loop)
            pair.server.echoes = true
            for _ in 0..<10 { try pair.clientEnd.write(Self.message) }
            await loop.settle()
            #expect(pair.client.bytes.count == 30_000)
            return loop.traceDigest
        }
        let first = try await SimulatedLoop.run(seed: 77, run)
        #expect(try await SimulatedLoop.run(seed: 77, run) == first)
        var digests: Set<UInt64> = []
        for seed: UInt64 in 0..<20 { digests.insert(try await SimulatedLoop.run(seed: seed, run)) }
        #expect(digests.count > 10)
        // Checked in from another process.
        #expect(first == 17_060_345_324_585_111_850)
    }
}
