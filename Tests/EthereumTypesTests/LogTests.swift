import EthereumTypes
import Foundation
import HeadstreamJSON
import Testing

@Suite("Log")
struct LogTests {
    private static let address = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
    private static let topics = (1...5).map { "0x" + String(repeating: "0\($0)", count: 32) }

    private func text(topics: Int = 1, data: String = "0x", _ members: String = "") -> String {
        let list = Self.topics.prefix(topics).map { "\"\($0)\"" }.joined(separator: ",")
        return "{\"address\":\"\(Self.address)\",\"topics\":[\(list)],\"data\":\"\(data)\"\(members)}"
    }

    @Test("recorded logs read, and write what was read; Codable agrees")
    func roundTrips() throws {
        var cases = 0
        for recorded in try Fixture.recorded("logs") {
            let log: Log = try read(recorded.value.description)
            #expect(canonical(try JSONValue(parsing: json(log))) == canonical(recorded.value), "\(recorded.source)")
            let coded = try JSONDecoder().decode(Log.self, from: JSONEncoder().encode(log))
            #expect(coded == log && coded.hashValue == log.hashValue, "\(recorded.source)")
            #expect(try JSONDecoder().decode(Log.self, from: Data(recorded.value.description.utf8)) == log)
            cases += 1
        }
        #expect(cases > 50)
    }

    @Test("none to four topics are read; a fifth is refused by name")
    func topics() throws {
        for count in 0...4 {
            let log: Log = try read(self.text(topics: count))
            #expect(log.topics.map(\.description) == Self.topics.prefix(count).map { $0 })
            #expect(log.topics.count == count)
            #expect(try read(json(log)) == log)
        }
        do throws(ValueError) {
            _ = try read(self.text(topics: 5), as: Log.self)
            Issue.record("read")
        } catch {
            #expect(error.field == "topics[4]" && error.reason.contains("at most 4"))
        }
        #expect(throws: ValueError.self) { try Log(address: .zero, topics: [Hash32](repeating: .zero, count: 5)) }
    }

    @Test("data of any length keeps its bytes, inline up to 64 and in a buffer above")
    func data() throws {
        for count in [0, 1, 31, 32, 63, 64, 65, 128, 1000] {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) }
            let hex = "0x" + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            let log: Log = try read(self.text(data: hex))
            #expect(Array(log.data) == bytes && log.data == Bytes(bytes) && log.data.description == hex)
            #expect(log.data == (try Bytes("0x" + hex.dropFirst(2).uppercased())))
            #expect((log.data.heap == nil) == (count <= 64))
            #expect(Bytes(bytes.lazy.map { $0 }) == log.data && Set([log.data, Bytes(bytes)]).count == 1)
            if count > 0 {
                #expect(log.data[count - 1] == bytes[count - 1] && log.data + [9] != log.data)
                #expect(Array(log.data + [9]) == bytes + [9])
            }
        }
        for bad in [
            "0x1", "12", "", "0xzz", "0x" + String(repeating: "1", count: 201),
            "0x" + String(repeating: "g", count: 200),
        ] {
            #expect(throws: ValueError.self) { try Bytes(bad) }
        }
    }

    @Test("Edge case 80: a pending log has no place in the chain; null and absent are the same")
    func pending() throws {
        let log: Log = try read(self.text())
        let nulls = [
            "blockNumber", "blockHash", "transactionHash", "transactionIndex", "logIndex", "blockTimestamp", "removed",
        ]
        #expect(try read(self.text(nulls.map { ",\"\($0)\":null" }.joined())) == log)
        #expect(log.blockNumber == nil && log.blockHash == nil && log.transactionHash == nil && log.logIndex == nil)
        #expect(log.transactionIndex == nil && log.blockTimestamp == nil && !log.removed)
        let placed: Log = try read(
            self.text(",\"blockNumber\":\"0x0\",\"logIndex\":\"0x00\",\"transactionIndex\":0,\"removed\":true")
        )
        #expect(placed.blockNumber == 0 && placed.logIndex == 0 && placed.transactionIndex == 0 && placed.removed)
    }

    @Test("Edge case 14: a log's value of the wrong shape is refused with the name of its field")
    func wrongShapes() {
        let cases: [(String, field: String)] = [
            (self.text(",\"blockNumber\":\"x\""), "blockNumber"), (self.text(",\"removed\":\"false\""), "removed"),
            (self.text(",\"blockHash\":\"0x\""), "blockHash"), (self.text(data: "0x123"), "data"),
            ("{\"address\":\"\(Self.address)\",\"topics\":[null],\"data\":\"0x\"}", "topics[0]"),
            ("{\"address\":\"\(Self.address)\",\"topics\":{},\"data\":\"0x\"}", "topics"),
            ("{\"topics\":[],\"data\":\"0x\"}", "address"),
            ("{\"address\":\"\(Self.address)\",\"data\":\"0x\"}", "topics"),
            ("{\"address\":\"\(Self.address)\",\"topics\":[]}", "data"),
            ("{\"address\":null,\"topics\":[],\"data\":\"0x\"}", "address"),
        ]
        for (text, field) in cases {
            do throws(ValueError) {
                _ = try read(text, as: Log.self)
                Issue.record("read in spite of \(field)")
            } catch {
                #expect(error.field == field, "\(error)")
            }
        }
    }

    @Test("Edge case 10: a log's keys may be written with escapes, in any order and twice")
    func keyOrder() throws {
        let log: Log = try read(self.text(topics: 2, ",\"logIndex\":\"0x5\""))
        let text =
            "{\"log\\u0049ndex\":\"0x5\",\"data\":\"0x00\",\"topics\":[\"\(Self.topics[0])\",\"\(Self.topics[1])\"],"
            + "\"address\":\"\(Self.address)\",\"d\\u0061ta\":\"0x\"}"
        #expect(try read(text) == log)
    }

    @Test("Edge case 15: members that a log does not know are kept")
    func unknownFields() throws {
        let log: Log = try read(self.text(",\"type\":\"mined\",\"transactionLogIndex\":\"0x0\""))
        #expect(log.unknownFields == ["type": "mined", "transactionLogIndex": "0x0"])
        #expect(try read(json(log)) == log)
        #expect(log.description == json(log) && log.json.description == json(log))
        #expect(try Log(json: log.json) == log)
    }

    @Test("a user's own Decodable type gets Codable's error, with its path and ours beneath")
    func decodingErrors() throws {
        struct Transfer: Decodable {
            var to: Address
            var log: Log?
        }
        for (text, path) in [
            ("{\"to\":\"0x12\"}", "to"), ("{\"to\":\"\(Self.address)\",\"log\":{\"topics\":[]}}", "log"),
        ] {
            do {
                _ = try JSONDecoder().decode(Transfer.self, from: Data(text.utf8))
                Issue.record("decoded")
            } catch DecodingError.dataCorrupted(let context) {
                #expect(context.codingPath.map(\.stringValue) == [path])
                #expect(context.underlyingError is ValueError)
            }
        }
    }

    @Test("a filter matches by address and by place of topics, as nodes do")
    func filter() throws {
        let log: Log = try read(self.text(topics: 2, ",\"blockNumber\":\"0x10\""))
        let (first, second) = (log.topics[0], log.topics[1])
        #expect(LogFilter().matches(log))
        #expect(LogFilter(address: log.address).matches(log) && !LogFilter(address: .zero).matches(log))
        #expect(LogFilter(addresses: [.zero, log.address]).matches(log))
        #expect(
            LogFilter(topics: [.exactly(first)]).matches(log) && !LogFilter(topics: [.exactly(second)]).matches(log)
        )
        #expect(LogFilter(topics: [.any, .exactly(second)]).matches(log))
        #expect(LogFilter(topics: [.anyOf([second, first]), .any]).matches(log))
        #expect(LogFilter(topics: [.anyOf([])]).matches(log) && !LogFilter(topics: [.any, .any, .any]).matches(log))
        #expect(LogFilter(blocks: .range(from: 16, to: .latest)).matches(log))
        #expect(!LogFilter(blocks: .range(from: 17, to: .latest)).matches(log))
        #expect(!LogFilter(blocks: .range(from: .earliest, to: 15)).matches(log))
        #expect(!LogFilter(blocks: .hash(.zero)).matches(log))
    }

    @Test("a filter is written as eth_getLogs and eth_subscribe take it, and read back")
    func filterText() throws {
        let address = try Address(Self.address)
        let topics = try Self.topics.map { try Hash32($0) }
        let filter = LogFilter(
            address: address,
            topics: [.exactly(topics[0]), .any, .anyOf([topics[1], topics[2]])],
            blocks: .range(from: 16, to: .finalized)
        )
        let conditions =
            "\"address\":\"\(Self.address)\",\"topics\":[\"\(topics[0])\",null,[\"\(topics[1])\",\"\(topics[2])\"]]}"
        #expect(json(filter) == "{\"fromBlock\":\"0x10\",\"toBlock\":\"finalized\"," + conditions)
        var writer = JSONWriter()
        filter.writeForSubscription(to: &writer)
        #expect(String(decoding: writer.bytes, as: UTF8.self) == "{" + conditions)
        #expect(try read(json(filter)) == filter)
        let byHash = LogFilter(addresses: [address, .zero], blocks: .hash(topics[0]))
        #expect(try read(json(byHash)) == byHash && json(LogFilter()) == "{}")
        #expect(try JSONDecoder().decode(LogFilter.self, from: JSONEncoder().encode(byHash)) == byHash)
        #expect(throws: ValueError.self) {
            try read("{\"fromBlock\":\"latest\",\"blockHash\":\"\(topics[0])\"}", as: LogFilter.self)
        }
    }

    @Test("a receipt's bloom is that of its logs, and a filter that matches a log may match its bloom")
    func blooms() throws {
        var checked = 0
        for recorded in try Fixture.recorded("receipts") where recorded.source.hasPrefix("chain/mainnet") {
            let receipt: Receipt = try read(recorded.value.description)
            // The fixture keeps at most three logs of a receipt.
            let bloom = Bloom(of: receipt.logs)
            #expect(receipt.logsBloom.isSuperset(of: bloom))
            if receipt.logs.count < 3 {
                #expect(bloom == receipt.logsBloom, "\(recorded.source)")
                checked += 1
            }
            for log in receipt.logs {
                #expect(receipt.logsBloom.contains(log.address) && bloom.contains(log.address))
                let filter = LogFilter(address: log.address, topics: log.topics.map { .exactly($0) })
                #expect(filter.mayMatch(receipt.logsBloom) && filter.matches(log))
                #expect(!filter.mayMatch(Bloom()))
            }
        }
        #expect(checked > 0)
        var union = Bloom()
        union.insert(Address.zero)
        var other = Bloom()
        other.insert(Hash32.zero)
        union.formUnion(other)
        #expect(union.isSuperset(of: other) && !other.isSuperset(of: union) && union.contains(Hash32.zero))
        #expect(try Bloom(union.description) == union && Bloom(bytes: Array(union.withBytes { Array($0) })) == union)
    }
}
