import EthereumTypes
import Foundation
import HeadstreamJSON
import Testing

@Suite("Transaction and Receipt")
struct TransactionTests {
    @Test("recorded transactions of every type read, and write what was read; Codable agrees")
    func transactions() throws {
        var kinds: Set<UInt64> = []
        for recorded in try Fixture.recorded("transactions") {
            let transaction: Transaction = try read(recorded.value.description)
            // Substrate's authorizations are read, and written in Ethereum's form.
            if !recorded.source.contains("bittensor") {
                #expect(
                    canonical(try JSONValue(parsing: json(transaction))) == canonical(recorded.value),
                    "\(recorded.source)"
                )
            }
            let coded = try JSONDecoder().decode(Transaction.self, from: JSONEncoder().encode(transaction))
            #expect(coded == transaction, "\(recorded.source)")
            #expect(Transaction.Kind(rawValue: transaction.kind.rawValue) == transaction.kind)
            kinds.insert(transaction.kind.rawValue)
        }
        #expect(kinds.isSuperset(of: [0, 1, 2, 3, 4]), "\(kinds)")
    }

    @Test("recorded receipts read, and write what was read; Codable agrees")
    func receipts() throws {
        var cases = 0
        for recorded in try Fixture.recorded("receipts") {
            let receipt: Receipt = try read(recorded.value.description)
            #expect(canonical(try JSONValue(parsing: json(receipt))) == canonical(recorded.value), "\(recorded.source)")
            #expect(try JSONDecoder().decode(Receipt.self, from: JSONEncoder().encode(receipt)) == receipt)
            cases += 1
        }
        #expect(cases > 30)
    }

    @Test("an authorization is read as Ethereum's nodes write it, and as Substrate's do")
    func authorizations() throws {
        let address = "0x" + String(repeating: "07", count: 20)
        let usual =
            "{\"chainId\":\"0x3b1\",\"address\":\"\(address)\",\"nonce\":\"0x6\",\"yParity\":\"0x1\",\"r\":\"0x1\",\"s\":\"0x2\"}"
        let odd =
            "{\"address\":\"\(address)\",\"chain_id\":945,\"nonce\":\"0x6\",\"signature\":"
            + "{\"odd_y_parity\":true,\"r\":\"0x01\",\"s\":\"0x02\"}}"
        let authorization: SignedAuthorization = try read(usual)
        #expect(authorization.chainID == 945 && authorization.yParity == 1 && authorization.s == 2)
        #expect(try read(odd) == authorization)
        #expect(json(authorization) == usual)
        let named: SignedAuthorization = try read(usual.dropLast() + ",\"authority\":\"\(address)\"}")
        #expect(named.unknownFields.count == 1 && named != authorization)
        #expect(throws: ValueError(field: "chainId", reason: "is missing")) {
            try read(usual.replacingOccurrences(of: "chainId", with: "id"), as: SignedAuthorization.self)
        }
    }

    @Test("a transaction of a known type lacks nothing; one of an unknown type keeps what it has")
    func unknownType() throws {
        let hash = "0x" + String(repeating: "ab", count: 32)
        for type in ["", ",\"type\":\"0x2\""] {
            #expect(throws: ValueError(field: "from", reason: "is missing")) {
                try read("{\"hash\":\"\(hash)\"\(type)}", as: Transaction.self)
            }
        }
        let text =
            "{\"hash\":\"\(hash)\",\"type\":\"0x7e\",\"mint\":\"0x0\",\"sourceHash\":null,\"calls\":[{\"to\":null}]}"
        let transaction: Transaction = try read(text)
        #expect(!json(transaction).contains("nonce") && !json(transaction).contains("value"))
        #expect(transaction.kind == .unknown(0x7e) && transaction.unknownFields.count == 3)
        #expect(try read(json(transaction)) == transaction)
    }

    @Test("a block's transactions are hashes or in full, never both")
    func mixed() throws {
        let block = try #require(
            try Fixture.recorded("blocks").first { ($0.value["transactions"]?.arrayValue?.count ?? 0) > 1 }
        )
        var value = try #require(block.value.objectValue)
        var elements = try #require(value["transactions"]?.arrayValue)
        let isFull = elements[0].objectValue != nil
        elements[1] = isFull ? (elements[1]["hash"] ?? .null) : ["hash": elements[1]]
        value["transactions"] = .array(elements)
        #expect(throws: ValueError.self) { try read(value.description, as: Block.self) }
    }

    @Test("syncing is read from every form that nodes use")
    func syncing() throws {
        #expect(try read("false", as: SyncStatus.self) == .synced)
        #expect(try read("true", as: SyncStatus.self) == .syncing(nil))
        let progress = SyncProgress(
            startingBlock: 1,
            currentBlock: 2,
            highestBlock: 3,
            unknownFields: ["knownStates": "0x0"]
        )
        let plain =
            "\"startingBlock\":\"0x1\",\"currentBlock\":\"0x2\",\"highestBlock\":\"0x3\",\"knownStates\":\"0x0\""
        #expect(try read("{\(plain)}", as: SyncStatus.self) == .syncing(progress))
        #expect(try read("{\"syncing\":true,\"status\":{\(plain)}}", as: SyncStatus.self) == .syncing(progress))
        #expect(try read("{\"isSyncing\":true,\(plain)}", as: SyncStatus.self) == .syncing(progress))
        #expect(try read("{\"syncing\":false}", as: SyncStatus.self) == .synced)
        let old =
            "{\"syncing\":true,\"status\":{\"StartingBlock\":1,\"CurrentBlock\":2,\"HighestBlock\":3,\"knownStates\":\"0x0\"}}"
        #expect(try read(old, as: SyncStatus.self) == .syncing(progress))
        for status in [SyncStatus.synced, .syncing(nil), .syncing(progress)] {
            #expect(try read(json(status)) == status)
            #expect(try JSONDecoder().decode(SyncStatus.self, from: JSONEncoder().encode(status)) == status)
        }
        for bad in ["null", "\"yes\"", "1", "[]"] {
            #expect(throws: ValueError.self) { try read(bad, as: SyncStatus.self) }
        }
        for file in ["subscriptions/web3py-syncing.json"] {
            let messages = try Fixture.json(file)
            for message in messages.arrayValue ?? [messages] {
                let result = try #require(message["params"]?["result"])
                #expect(throws: Never.self, "\(file)") { try read(result.description, as: SyncStatus.self) }
            }
        }
    }

    @Test("blocks are named by tag, number or hash")
    func selectors() throws {
        #expect(json(BlockTag.number(0)) == "\"0x0\"" && json(BlockTag.latest) == "\"latest\"")
        for tag in [BlockTag.latest, .pending, .earliest, .safe, .finalized, 17] {
            #expect(try BlockTag(tag.description) == tag && read(json(tag)) == tag)
        }
        #expect(throws: ValueError.self) { try BlockTag("newest") }
        let hash = Keccak256.hash([])
        #expect(
            json(BlockSelector.hash(hash, requireCanonical: true))
                == "{\"blockHash\":\"\(hash)\",\"requireCanonical\":true}"
        )
        #expect(
            json(BlockSelector.hash(hash)) == "{\"blockHash\":\"\(hash)\"}"
                && json(BlockSelector.number(5)) == "\"0x5\""
        )
    }
}
