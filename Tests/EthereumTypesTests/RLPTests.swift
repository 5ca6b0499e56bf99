import EthereumTypes
import HeadstreamJSON
import Testing

@Suite("RLP")
struct RLPTests {
    /// What ethereum/tests and ethers write for a value: a text, a number, `#` and a large number, or a list.
    private func value(_ json: JSONValue, hex: Bool) throws -> RLP {
        switch json {
        case .array(let elements): return .list(try elements.map { try self.value($0, hex: hex) })
        case .number(let number): return .number(try UInt256(number.text))
        case .string(let text) where text.hasPrefix("#"):
            return .bytes(Bytes(try self.large(String(text.dropFirst()))))
        case .string(let text): return .bytes(hex ? try Bytes(text) : Bytes(text.utf8))
        default: throw ValueError(reason: "is no RLP value")
        }
    }

    /// A decimal number of any size as big-endian bytes.
    private func large(_ decimal: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        for character in decimal.utf8 {
            var carry = UInt(character) - 0x30
            for index in bytes.indices.reversed() {
                carry += UInt(bytes[index]) * 10
                bytes[index] = UInt8(truncatingIfNeeded: carry)
                carry >>= 8
            }
            if carry > 0 { bytes.insert(UInt8(carry), at: 0) }
        }
        return bytes
    }

    @Test("ethereum/tests' and ethers' values encode and decode")
    func valid() throws {
        for file in ["rlp/ethereum-tests-rlptest.json", "rlp/ethereum-tests-example.json"] {
            for (name, vector) in try #require(Fixture.json(file).objectValue) {
                let encoded = try Bytes(#require(vector["out"]?.stringValue))
                let decoded = try RLP.decode(encoded)
                #expect(decoded.encoded == encoded, "\(name)")
                if vector["in"]?.stringValue == "VALID" { continue }
                let value = try self.value(#require(vector["in"]), hex: false)
                #expect(value == decoded && value.encoded == encoded, "\(name)")
            }
        }
        for vector in try #require(Fixture.json("rlp/ethers-rlp.json").arrayValue) {
            let value = try self.value(#require(vector["decoded"]), hex: true)
            let encoded = try Bytes(#require(vector["encoded"]?.stringValue))
            #expect(value.encoded == encoded)
            #expect(try RLP.decode(encoded) == value)
        }
    }

    @Test("ethereum/tests' invalid encodings are refused")
    func invalid() throws {
        for (name, vector) in try #require(Fixture.json("rlp/ethereum-tests-invalidRLPTest.json").objectValue) {
            let text = try #require(vector["out"]?.stringValue)
            guard let bytes = try? Bytes(text.hasPrefix("0x") ? text : "0x" + text) else { continue }
            #expect(throws: ValueError.self, "\(name)") { try RLP.decode(bytes) }
        }
    }

    @Test("lists may nest to the limit and no deeper, and 100,000 open lists do not exhaust the stack")
    func depth() throws {
        func nested(_ depth: Int) -> Bytes {
            var value = RLP.list([])
            for _ in 1..<depth { value = .list([value]) }
            return value.encoded
        }
        #expect(throws: Never.self) { try RLP.decode(nested(RLP.maximumDepth)) }
        #expect(throws: ValueError.self) { try RLP.decode(nested(RLP.maximumDepth + 2)) }
        var hostile: [UInt8] = []
        for _ in 0..<100_000 { hostile += [0xfa, 0x0f, 0xff, 0xff] }
        #expect(throws: ValueError.self) { try RLP.decode(hostile) }
    }

    @Test("no bytes of any kind trap, and what decodes encodes to the same bytes")
    func hostile() throws {
        let seed: UInt64 = 0x726c70
        var random = SeededGenerator(seed: seed)
        let prefixes: [UInt8] = [0x00, 0x7f, 0x80, 0x81, 0xb7, 0xb8, 0xbf, 0xc0, 0xc1, 0xc2, 0xf7, 0xf8, 0xff]
        var decoded = 0
        for round in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                Bool.random(using: &random)
                    ? prefixes.randomElement(using: &random) ?? 0 : UInt8.random(in: 0...255, using: &random)
            }
            guard let value = try? RLP.decode(bytes) else { continue }
            decoded += 1
            #expect(Array(value.encoded) == bytes, "round \(round), seed \(seed)")
        }
        #expect(decoded > 100)
    }

    @Test("every prefix of a header, and a header with any byte changed, decodes or is refused")
    func damagedHeader() throws {
        let line = try #require(try Fixture.text("chain/headers-rlp.txt").split(separator: "\n").first)
        let bytes = Array(try Bytes(line.split(separator: " ")[2]))
        for count in 0..<bytes.count {
            #expect(throws: ValueError.self) { try BlockHeader(rlpEncoded: Bytes(bytes.prefix(count))) }
        }
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= 0xff
            if let header = try? BlockHeader(rlpEncoded: Bytes(damaged)) {
                #expect(Array(header.rlpEncoded) == damaged, "byte \(index)")
            }
        }
    }
}
