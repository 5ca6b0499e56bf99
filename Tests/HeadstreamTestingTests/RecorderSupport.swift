import Foundation
import Headstream
import HeadstreamSockets

@testable import HeadstreamTesting

/// A file of a test's own, gone with the value.
final class TemporaryFile: Sendable {
    let path: String

    init() {
        self.path = NSTemporaryDirectory() + "headstream-recorder-\(UUID().uuidString).io"
    }

    deinit {
        unlink(self.path)
    }

    var bytes: [UInt8] {
        get throws { Array(try Data(contentsOf: URL(fileURLWithPath: self.path))) }
    }

    var text: String {
        get throws { String(decoding: try self.bytes, as: UTF8.self) }
    }

    func transcript() throws -> Transcript { try Transcript(contentsOf: self.path) }

    /// The events without their times, messages left out: `open`, `close 1000 done`.
    func events() throws -> [String] {
        try self.transcript().entries.compactMap { entry in
            switch entry.event {
            case .fromClient, .fromNode, .remark: nil
            case .open: "open"
            case .drop: "drop"
            case .close(let code, let reason): reason.isEmpty ? "close \(code)" : "close \(code) \(reason)"
            case .error(let text): "error \(text)"
            }
        }
    }
}

/// What a client of the geth session sees.
struct Streams: Hashable, Sendable {
    var heads: [BlockHeader] = []
    var logs: [Log] = []

    /// Subscribes to both and reads them to their ends.
    init(of web3: Web3) async throws {
        let heads = try await web3.eth.subscribe(.newHeads)
        let logs = try await web3.eth.subscribe(.logs())
        async let allHeads = Self.all(heads)
        async let allLogs = Self.all(logs)
        (self.heads, self.logs) = try await (allHeads, allLogs)
    }

    private static func all<Item: Decodable & Sendable>(_ items: Subscription<Item>) async throws -> [Item] {
        var all: [Item] = []
        for try await item in items { all.append(item) }
        return all
    }
}

/// One end of a raw channel for tests: it keeps what it reads, and can flood the other end.
///
/// Confined to its loop, as channels are.
final class RawPeer: ChannelDelegate {
    /// Whole lines that came.
    private(set) var lines: [String] = []
    private(set) var received: [UInt8] = []
    private(set) var hasEnded = false
    private(set) var isOpen = false
    /// Lines written so far, of those that are to be.
    private(set) var written = 0
    private var toWrite = 0
    private var line: (Int) -> String = { "\($0)" }
    private(set) var channel: (any Channel)?
    private let loop: any Loop
    /// Called with each line.
    var answer: (RawPeer, String) -> Void = { _, _ in }

    init(_ loop: any Loop) {
        self.loop = loop
    }

    func attach(_ channel: any Channel) -> RawPeer {
        self.channel = channel
        self.isOpen = true
        return self
    }

    func send(_ text: String) {
        Array(text.utf8).withUnsafeBytes { self.channel?.write($0) }
    }

    /// Writes lines as long as the other end takes them.
    func flood(_ count: Int, _ line: @escaping (Int) -> String) {
        self.toWrite = count
        self.line = line
        self.pump()
    }

    /// What was written goes out at the turn's end; if it cannot, `channelDrained` goes on.
    private func pump() {
        while self.written < self.toWrite, (self.channel?.queuedBytes ?? .max) < 64 << 10 {
            self.send(self.line(self.written) + "\n")
            self.written += 1
        }
        guard self.written < self.toWrite else { return }
        let loop = self.loop
        loop.atTurnEnd { _ = loop.schedule(at: loop.now) { if self.channel?.queuedBytes == 0 { self.pump() } } }
    }

    func channelOpened(_ channel: any Channel) {
        self.isOpen = true
        self.channel = channel
    }

    func channel(_ channel: any Channel, received bytes: UnsafeMutableRawBufferPointer) -> Int {
        let end = (bytes.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
        self.received += bytes[..<end]
        for line in bytes[..<end].split(separator: UInt8(ascii: "\n")) {
            self.lines.append(String(decoding: line, as: UTF8.self))
            self.answer(self, self.lines[self.lines.count - 1])
        }
        return end
    }

    func channelSecured(_ channel: any Channel) {}

    func channelDrained(_ channel: any Channel) { self.pump() }

    func channelEnded(_ channel: any Channel, _ reason: ChannelEnd) {
        self.channel = nil
        self.hasEnded = true
    }
}

extension SimulatedLoop {
    /// For clients that are to tell the end of their connection, and not to make another.
    var oneConnection: Configuration {
        var configuration = self.configuration
        configuration.reconnect = .never
        return configuration
    }
}
