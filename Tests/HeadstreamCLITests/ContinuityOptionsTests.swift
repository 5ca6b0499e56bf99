import Foundation
import Headstream
import Testing

@testable import HeadstreamCLI

@Suite("Continuity on the command line")
struct ContinuityOptionsTests {
    private static func following(_ words: [String], stream: String = "heads") throws -> Following {
        let invocation = try CommandLineParser(root: RootCommand.declaration).parse(["heads"] + words)
        guard case .run(_, let arguments) = invocation else { throw ToldError(code: 1) }
        return try Following(arguments, of: "heads", stream: stream)
    }

    private static func temporary() -> String {
        FileManager.default.temporaryDirectory.appendingPathComponent("headstream-\(UUID().uuidString)").path
    }

    @Test("Gapless is the default, live a choice")
    func modes() throws {
        let plain = try #require(try Self.following([]).gapless)
        #expect(plain.continuity == .gapless() && plain.start == .latest && plain.finality == .latest)
        #expect(try Self.following([]).reconnects)
        #expect(try Self.following(["--replay", "some.io"]).gapless != nil)
        #expect(try Self.following(["--live"]).gapless == nil)
        #expect(try !Self.following(["--live"]).reconnects)
        #expect(try Self.following(["--live", "--when-full", "drop-oldest", "--buffer", "1MiB"]).gapless == nil)
        #expect(try Self.following(["--live", "--updates"]).reconnects)
        let gapless = try #require(try Self.following(["--gapless", "64"]).gapless)
        #expect(gapless.continuity == .gapless(limit: .init(blocks: 64)) && gapless.start == .latest)
        #expect(try Self.following(["--confirmations", "3"]).gapless?.finality == .confirmations(3))
        #expect(try Self.following(["--finality", "safe"]).gapless?.finality == .safe)
        #expect(try Self.following(["--finality", "finalized"]).gapless?.finality == .finalized)
        #expect(try Self.following(["--from", "0x10"]).gapless?.start == .block(16))
        #expect(try Self.following(["--from", "19000000"]).gapless?.continuity == .gapless())
        let urls = ["--url", "ws://localhost:1", "--url", "ws://localhost:2"]
        #expect(try Self.following(["--race"] + urls).gapless?.races == true)
        #expect(try Self.following(urls).gapless?.races == false)
    }

    @Test(
        "What does not go together is refused, and named",
        arguments: [
            (["--live", "--gapless", "5"], "--gapless"), (["--live", "--confirmations", "5"], "--confirmations"),
            (["--live", "--finality", "safe"], "--finality"), (["--live", "--from", "5"], "--from"),
            (["--live", "--resume", "/tmp/none"], "--resume"),
            (["--confirmations", "2", "--finality", "safe"], "both"), (["--gapless", "0"], "at least 1"),
            (["--resume", "/tmp/none", "--replay", "some.io"], "--resume"),
            (["--from", "5", "--replay", "some.io"], "--from"),
            (["--race"], "two --url"), (["--race", "--url", "ws://localhost:1"], "two --url"),
            (["--race", "--url", "ws://localhost:1", "--url", "ws://localhost:1"], "two --url"),
            (["--race", "--live", "--url", "ws://localhost:1", "--url", "ws://localhost:2"], "--race"),
            (["--verify", "headers", "--live"], "--verify"), (["--verify", "much"], "headers or logs"),
            (["--when-full", "drop-oldest"], "--when-full is for --live"),
            (["--buffer", "1MiB"], "--buffer is for --live"), (["--finality", "latest"], "safe or finalized"),
            (["--from", "latest"], "19000000"), (["--from", "0x"], "0x121eac0"), (["--from", "-1"], "block's number"),
        ]
    )
    func combinations(_ words: [String], _ part: String) {
        do {
            _ = try Self.following(words)
            Issue.record("\(words) was taken")
        } catch let error as UsageError {
            #expect(error.message.contains(part), "\(error.message)")
        } catch {
            Issue.record("\(error)")
        }
    }

    @Test("The cursor's file reads back, is Codable's own form, and nothing stays beside it")
    func cursorFile() throws {
        let path = Self.temporary()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let file = CursorFile(path: path, stream: "heads")
        #expect(try file.read() == nil)
        try file.check()
        let hash = { (byte: UInt8) in try Hash32(bytes: [UInt8](repeating: byte, count: 32)) }
        let cursor = Cursor(
            block: BlockRef(number: 1 << 60, hash: try hash(1), parentHash: try hash(2)),
            ancestors: [BlockRef(number: 7, hash: try hash(3))]
        )
        #expect(file.write(cursor) == 0)
        #expect(try file.read() == cursor)
        let data = try #require(FileManager.default.contents(atPath: path))
        #expect(try JSONDecoder().decode(Cursor.self, from: data) == cursor)
        #expect(!FileManager.default.fileExists(atPath: path + ".tmp"))
        #expect(try Self.following(["--resume", path]).gapless?.start == .cursor(cursor))
        // The file's place counts, not --from's.
        #expect(try Self.following(["--resume", path, "--from", "5"]).gapless?.start == .cursor(cursor))
        #expect(throws: CursorFileError.self) { try Self.following(["--resume", path], stream: "logs {}") }
        for wrong in ["", "{}", "[]", #"{"block":{"number":"1","hash":"0x"}}"#] {
            try Data(wrong.utf8).write(to: URL(fileURLWithPath: path))
            #expect(throws: CursorFileError.self) { try file.read() }
        }
    }

    @Test("A file that cannot be kept is told before anything begins")
    func unwritable() throws {
        let path = Self.temporary() + "/missing/cursor"
        do {
            _ = try Self.following(["--resume", path])
            Issue.record("it was taken")
        } catch let error as CursorFileError {
            #expect(error.kind == .outputFailed && ExitCode.outcome(of: error).code == 74)
        }
    }

    @Test("Updates are objects with the key update, numbers as nodes write them")
    func notices() throws {
        let block = BlockRef(
            number: 16,
            hash: try Hash32(bytes: [UInt8](repeating: 1, count: 32)),
            parentHash: try Hash32(bytes: [UInt8](repeating: 2, count: 32))
        )
        let (hash, parent) = (String(repeating: "01", count: 32), String(repeating: "02", count: 32))
        let object = #"{"number":"0x10","hash":"0x\#(hash)","parentHash":"0x\#(parent)"}"#
        let expected: [(StreamNotice, String, String)] = [
            (
                .rollback(to: block, removed: [block]),
                #"{"update":"rollback","to":\#(object),"removed":[\#(object)]}"#,
                "rollback to 16 (0x01010101…), 1 block removed"
            ),
            (
                .gap(3...5, .beyondLimit), #"{"update":"gap","from":"0x3","to":"0x5","reason":"beyondLimit"}"#,
                "gap: blocks 3 to 5 missing (beyondLimit)"
            ),
            (.caughtUp, #"{"update":"caughtUp"}"#, "caught up"),
            (.reconnected, #"{"update":"reconnected"}"#, "connected again"),
            (.finalized(block), #"{"update":"finalized","block":\#(object)}"#, "finalized 16 (0x01010101…)"),
            (
                .lagged(count: 2, blocks: 7...7), #"{"update":"lagged","count":2,"from":"0x7","to":"0x7"}"#,
                "2 dropped here (block 7): the output is slower than the node"
            ),
        ]
        for (notice, json, text) in expected {
            #expect("\(notice.json)" == json)
            #expect(notice.text == text)
        }
    }
}
