import HeadstreamWebSocket
import Testing

@Suite("Text from a peer, cleaned")
struct CleanTextTests {
    @Test(
        "Edge case 113: nothing that a terminal obeys is left",
        arguments: [
            ("plain text, grüße 𝄞", "plain text, grüße 𝄞"),
            ("  a \r\n\t b  ", "a b"),
            ("\u{0}\u{7}\u{1B}[2J", #"\u{00}\u{07}\u{1b}[2J"#),
            ("\u{9B}2J\u{85}", #"\u{9b}2J\u{85}"#),
            ("\u{202E}abc\u{2066}", #"\u{202e}abc\u{2066}"#),
            ("e\u{301}", "e\u{301}"),
            ("", ""),
        ]
    )
    func lines(raw: String, clean: String) {
        #expect(CleanText.line(raw) == clean)
    }

    @Test("Bytes that are not UTF-8 become escapes, and a cut falls between two characters")
    func bytes() {
        func line(_ bytes: [UInt8], limit: Int = 100) -> String {
            bytes.withUnsafeBytes { CleanText.line($0, limit: limit) }
        }
        #expect(line([0x61, 0xFF, 0xC3, 0x62]) == #"a\xff\xc3b"#)
        #expect(line([0xE2, 0x82]) == #"\xe2\x82"#)
        #expect(line(Array("a€b".utf8), limit: 2) == "a…")
        #expect(line(Array("a€b".utf8), limit: 4) == "a€…")
        #expect(line(Array("a€b".utf8), limit: 0) == "…")
        #expect(line([UInt8](repeating: 0x80, count: 10), limit: 5).hasSuffix("…"))
    }
}
