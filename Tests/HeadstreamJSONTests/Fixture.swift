import Foundation
import HeadstreamJSON

/// The files under `Fixtures/`, found from this file's place in the package.
enum Fixture {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures")

    static func bytes(_ path: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: self.root.appendingPathComponent(path)))
    }

    static func text(_ path: String) throws -> String {
        String(decoding: try self.bytes(path), as: UTF8.self)
    }

    static func names(in folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: self.root.appendingPathComponent(folder).path).sorted()
    }
}

/// Reads exactly one value by a function, with an error as a result, from memory that ends where the bytes end.
func reading<Value>(
    _ bytes: some Sequence<UInt8>,
    depthLimit: Int = 128,
    _ body: (inout JSONReader) throws(ValueError) -> Value
) -> Result<Value, ValueError> {
    let array = Array(bytes)
    let exact = UnsafeMutableRawBufferPointer.allocate(byteCount: array.count, alignment: 1)
    defer { exact.deallocate() }
    exact.copyBytes(from: array)
    var reader = JSONReader(UnsafeRawBufferPointer(exact), depthLimit: depthLimit)
    do throws(ValueError) {
        let value = try body(&reader)
        try reader.finish()
        return .success(value)
    } catch {
        return .failure(error)
    }
}

/// What is wrong with a text as JSON, found by skipping over it and by reading it as a value, which must agree; nil if nothing.
func problem(with bytes: some Sequence<UInt8>, depthLimit: Int = 128) throws -> ValueError? {
    let skipped = reading(bytes, depthLimit: depthLimit) { (reader) throws(ValueError) in _ = try reader.skipValue() }
    let read = reading(bytes, depthLimit: depthLimit) { (reader) throws(ValueError) in try JSONValue(from: &reader) }
    switch (skipped, read) {
    case (.success, .success): return nil
    case (.failure(let error), .failure): return error
    case (.success, .failure(let error)), (.failure(let error), .success):
        throw ValueError(reason: "skipping and reading disagree: \(error)")
    }
}

/// Random numbers that a seed names.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {  // SplitMix64
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
