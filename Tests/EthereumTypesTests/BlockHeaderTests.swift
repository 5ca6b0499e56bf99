import EthereumTypes
import Foundation
import HeadstreamJSON
import Testing

@Suite("BlockHeader")
struct BlockHeaderTests {
    /// Recorded headers whose hash does not follow from the fields by Ethereum's rule, and why.
    private static let unverifiable: [(source: String, reason: String)] = [
        ("chain/other-chains/cronos", "Tendermint's hash"),
        ("chain/other-chains/stable", "Tendermint's hash"),
        ("chain/other-chains/tempo", "fields of its own in the hash"),
        ("rpc-recorded/erigon-rpc-tests/gnosis/erigon_getHeaderByHash/test_02", "AuRa's seal in the hash"),
        ("rpc-recorded/erigon-rpc-tests/gnosis/erigon_getHeaderByHash/test_04", "AuRa's seal in the hash"),
        ("rpc-recorded/erigon-rpc-tests/gnosis/eth_getBlockByHash/test_02", "AuRa's seal in the hash"),
        ("rpc-recorded/erigon-rpc-tests/gnosis/eth_getBlockByHash/test_04", "AuRa's seal in the hash"),
        ("subscriptions/chainlink-heads", "altered in its source"),
    ]

    private func isUnverifiable(_ source: String) -> Bool {
        Self.unverifiable.contains { source.hasPrefix($0.source) }
    }

    @Test("the hash worked out from an Ethereum header's fields is the one on the wire, for every fork")
    func hashes() throws {
        var verified = 0
        for recorded in try Fixture.recorded("headers") {
            let header: BlockHeader = try read(recorded.value.description)
            guard header.hasHash, header.isComplete else { continue }
            if self.isUnverifiable(recorded.source) {
                #expect(header.computedHash() != header.hash, "\(recorded.source) follows the rule after all")
                continue
            }
            #expect(header.computedHash() == header.hash, "\(recorded.source)")
            verified += 1
        }
        #expect(verified > 60)
    }

    @Test("headers as RLP read, write and hash: Frontier's first 120, one of Shanghai, one of Prague")
    func encoded() throws {
        var parent: Hash32?
        for line in try Fixture.text("chain/headers-rlp.txt").split(separator: "\n") {
            let parts = line.split(separator: " ")
            let bytes = try Bytes(parts[2])
            let header = try BlockHeader(rlpEncoded: bytes)
            #expect(header.number.description == parts[0])
            #expect(header.rlpEncoded == bytes)
            #expect(header.computedHash() == header.hash)
            if parts[1] != "-" { #expect(header.hash.description == parts[1]) }
            if let parent, header.number <= 120 { #expect(header.parentHash == parent) }
            parent = header.hash
        }
    }

    @Test("the genesis block of ethereum/tests hashes to its own hash")
    func genesis() throws {
        let vector = try Fixture.json("rlp/ethereum-tests-genesishashestest.json")
        let text = try #require(vector["genesis_rlp_hex"]?.stringValue)
        guard case .list(let parts) = try RLP.decode(Bytes("0x" + text)), let first = parts.first else {
            Issue.record("no block")
            return
        }
        let header = try BlockHeader(rlpEncoded: first.encoded)
        #expect(header.number == 0)
        let expected = try #require(vector["genesis_hash"]?.stringValue)
        #expect(header.hash.description == "0x" + expected)
    }

    @Test("recorded headers and blocks read, and write what was read; Codable agrees")
    func roundTrips() throws {
        for recorded in try Fixture.recorded("headers") {
            let header: BlockHeader = try read(recorded.value.description)
            #expect(canonical(try JSONValue(parsing: json(header))) == canonical(recorded.value), "\(recorded.source)")
            let coded = try JSONDecoder().decode(BlockHeader.self, from: JSONEncoder().encode(header))
            #expect(coded == header && coded.hashValue == header.hashValue, "\(recorded.source)")
            #expect(try JSONDecoder().decode(BlockHeader.self, from: Data(recorded.value.description.utf8)) == header)
        }
        var withTransactions = 0
        for recorded in try Fixture.recorded("blocks") {
            let block: Block = try read(recorded.value.description)
            // Substrate's authorizations are read, and written in Ethereum's form.
            if !recorded.source.contains("bittensor") {
                #expect(
                    canonical(try JSONValue(parsing: json(block))) == canonical(recorded.value),
                    "\(recorded.source)"
                )
            }
            #expect(try read(json(block)) == block, "\(recorded.source)")
            #expect(try JSONDecoder().decode(Block.self, from: JSONEncoder().encode(block)) == block)
            #expect(block.transactions.hashes.count == block.transactions.count && block.hash == block.header.hash)
            if case .full = block.transactions { withTransactions += 1 }
        }
        #expect(withTransactions > 20)
    }

    @Test("a header is at most 900 bytes, a log at most 400, and common ones hold no box")
    func layout() throws {
        #expect(MemoryLayout<BlockHeader>.size <= 900)
        #expect(MemoryLayout<Log>.size <= 400)
        #expect(MemoryLayout<Bytes>.size == 80)
        #expect(MemoryLayout<Bloom>.size == 256 && MemoryLayout<Hash32>.size == 32)
        var plain = 0
        for recorded in try Fixture.recorded("headers") where recorded.source.hasPrefix("derived/session") {
            let header: BlockHeader = try read(recorded.value.description)
            #expect(header.extra == nil && header.extraData.heap == nil)
            plain += 1
        }
        #expect(plain == 11)
    }

    private static let head = """
        {"parentHash":"0x0101010101010101010101010101010101010101010101010101010101010101","stateRoot":\
        "0x0202020202020202020202020202020202020202020202020202020202020202","number":"0x10","gasLimit":"0x5208",\
        "gasUsed":"0x0","timestamp":"0x6553f100"}
        """

    private func head(_ members: String) -> String { Self.head.dropLast() + "," + members + "}" }

    @Test("Edge case 10: a header's keys come in any order, twice, with escapes, and with blanks between")
    func keyOrder() throws {
        let header: BlockHeader = try read(Self.head)
        let object = try #require(try JSONValue(parsing: Self.head).objectValue)
        var reversed = JSONObject()
        for key in object.keys.reversed() { reversed[key] = object[key] }
        #expect(try read(reversed.description) == header)
        #expect(try read(self.head(#""number":"0x11","n\u0075mber":"0x10""#)) == header)
        #expect(
            try read(Self.head.replacingOccurrences(of: ",", with: " ,\n\t").replacingOccurrences(of: ":", with: " : "))
                == header
        )
    }

    @Test("Edge case 11: numbers above the signed range are read, as hex and as JSON numbers")
    func largeNumbers() throws {
        var header: BlockHeader = try read(
            Self.head.replacingOccurrences(of: "\"0x10\"", with: "\"0xa8aaa221d887373b\"")
        )
        #expect(header.number == 12_153_704_810_663_065_403)
        header = try read(Self.head.replacingOccurrences(of: "\"0x10\"", with: "12153704810663065403"))
        #expect(header.number == 12_153_704_810_663_065_403)
        let large = "0x" + String(repeating: "f", count: 64)
        header = try read(
            self.head("\"difficulty\":\"\(large)\",\"baseFeePerGas\":\"\(large)\",\"totalDifficulty\":\"\(large)\"")
        )
        #expect(header.difficulty == .max && header.baseFeePerGas == .max && header.totalDifficulty == .max)
        #expect(header == (try read(json(header))))
        header.difficulty = 1
        header.baseFeePerGas = nil
        header.totalDifficulty = UInt256(1) << 100
        #expect(header.extra == nil && header.difficulty == 1 && header.totalDifficulty == UInt256(1) << 100)
    }

    @Test("Edge case 14: a value of the wrong shape is refused with the name of its field and what was found")
    func wrongShapes() {
        let cases: [(String, field: String, value: String)] = [
            (Self.head.replacingOccurrences(of: "\"0x10\"", with: "\"16\""), "number", "16"),
            (Self.head.replacingOccurrences(of: "\"0x10\"", with: "\"0x1g\""), "number", "0x1g"),
            (
                Self.head.replacingOccurrences(of: "\"0x10\"", with: "\"0x10000000000000000\""), "number",
                "0x10000000000000000"
            ),
            (Self.head.replacingOccurrences(of: "\"0x10\"", with: "-1"), "number", "-1"),
            (Self.head.replacingOccurrences(of: "\"0x10\"", with: "1.5"), "number", "1.5"),
            (Self.head.replacingOccurrences(of: "\"0x10\"", with: "true"), "number", "true"),
            (Self.head.replacingOccurrences(of: "\"0x5208\"", with: "null"), "gasLimit", "null"),
            (self.head("\"extraData\":\"0x123\""), "extraData", "0x123"),
            (self.head("\"extraData\":\"12\""), "extraData", "12"),
            (self.head("\"miner\":\"0x12\""), "miner", "0x12"),
            (self.head("\"hash\":{}"), "hash", "{"),
            (self.head("\"logsBloom\":\"0x00\""), "logsBloom", "0x00"),
            (
                self.head("\"difficulty\":\"0x1" + String(repeating: "0", count: 64) + "\""), "difficulty",
                "0x1" + String(repeating: "0", count: 61) + "…"
            ),
        ]
        for (text, field, value) in cases {
            do throws(ValueError) {
                _ = try read(text, as: BlockHeader.self)
                Issue.record("read in spite of \(field) \(value)")
            } catch {
                #expect(error.field == field && error.value == value, "\(error)")
            }
        }
        for field in ["parentHash", "stateRoot", "number", "gasLimit", "gasUsed", "timestamp"] {
            let without = Self.head.replacingOccurrences(of: "\"\(field)\"", with: "\"other\"")
            #expect(throws: ValueError(field: field, reason: "is missing")) { try read(without, as: BlockHeader.self) }
        }
        for text in ["[]", "null", "{}", "", "{\"number\":\"0x1\"", "\"0x1\"", Self.head + Self.head] {
            #expect(throws: ValueError.self, "\(text)") { try read(text, as: BlockHeader.self) }
        }
    }

    @Test("Edge case 15: unknown fields of a fork are kept and written again, and the wire hash stays what it was")
    func unknownFields() throws {
        let hash = "0x" + String(repeating: "ab", count: 32)
        var header: BlockHeader = try read(
            self.head("\"hash\":\"\(hash)\",\"futureRoot\":\"0x12\",\"nested\":{\"a\":[1.50,null]}")
        )
        #expect(header.hash.description == hash && header.hasHash)
        #expect(header.unknownFields["futureRoot"] == "0x12")
        #expect(json(header).hasSuffix(#""futureRoot":"0x12","nested":{"a":[1.50,null]}}"#))
        #expect(header == (try read(json(header))))
        header.unknownFields = JSONObject()
        #expect(header.extra == nil)
        header.miner = try Address("0x" + String(repeating: "07", count: 20))
        #expect(json(header).contains("\"miner\":\"0x0707"))
    }

    @Test("Edge case 15: a head without a hash, and without fields that some nodes leave out, is read and says so")
    func missingFields() throws {
        let header: BlockHeader = try read(Self.head)
        #expect(!header.hasHash && header.hash == .zero && header.hasNumber && !header.isComplete)
        #expect(header.computedHash() == nil && header.baseFeePerGas == nil && header.logsBloom.isEmpty)
        #expect(canonical(try JSONValue(parsing: json(header))) == canonical(try JSONValue(parsing: Self.head)))
        let nulls =
            "\"hash\":null,\"nonce\":null,\"miner\":null,\"logsBloom\":null,\"mixHash\":null,\"withdrawalsRoot\":null,"
            + "\"difficulty\":null,\"extraData\":null,\"requestsHash\":null,\"sha3Uncles\":null,\"size\":null"
        #expect(try read(self.head(nulls)) == header)
        for field in try #require(try JSONValue(parsing: Self.head).objectValue?.keys) where field != "number" {
            #expect(throws: ValueError.self, "\(field)") {
                try read(self.head("\"\(field)\":null"), as: BlockHeader.self)
            }
        }
    }

    @Test("Edge case 80: the genesis block, number 0, and a pending block without number and hash are read")
    func genesisAndPending() throws {
        let genesis: BlockHeader = try read(Self.head.replacingOccurrences(of: "\"0x10\"", with: "\"0x0\""))
        #expect(genesis.number == 0 && genesis.hasNumber)
        let empty: BlockHeader = try read(Self.head.replacingOccurrences(of: "\"0x10\"", with: "\"0x\""))
        #expect(empty == genesis)
        let zeros: BlockHeader = try read(Self.head.replacingOccurrences(of: "\"0x10\"", with: "\"0x000\""))
        #expect(zeros == genesis)
        let text =
            Self.head.replacingOccurrences(of: "\"0x10\"", with: "null").dropLast()
            + ",\"hash\":null,\"nonce\":null,\"miner\":null,\"transactions\":[],\"uncles\":[]}"
        let pending: Block = try read(String(text))
        #expect(!pending.header.hasNumber && !pending.header.hasHash && pending.number == 0)
        #expect(json(pending).contains("\"number\":null"))
        #expect(try read(json(pending)) == pending)
    }

    @Test("a header made by hand hashes, and a fork's field that is set is covered by the hash")
    func made() throws {
        var header = BlockHeader(number: 1, parentHash: .zero, timestamp: 10, gasLimit: 30_000_000)
        #expect(header.isComplete && !header.hasHash)
        let bare = try #require(header.computedHash())
        header.hash = bare
        #expect(header.hasHash)
        header.baseFeePerGas = 7
        header.slotNumber = 3
        let later = try #require(header.computedHash())
        #expect(later != bare)
        #expect(try RLP.decode(header.rlpEncoded).encoded == header.rlpEncoded)
        #expect(
            BlockHeader.emptyTrieRoot.description
                == "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
        )
        #expect(
            BlockHeader.emptyUnclesHash.description
                == "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
        )
    }

    @Test("a hundred thousand unknown fields are read in linear time, and no damage to a head traps")
    func hostile() throws {
        let many = (0..<100_000).map { "\"f\($0)\":\($0)" }.joined(separator: ",")
        let header: BlockHeader = try read(self.head(many))
        #expect(header.unknownFields.count == 100_000)

        let seed: UInt64 = 0x6865_6164
        var random = SeededGenerator(seed: seed)
        let recorded = try Fixture.recorded("headers").prefix(20).map { Array($0.value.description.utf8) }
        for _ in 0..<3_000 {
            guard var bytes = recorded.randomElement(using: &random) else { return }
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0x20...0x7e, using: &random)
            }
            if Bool.random(using: &random) { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random)) }
            _ = try? read(String(decoding: bytes, as: UTF8.self), as: BlockHeader.self)
        }
    }
}
