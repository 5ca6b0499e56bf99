import CHeadstreamOpenSSL
import EthereumTypes
import HeadstreamJSON
import Testing

@Suite("Keccak-256")
struct KeccakTests {
    /// SHA3-256 of OpenSSL, which differs from Keccak-256 in the padding byte only.
    private func sha3(_ bytes: [UInt8]) throws -> Hash32 {
        var digest = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 0
        #expect(EVP_Digest(bytes, bytes.count, &digest, &length, EVP_sha3_256(), nil) == 1)
        return try Hash32(bytes: digest)
    }

    @Test("with SHA3's padding it is OpenSSL's SHA3-256 for every length from 0 to 1000, whole and in pieces")
    func againstOpenSSL() throws {
        let seed: UInt64 = 0x6b65_6363
        var random = SeededGenerator(seed: seed)
        for length in 0...1000 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            let expected = try self.sha3(bytes)
            var whole = Keccak256(padding: 0x06)
            whole.update(bytes)
            #expect(whole.finalize() == expected, "length \(length), seed \(seed)")
            var pieces = Keccak256(padding: 0x06)
            var start = 0
            while start < length {
                let end = min(length, start + Int.random(in: 1...200, using: &random))
                pieces.update(bytes[start..<end])
                start = end
            }
            #expect(pieces.finalize() == expected, "length \(length) in pieces, seed \(seed)")
        }
    }

    @Test("ethers' hashes hold")
    func ethers() throws {
        for vector in try #require(Fixture.json("keccak/ethers-hashes.json").arrayValue) {
            let data = try Bytes(#require(vector["data"]?.stringValue))
            #expect(Keccak256.hash(data).description == vector["keccak256"]?.stringValue)
        }
    }

    @Test("an event's topic comes from its signature, however it is written")
    func eventSignatures() throws {
        let transfer = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
        for signature in [
            "Transfer(address,address,uint256)", "Transfer(address indexed from, address indexed to, uint256 value)",
            "event Transfer(address indexed from, address indexed to, uint value);",
            " Transfer ( address , address,uint ) ",
            "event Transfer(address,address,uint256) anonymous;", "Transfer(address payable a, address, uint256)",
        ] {
            #expect(try Hash32(eventSignature: signature).description == transfer, "\(signature)")
        }
        #expect(
            try EventSignature.canonical("A((uint,bytes32[2])[] indexed x,tuple(int) y, string)")
                == "A((uint256,bytes32[2])[],(int256),string)"
        )
        #expect(try EventSignature.canonical("event(uint8)") == "event(uint8)")
        #expect(try EventSignature.canonical("E()") == "E()")
        #expect(
            try EventSignature.canonical("F(fixed,ufixed,fixed8x80,function,byte)")
                == "F(fixed128x18,ufixed128x18,fixed8x80,function,bytes1)"
        )
    }

    @Test("what is no event signature is refused")
    func badSignatures() {
        let deep = String(repeating: "(", count: 100_000)
        for signature in [
            "", "Transfer", "Transfer(", "Transfer(address", "Transfer(address,)", "Transfer(,address)", "1T(address)",
            "T(uint7)", "T(uint264)", "T(uint08)", "T(bytes33)", "T(bytes0)", "T(Token)", "T(address))",
            "T(address) x y",
            "T(uint[0])", "T(uint[1)", "T(uint[-1])", "T(fixed128)", "T(address a b c d)", "T(address)\u{e9}",
            "T" + deep,
        ] {
            #expect(throws: ValueError.self, "\(signature.prefix(40))") { try Hash32(eventSignature: signature) }
        }
    }
}
