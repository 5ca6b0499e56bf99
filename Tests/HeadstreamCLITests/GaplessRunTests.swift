import Foundation
import Headstream
import HeadstreamTesting
import Testing

@testable import HeadstreamCLI

/// Gapless streams through the built command, against a node that speaks for a simulated chain.
@Suite(
    "Command runs: gapless streams",
    .enabled(if: BuiltCommand.path != nil, "the command is not built beside the tests"),
    .timeLimit(.minutes(15))
)
struct GaplessRunTests {
    /// A node at block 120, each block with logs.
    private static func withNode(
        _ quirks: SimulatedQuirks = SimulatedQuirks(),
        _ body: (TestNode, [String]) async throws -> Void
    ) async throws {
        var chain = SimulatedChain(seed: 5, quirks: quirks, number: 100)
        for _ in 0..<20 { chain.mine(chain.randomEvents(3)) }
        let node = try await TestNode(chain: chain)
        try await body(node, ["--url", "\(node.endpoint)"])
        await node.close()
    }

    private static func withFile(_ body: (String) async throws -> Void) async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("headstream-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await body(path)
    }

    private static func hashes(_ result: BuiltCommand.Result) throws -> [String] {
        try result.lines.map { try JSONValue(parsing: $0)["hash"]?.stringValue ?? "" }
    }

    @Test("--from prints the past and joins what comes; the headers are the node's")
    func from() async throws {
        try await Self.withNode { node, url in
            let words = ["heads", "--gapless", "100", "--from", "0x65", "--count", "20", "--json"] + url
            let told = try await BuiltCommand.run(words)
            #expect(told.code == 0, "\(told.errors)")
            #expect(try Self.hashes(told) == node.chain.canonical.dropFirst().map { "\($0.hash)" })
            let table = try await BuiltCommand.run(["heads", "--from", "119", "--count", "2"] + url)
            #expect(table.code == 0 && table.lines.count == 3, "\(table.errors)")
        }
    }

    @Test("--resume goes on where the file says, each head once, over several runs; --from holds for the first alone")
    func resume() async throws {
        try await Self.withNode { node, url in
            try await Self.withFile { file in
                var hashes: [String] = []
                for _ in 0..<4 {
                    let words = ["heads", "--resume", file, "--from", "101", "--count", "5", "--json"] + url
                    let told = try await BuiltCommand.run(words)
                    #expect(told.code == 0, "\(told.errors)")
                    hashes += try Self.hashes(told)
                }
                #expect(hashes == node.chain.canonical.dropFirst().map { "\($0.hash)" })
                let other = try await BuiltCommand.run(["logs", "--resume", file, "--count", "5"] + url)
                #expect(other.code == 64 && other.errors.contains("the cursor of another stream: heads"))
            }
        }
    }

    @Test("A cursor that left the chain: an error with its own code, or with --updates a rollback")
    func orphaned() async throws {
        try await Self.withNode { node, url in
            try await Self.withFile { file in
                let words = ["heads", "--resume", file, "--from", "101", "--json"] + url
                let first = try await BuiltCommand.run(words + ["--count", "20"])
                #expect(first.code == 0, "\(first.errors)")
                // The cursor knows the blocks 1, 2, 4 and 8 below its own.
                let known = node.chain.canonical[16]
                await node.change { $0.reorganise(depth: 3, events: [[], [], [], []]) }
                let plain = try await BuiltCommand.run(words + ["--count", "1"])
                #expect(plain.code == 80 && plain.lines.isEmpty)
                #expect(plain.errors.contains("cursorOrphaned"))
                let told = try await BuiltCommand.run(words + ["--count", "5", "--updates"])
                #expect(told.code == 0, "\(told.errors)")
                let objects = try told.lines.map { try JSONValue(parsing: $0) }
                #expect(objects.first?["update"] == "rollback")
                #expect(objects.first?["to"]?["hash"]?.stringValue == "\(known.hash)")
                #expect(objects.first?["to"]?["number"] == "0x74")
                let heads = objects.compactMap { $0["update"] == nil ? $0["hash"]?.stringValue : nil }
                #expect(heads == node.chain.canonical.suffix(5).map { "\($0.hash)" })
                #expect(FileManager.default.contents(atPath: file) != nil)
            }
        }
    }

    @Test("--race prints what the first of the nodes pushes")
    func race() async throws {
        try await Self.withNode { node, url in
            let other = try await TestNode(sharing: node)
            // The one with authority pushes nothing; by itself that would be noticed after a minute.
            await node.use(NodeQuirks(isMute: true))
            let (outputs, printed) = AsyncStream.makeStream(of: Void.self)
            let words = ["heads", "--race", "--from", "120", "--count", "4", "--json", "--updates"] + url
            async let run = BuiltCommand.run(words + ["--url", "\(other.endpoint)"]) { _ in
                printed.yield()
                return true
            }
            for await _ in outputs { break }
            await other.asked(for: "eth_subscribe")
            for _ in 0..<3 { await node.change { $0.mine() } }
            let told = try await run
            #expect(told.code == 0, "\(told.errors)")
            let objects = try told.lines.map { try JSONValue(parsing: $0) }
            let heads = objects.compactMap { $0["update"] == nil ? $0["hash"]?.stringValue : nil }
            #expect(heads == node.chain.canonical.suffix(4).map { "\($0.hash)" })
            await other.close()
        }
    }

    @Test("More than the limit is a gap: an error with its own code, or with --updates an object, and on it goes")
    func gap() async throws {
        try await Self.withNode { node, url in
            let words = ["heads", "--gapless", "5", "--from", "101", "--json"] + url
            let plain = try await BuiltCommand.run(words + ["--count", "1"])
            #expect(plain.code == 80 && plain.errors.contains("gap: blocks 101 to 115 are missing"), "\(plain.errors)")
            let told = try await BuiltCommand.run(words + ["--count", "5", "--updates"])
            #expect(told.code == 0, "\(told.errors)")
            #expect(
                told.lines.first == #"{"update":"gap","from":"0x65","to":"0x73","reason":"beyondLimit"}"#
            )
            #expect(try Self.hashes(told).suffix(5) == node.chain.canonical.suffix(5).map { "\($0.hash)" }[...])
        }
    }

    @Test("Logs of orphaned blocks come again as removed, though this node never says so; cuts lose nothing")
    func logs() async throws {
        var quirks = SimulatedQuirks()
        quirks.noRemovedLogs = true
        try await Self.withNode(quirks) { node, url in
            // The last block's three logs are told; it leaves the chain, and so does the connection.
            let (outputs, printed) = AsyncStream.makeStream(of: Void.self)
            let words = ["logs", "--from", "120", "--json", "--count", "8"] + url
            async let run = BuiltCommand.run(words) { _ in
                printed.yield()
                return true
            }
            for await _ in outputs { break }
            let orphaned = node.chain.canonicalLogs(LogFilter(), from: 120)
            await node.change { chain in
                chain.reorganise(depth: 1, events: [chain.randomEvents(2), chain.randomEvents(2), []])
            }
            await node.inflict(.cut)
            let told = try await run
            #expect(told.code == 0, "\(told.errors)")
            let names = try told.lines.map { line in
                let log = try JSONValue(parsing: line)
                return "\(log["blockHash"] ?? .null) \(log["logIndex"] ?? .null) \(log["removed"] ?? .null)"
            }
            func name(_ log: Log, isRemoved: Bool) -> String {
                "\"\(log.blockHash ?? .zero)\" \"0x\(String(log.logIndex ?? 0, radix: 16))\" \(isRemoved)"
            }
            let wanted = node.chain.canonicalLogs(LogFilter(), from: 120).prefix(2)
            #expect(
                names == orphaned.map { name($0, isRemoved: false) }
                    + orphaned.reversed().map { name($0, isRemoved: true) }
                    + wanted.map { name($0, isRemoved: false) }
            )
        }
    }

    @Test("Wrong combinations end with 64 before anything is connected to")
    func misuse() async throws {
        for (words, part) in [
            (["--live", "--confirmations", "3"], "--live"), (["--when-full", "fail"], "--when-full"),
        ] {
            let told = try await BuiltCommand.run(["heads", "--url", "ws://127.0.0.1:1"] + words)
            #expect(told.code == 64 && told.errors.contains(part), "\(told.errors)")
        }
        let file = try await BuiltCommand.run(["heads", "--url", "ws://127.0.0.1:1", "--resume", "/nowhere/at/all"])
        #expect(file.code == 74 && file.errors.contains("/nowhere/at/all"), "\(file.errors)")
    }
}
