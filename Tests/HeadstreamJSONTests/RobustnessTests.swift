import HeadstreamJSON
import Testing

@Suite("JSON robustness")
struct RobustnessTests {
    @Test("100,000 brackets deep is an error, not a crash")
    func deep() throws {
        let open = [UInt8](repeating: UInt8(ascii: "["), count: 100_000)
        let objects = Array(String(repeating: #"{"a":"#, count: 100_000).utf8)
        for bytes in [open, open + [UInt8](repeating: UInt8(ascii: "]"), count: 100_000), objects] {
            #expect(try problem(with: bytes) != nil)
            #expect(try problem(with: bytes, depthLimit: 1_000_000)?.reason.contains("deeper than 512") == true)
        }
    }

    @Test("Values nest as deep as the limit says and no deeper", arguments: [0, 1, 2, 127, 128, 129, 257, 512])
    func limit(depth: Int) throws {
        for (open, close) in [("[", "]"), (#"{"a":"#, "}"), (#"{"a":["#, "]}")] {
            let levels = open.count > 5 ? depth / 2 : depth
            let text = String(repeating: open, count: levels) + "1" + String(repeating: close, count: levels)
            #expect(try problem(with: text.utf8, depthLimit: depth) == nil)
            let deeper = "[" + text + "]"
            if levels == depth || depth % 2 == 0 {
                #expect((try problem(with: deeper.utf8, depthLimit: depth)) != nil)
            }
        }
    }

    @Test("Flipped, dropped and inserted bytes never trap, and reading agrees with skipping")
    func mutations() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var documents = try ["demo", "repeat"].map { try Fixture.bytes("json/simdjson/\($0).json").prefix(3000) }
        documents.append(contentsOf: [
            Array(#"{"a":[1,-2.5e3,"x\u00e9\ud83d\ude00\n",null,true,false],"é":{"b":{}},"":[[],[{}]]}"#.utf8)[...],
            Array(#"{"parentHash":"0x00ff","number":"0x1b4","nonce":null,"topics":["0x01","0x02"]}"#.utf8)[...],
        ])
        for round in 0..<4000 {
            guard var bytes = documents.randomElement(using: &random).map({ Array($0) }), !bytes.isEmpty else {
                continue
            }
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let at = Int.random(in: bytes.indices, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 1: bytes[at] = Array("\"\\{}[]:,0-eu\u{1}".utf8).randomElement(using: &random) ?? 0
                case 2 where bytes.count > 1: bytes.remove(at: at)
                default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
                }
            }
            let found = Result { try problem(with: bytes) }
            #expect(throws: Never.self, "seed \(seed), round \(round): \(bytes)") { try found.get() }
        }
    }

    @Test("A document cut anywhere is refused, without a read past its end")
    func cut() throws {
        let bytes = Array(#"{"a":[1,-2.5e3,"x\u00e9\ud83d\ude00\n",null,true],"é":{"b":"0x12"}}"#.utf8)
        for count in bytes.indices { #expect(try problem(with: bytes[..<count]) != nil, "\(count) bytes") }
        #expect(try problem(with: bytes) == nil)
    }

    @Test("Excerpts in errors are bounded and hold no control characters")
    func excerpts() throws {
        let bytes = Array(#"{"name": tru"#.utf8) + [UInt8](repeating: 0x1b, count: 10_000)
        let long = try #require(try problem(with: bytes))
        #expect(long.field == "name")
        #expect(long.description.utf8.count < 500)
        for value in ["\u{1b}[31m", "\u{7f}", String(repeating: "€", count: 5000)] {
            let shown = Array(value.utf8).withUnsafeBytes { ValueError.excerpt(of: $0) }
            #expect(shown.utf8.count <= 64 * 6)
            #expect(!shown.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7f })
        }
    }
}
