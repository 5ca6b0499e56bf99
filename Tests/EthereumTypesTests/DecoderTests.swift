import EthereumTypes
import Foundation
import HeadstreamJSON
import Testing

/// Decoding by shape must give what reading as any JSON gives.
@Suite("Decoders of heads and logs")
struct DecoderTests {
    /// The bytes of a text, with the 64 behind them that decoders may look at.
    private func padded<Value>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> Value) rethrows -> Value {
        let bytes = Array(text.utf8) + [UInt8](repeating: UInt8(ascii: "0"), count: 64)
        return try bytes.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<text.utf8.count])) }
    }

    private func hex(_ count: Int, _ random: inout some RandomNumberGenerator) -> String {
        "\"0x"
            + (0..<count).map { _ in
                let byte = UInt8.random(in: 0...255, using: &random)
                return (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }.joined() + "\""
    }

    private func quantity(_ random: inout some RandomNumberGenerator) -> String {
        let value = UInt64.random(in: 0 ... .max, using: &random) >> UInt64.random(in: 0..<64, using: &random)
        return "\"0x" + String(value, radix: 16) + "\""
    }

    private func log(_ keys: [String], blank: String, _ random: inout some RandomNumberGenerator) -> String {
        let members = keys.map { key -> String in
            let value: String
            switch key {
            case "address": value = hex(20, &random)
            case "topics":
                value =
                    "["
                    + (0..<Int.random(in: 0...4, using: &random)).map { _ in hex(32, &random) }
                    .joined(separator: "," + blank) + "]"
            case "data": value = hex([0, 1, 31, 32, 63, 64, 65, 200].randomElement(using: &random) ?? 0, &random)
            case "transactionHash", "blockHash": value = hex(32, &random)
            case "removed": value = Bool.random(using: &random) ? "true" : "false"
            default: value = Int.random(in: 0..<8, using: &random) == 0 ? "null" : quantity(&random)
            }
            return "\"\(key)\":\(blank)\(value)"
        }
        return "{" + members.joined(separator: "," + blank) + "}"
    }

    private func head(_ keys: [String], blank: String, _ random: inout some RandomNumberGenerator) -> String {
        let members = keys.map { key -> String in
            let value: String
            switch key {
            case "miner": value = hex(20, &random)
            case "logsBloom": value = hex(256, &random)
            case "nonce": value = hex(8, &random)
            case "extraData": value = hex([0, 5, 32, 97].randomElement(using: &random) ?? 0, &random)
            case "totalDifficulty": value = "\"0xc70d815d562d3cfa955\""
            case "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed",
                "excessBlobGas",
                "size":
                value = quantity(&random)
            default: value = hex(32, &random)
            }
            return "\"\(key)\":\(blank)\(value)"
        }
        return "{" + members.joined(separator: "," + blank) + "}"
    }

    private let logKeys = [
        "address", "topics", "data", "blockNumber", "transactionHash", "transactionIndex", "blockHash",
        "blockTimestamp",
        "logIndex", "removed",
    ]
    private let headKeys = [
        "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom", "difficulty",
        "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce", "baseFeePerGas",
        "withdrawalsRoot",
        "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash", "totalDifficulty", "size", "hash",
    ]

    @Test("Logs by shape are the logs that reading finds, in any order and spacing")
    func logs() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var decoder = Log.Decoder()
        for round in 0..<60 {
            let keys = logKeys.shuffled(using: &random)
            for _ in 0..<20 {
                let text = log(keys, blank: round % 3 == 0 ? " " : "", &random)
                #expect(
                    try padded(text) { try decoder.decode($0) } == read(text, as: Log.self),
                    "seed \(seed): \(text)"
                )
            }
        }
    }

    @Test("Heads by shape are the heads that reading finds, in any order and spacing")
    func heads() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var decoder = BlockHeader.Decoder()
        for round in 0..<40 {
            let keys = headKeys.shuffled(using: &random)
            for _ in 0..<10 {
                let text = head(keys, blank: round % 3 == 0 ? " " : "", &random)
                let expected = try read(text, as: BlockHeader.self)
                #expect(try padded(text) { try decoder.decode($0) } == expected, "seed \(seed): \(text)")
            }
        }
    }

    @Test("Shapes that were learnt alike are one, and are told apart by a byte and by a field")
    func sharedShapes() throws {
        func learn(_ text: String, _ numbers: [String: UInt8]) throws -> JSONShape {
            try #require(
                Array(text.utf8).withUnsafeBytes {
                    JSONShape(learning: $0) { key in numbers[key.string].map { ($0, .hex) } }
                }
            )
        }
        let one = try learn(#"{"a":"0x1","b":"0x2"}"#, ["a": 1, "b": 2])
        #expect(try learn(#"{"a":"0x33","b":"0x0"}"#, ["a": 1, "b": 2]) == one)
        #expect(try learn(#"{"a":"0x1", "b":"0x2"}"#, ["a": 1, "b": 2]) != one)
        #expect(try learn(#"{"a":"0x1","b":"0x2"}"#, ["a": 2, "b": 1]) != one)
        var shapes = JSONShapes(sharing: { $0 == one ? one : $0 })
        shapes.add(try learn(#"{"a":"0x5","b":"0x6"}"#, ["a": 1, "b": 2]))
        #expect(shapes.plan?.steps.baseAddress == one.plan.steps.baseAddress)
    }

    @Test("A message that was changed somewhere decodes as reading says, or is refused as reading says")
    func mutations() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var logs = Log.Decoder()
        var heads = BlockHeader.Decoder()
        let alphabet = Array("\"\\{}[]:,0x9afgtn \u{1}".utf8)
        for round in 0..<3000 {
            for isLog in [true, false] {
                // In one order, which is learnt, and in another each time, which is read by keys.
                let keys = isLog ? logKeys : headKeys
                let order = round % 2 == 0 ? keys : keys.shuffled(using: &random)
                let text = isLog ? log(order, blank: "", &random) : head(order, blank: "", &random)
                var bytes = Array(text.utf8)
                if round % 4 != 0 {
                    let at = Int.random(in: bytes.indices, using: &random)
                    switch Int.random(in: 0..<3, using: &random) {
                    case 0: bytes[at] = alphabet.randomElement(using: &random) ?? 0
                    case 1: bytes.remove(at: at)
                    default: bytes.removeLast(bytes.count - at)
                    }
                }
                guard let changed = String(validating: bytes, as: UTF8.self) else { continue }
                if isLog {
                    let found = try? padded(changed) { try logs.decode($0) }
                    #expect(found == (try? read(changed, as: Log.self)), "seed \(seed), round \(round): \(changed)")
                } else {
                    let found = try? padded(changed) { try heads.decode($0) }
                    #expect(
                        found == (try? read(changed, as: BlockHeader.self)),
                        "seed \(seed), round \(round): \(changed)"
                    )
                }
            }
        }
    }

    @Test("A blank value, which is all zero bits, is the empty one, each time that it is asked for")
    func blanks() {
        for _ in 0..<2 {
            #expect(Log.Decoder.blank.value == Log())
            #expect(BlockHeader.Decoder.blank.value == BlockHeader())
        }
    }
}
