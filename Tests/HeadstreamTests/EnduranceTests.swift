import Foundation
import Testing

/// What needs many descriptors or a process's memory to itself runs in a process of its own.
@Suite("Endurance", .serialized, .timeLimit(.minutes(15)))
struct EnduranceTests {
    /// The program beside the tests' own executable.
    private static var program: URL {
        URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent("HeadstreamConformance")
    }

    private static func process(_ arguments: [String]) throws -> (Process, FileHandle) {
        let process = Process()
        let output = Pipe()
        process.executableURL = self.program
        process.arguments = arguments
        process.standardOutput = output
        try process.run()
        return (process, output.fileHandleForReading)
    }

    /// The lines of a program that ends by itself, each as its words.
    private static func lines(_ arguments: [String]) throws -> [[String]] {
        let (process, output) = try Self.process(arguments)
        let text = String(decoding: output.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(text)")
        return text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    }

    /// The number behind a word.
    private static func value(_ word: String, in line: [String]) throws -> Int {
        let index = try #require(line.firstIndex(of: word), "\(line)")
        return try #require(index + 1 < line.count ? Int(line[index + 1]) : nil, "\(line)")
    }

    @Test("1,000 connections with 10 subscriptions each, opened, used and closed in random order, leave nothing")
    func crowd() throws {
        let (node, output) = try Self.process(["silent-node"])
        // It is started by a thread that blocks signals, and inherits that: only SIGKILL reaches it.
        defer { kill(node.processIdentifier, SIGKILL) }
        var line = Data()
        while let byte = try output.read(upToCount: 1), byte != Data([0x0A]), !byte.isEmpty { line += byte }
        let port = String(decoding: line, as: UTF8.self).split(separator: " ").last.map(String.init) ?? ""
        let seed = UInt64.random(in: 0...UInt64.max)
        let rounds = try Self.lines(["crowd", port, "1000", "5", "\(seed)"])
        guard rounds.first?.first != "skipped:" else {
            print(rounds[0].joined(separator: " "))
            return
        }
        try #require(rounds.count == 5, "seed \(seed)")
        // The first round warms up: allocator, metadata, the resolver's threads.
        let first = rounds[1]
        let last = rounds[4]
        #expect(try Self.value("sockets", in: last) == 0, "seed \(seed)")
        #expect(try Self.value("descriptors", in: last) == Self.value("descriptors", in: first), "seed \(seed)")
        #expect(try Self.value("threads", in: last) == Self.value("threads", in: first), "seed \(seed)")
        let sizes = try rounds.dropFirst().map { try Self.value("kilobytes", in: $0) }
        // A kilobyte a connection would be a megabyte more in every round. In one of them the allocator may take that much
        // anew, where more connections stand at once than in those before.
        let growth = zip(sizes, sizes.dropFirst()).map { $1 - $0 }.min() ?? 0
        #expect(growth < 1000 || Self.isSanitized, "seed \(seed): \(sizes) KB")
    }

    @Test("24 hours of heads on the simulated loop: none lost, memory flat")
    func day() throws {
        let lines = try Self.lines(["day"])
        let summary = try #require(lines.last)
        #expect(try Self.value("heads", in: summary) == 7200)
        #expect(try Self.value("lost", in: summary) == 0)
        let first = try Self.value("kilobytes", in: lines[1])
        let last = try Self.value("kilobytes", in: lines[lines.count - 2])
        #expect(last - first < 1000 || Self.isSanitized, "\(last - first) KB")
    }

    /// A sanitizer keeps what was freed for a while.
    private static var isSanitized: Bool {
        dlsym(nil, "__asan_init") != nil || dlsym(nil, "__tsan_init") != nil
    }
}
