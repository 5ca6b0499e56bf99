import Foundation
import HeadstreamTesting
import Testing

@Suite("Transcript")
struct TranscriptTests {
    @Test("Every recorded session and execution-apis test comes out byte for byte as it went in")
    func roundTrip() throws {
        let paths = FixturePaths.transcripts
        #expect(paths.count >= 23)
        for path in paths {
            let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            let transcript = try Transcript(contentsOf: path)
            #expect(transcript.text == Array(bytes), "\(path)")
            #expect(try Transcript(parsing: transcript.text).entries == transcript.entries, "\(path)")
        }
    }

    @Test("Messages, times, events and remarks are read")
    func reads() throws {
        let transcript = try Transcript(
            parsing: """
                // recorded from geth
                // @0.000 open
                >> {"id":1}
                // @0.004
                << {"id":1,"result":true}
                // @14.002 close 1001 going away
                // @15.1 open
                // @16.000000001 drop
                // @17 error connection refused
                // @alice asked for this

                """
        )
        typealias Entry = Transcript.Entry
        #expect(
            transcript.entries == [
                Entry(.remark(" recorded from geth")),
                Entry(.open, at: .zero),
                Entry(.fromClient(Array(#"{"id":1}"#.utf8))),
                Entry(.fromNode(Array(#"{"id":1,"result":true}"#.utf8)), at: .milliseconds(4)),
                Entry(.close(code: 1001, reason: "going away"), at: .milliseconds(14_002)),
                Entry(.open, at: .milliseconds(15_100)),
                Entry(.drop, at: .seconds(16) + .nanoseconds(1)),
                Entry(.error("connection refused"), at: .seconds(17)),
                Entry(.remark(" @alice asked for this")),
            ]
        )
        #expect(transcript.entries.map(\.line) == [1, 2, 3, 5, 6, 7, 8, 9, 10])
    }

    @Test("CRLF line ends, a byte order mark, empty lines and a missing last line end are accepted")
    func lineEnds() throws {
        let transcript = try Transcript(parsing: "\u{FEFF}// @0.5 open\r\n\r\n>> a\r\n<<  b \r\n>>\r\n<< c")
        #expect(
            transcript.entries == [
                .init(.open, at: .milliseconds(500)), .init(.fromClient(Array("a".utf8))),
                .init(.fromNode(Array(" b ".utf8))), .init(.fromClient([])), .init(.fromNode(Array("c".utf8))),
            ]
        )
    }

    @Test("A message with a line end, or that is not UTF-8, is written as base64 and read back")
    func base64() throws {
        let messages: [[UInt8]] = [
            Array("{\n}".utf8), Array("{}\r".utf8), [0xFF], [0xFF, 0], [0xFF, 0, 1], [], Array("plain ☃".utf8),
        ]
        let transcript = Transcript(
            entries: messages.flatMap { [.init(.fromClient($0)), .init(.fromNode($0), at: .seconds(1))] }
        )
        let text = String(decoding: transcript.text, as: UTF8.self)
        #expect(text.contains(">>base64 ewp9\n"))
        #expect(text.contains("<<base64 /wA=\n"))
        #expect(text.contains(">> plain ☃\n"))
        #expect(try Transcript(parsing: text) == transcript)
    }

    @Test(
        "A line that is no known form is an error that names file and line",
        arguments: [
            ("// @1.0 opne", "unknown event \"opne\""),
            ("// @1.0 open here", "nothing follows open"),
            ("// @1.0 drop it", "nothing follows drop"),
            ("// @1.0 close now", "close is followed by a code"),
            ("// @1.0 close 99", "close is followed by a code"),
            ("// @1.0 close +1000", "close is followed by a code"),
            ("// @1.0 close 1000 " + String(repeating: "x", count: 124), "124 bytes"),
            ("// @1.", "not a time"), ("// @.5", "not a time"), ("// @-1", "not a time"), ("// @1e3", "not a time"),
            ("// @1.0000000001", "not a time"), ("//@9999999999999999999999", "not a time"),
            ("// @0.1", "goes back"),
            ("hello", "a line begins with"), ("> {}", "a line begins with"),
            (">>{}", "an arrow is followed by"), (">>base64", nil), (">>base64!", "base64 is followed by a space"),
            ("<<base64 a", "not base64"), ("<<base64 a===", "not base64"), ("<<base64 ab==", "not base64"),
            ("<<base64 YQ", "not base64"), ("<<base64 ?Q==", "not base64"), ("<<base64 YQ==YQ==", "not base64"),
        ] as [(String, String?)]
    )
    func malformed(line: String, reason: String?) throws {
        let text = "// @0.5 open\n" + line + "\n>> x"
        guard let reason else {
            #expect(throws: Never.self) { try Transcript(parsing: text) }
            return
        }
        let error = #expect(throws: TranscriptError.self) { try Transcript(parsing: text, name: "a.io") }
        #expect(error?.file == "a.io")
        #expect(error?.line == 2)
        #expect(error?.description.hasPrefix("a.io:2: ") == true)
        #expect(error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
    }

    @Test("No sequence of bytes traps the reader, and what it accepts is read back the same")
    func randomBytes() {
        let seed: UInt64 = 0x7EA5_C21F
        var random = SeededGenerator(seed: seed)
        let pieces = [
            ">> ", "<< ", ">>base64 ", "<<base64", "// ", "// @", "1.5", " open", " close ", "1000", " drop", " error",
            "\n", "\r\n", "\n", "YQ==", "{}", "\u{FEFF}", ".", "é",
        ]
        for round in 0..<2000 {
            var bytes: [UInt8] = []
            for _ in 0..<random.below(20) {
                if random.below(8) == 0 {
                    bytes.append(UInt8(random.below(256)))
                } else {
                    bytes += pieces[random.below(pieces.count)].utf8
                }
            }
            guard let transcript = try? Transcript(parsing: bytes) else { continue }
            let again = try? Transcript(parsing: transcript.text)
            #expect(again?.entries == transcript.entries, "seed \(seed) round \(round): \(bytes)")
        }
    }

    @Test("Control characters in a close reason or an error cannot begin a line of their own")
    func injection() throws {
        let transcript = Transcript(entries: [
            .init(.close(code: 1011, reason: "bad\n>> {}"), at: .zero), .init(.error("a\rb"), at: .zero),
            .init(.remark(" x\n<< y")),
        ])
        let text = String(decoding: transcript.text, as: UTF8.self)
        #expect(text == "// @0.000 close 1011 bad >> {}\n// @0.000 error a b\n// x << y\n")
    }

    @Test("A streamed file holds every entry as soon as it is written")
    func streams() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).io").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let writer = try TranscriptWriter(path: path)
        var expected: [Transcript.Entry] = []
        for index in 0..<20 {
            let entry = Transcript.Entry(.fromNode(Array("{\"n\":\(index)}".utf8)), at: .milliseconds(index))
            try writer.write(entry.event, at: entry.time)
            expected.append(entry)
            #expect(try Transcript(contentsOf: path).entries == expected)
        }
        try writer.close()
        try writer.close()
        #expect(throws: TranscriptError.self) { try writer.write(.drop, at: .zero) }
        #expect(throws: TranscriptError.self) { try Transcript(contentsOf: path, maxBytes: 100) }
        #expect(throws: TranscriptError.self) { try Transcript(contentsOf: path + ".missing") }
        #expect(throws: TranscriptError.self) { try TranscriptWriter(path: "/nonexistent/folder/x.io") }
    }
}
