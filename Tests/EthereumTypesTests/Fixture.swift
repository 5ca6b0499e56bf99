import EthereumTypes
import Foundation
import HeadstreamJSON

/// The files under `Fixtures/`, found from this file's place in the package.
enum Fixture {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures")

    static func text(_ path: String) throws -> String {
        try String(contentsOf: self.root.appendingPathComponent(path), encoding: .utf8)
    }

    static func json(_ path: String) throws -> JSONValue {
        try JSONValue(parsing: self.text(path))
    }

    static func files(in folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: self.root.appendingPathComponent(folder).path)
            .sorted().map { folder + "/" + $0 }
    }

    struct Recorded {
        var source: String
        var value: JSONValue
    }

    /// The values of one kind in `Fixtures/chain`.
    static func recorded(_ kind: String) throws -> [Recorded] {
        try self.text("chain/\(kind).jsonl").split(separator: "\n").map { line in
            let object = try JSONValue(parsing: String(line))
            return Recorded(source: object["source"]?.stringValue ?? "", value: object["value"] ?? .null)
        }
    }
}

/// Reads a value from JSON text as the library reads it off the wire.
func read<Value: JSONReadable>(_ json: String, as type: Value.Type = Value.self) throws(ValueError) -> Value {
    let result = Array(json.utf8).withUnsafeBytes { (bytes) -> Result<Value, ValueError> in
        var reader = JSONReader(bytes)
        do throws(ValueError) {
            let value = try Value(from: &reader)
            try reader.finish()
            return .success(value)
        } catch {
            return .failure(error)
        }
    }
    return try result.get()
}

func json(_ value: some JSONWritable) -> String {
    var writer = JSONWriter()
    value.write(to: &writer)
    return String(decoding: writer.bytes, as: UTF8.self)
}

/// JSON with everything taken out that two equal values may differ in: nulls, absent `removed`, empty uncles, an absent type 0, the case
/// of hex digits and the leading zeros of quantities.
func canonical(_ value: JSONValue, key: String = "") -> JSONValue {
    switch value {
    case .object(let object):
        var result = JSONObject()
        for (key, member) in object {
            if member == .null || key == "removed" && member == .bool(false) { continue }
            if key == "uncles" && member == .array([]) { continue }
            result[key] = canonical(member, key: key)
        }
        // Written always, though absent before transactions had types.
        if object["nonce"] != nil, object["input"] != nil, result["type"] == nil { result["type"] = "0x0" }
        return .object(result)
    case .array(let elements):
        return .array(elements.map { canonical($0, key: key) })
    case .string(let text) where text.hasPrefix("0x"):
        let lower = text.lowercased()
        guard quantities.contains(key) else { return .string(lower) }
        let digits = lower.dropFirst(2).drop { $0 == "0" }
        return .string("0x" + (digits.isEmpty ? "0" : digits))
    default:
        return value
    }
}

private let quantities: Set<String> = [
    "number", "difficulty", "totalDifficulty", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed",
    "excessBlobGas", "slotNumber", "size", "blockNumber", "blockTimestamp", "transactionIndex", "logIndex", "gas",
    "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "maxFeePerBlobGas", "value", "v", "r", "s", "yParity",
    "chainId", "type", "cumulativeGasUsed", "effectiveGasPrice", "blobGasPrice", "status", "index", "validatorIndex",
    "amount",
]

/// A generator whose seed a failure shows.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    // SplitMix64.
    mutating func next() -> UInt64 {
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var value = self.state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}
