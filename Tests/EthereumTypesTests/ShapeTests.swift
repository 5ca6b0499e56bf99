import EthereumTypes
import HeadstreamJSON
import Testing

/// Decoding by a learnt shape is a second way to read the same bytes: it must give the same values and refuse the same.
@Suite("Decoding by shape")
struct ShapeTests {
    /// The bytes of a text, with the padding that the decoders ask for, in a place that reads beyond would show.
    private func withPadded<Result>(_ text: [UInt8], _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        (text + [UInt8](repeating: 0x20, count: 64)).withUnsafeBytes {
            body(UnsafeRawBufferPointer(rebasing: $0[..<text.count]))
        }
    }

    private func general<Value: JSONReadable>(_ bytes: UnsafeRawBufferPointer) -> Result<Value, ValueError> {
        var reader = JSONReader(bytes)
        do throws(ValueError) {
            let value = try Value(from: &reader)
            try reader.finish()
            return .success(value)
        } catch {
            return .failure(error)
        }
    }

    /// Each text five times in a row, so that its shape is learnt, and then all of them mixed and damaged.
    private func check<Value: JSONReadable & Equatable & Sendable>(
        _ kind: String,
        seed: UInt64,
        _ decode: (UnsafeRawBufferPointer) -> Result<Value, ValueError>
    ) throws {
        let texts = try Fixture.recorded(kind).map { Array($0.value.description.utf8) }
        for text in texts {
            for _ in 0..<5 {
                self.withPadded(text) { bytes in
                    #expect(decode(bytes) == (self.general(bytes) as Result<Value, ValueError>))
                }
            }
        }
        var random = SeededGenerator(seed: seed)
        let bytes = Array("0123456789abcdefxX\"\\{}[]:, ntGZ".utf8)
        var accepted = 0
        for round in 0..<6_000 {
            guard var text = texts.randomElement(using: &random) else { return }
            for _ in 0..<Int.random(in: 0...2, using: &random) {
                let index = Int.random(in: text.indices, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: text.remove(at: index)
                case 1: text.insert(bytes.randomElement(using: &random) ?? 0x20, at: index)
                default: text[index] = bytes.randomElement(using: &random) ?? 0x20
                }
            }
            self.withPadded(text) { bytes in
                let expected: Result<Value, ValueError> = self.general(bytes)
                let found = decode(bytes)
                #expect(found == expected, "round \(round), seed \(seed): \(String(decoding: text, as: UTF8.self))")
                if case .success = found { accepted += 1 }
            }
        }
        #expect(accepted > 1_000)
    }

    @Test("logs read by shape as they do by name, whole and damaged")
    func logs() throws {
        var decoder = Log.Decoder()
        try self.check("logs", seed: 0x6c6f67) { (bytes) -> Result<Log, ValueError> in
            do throws(ValueError) { return .success(try decoder.decode(bytes)) } catch { return .failure(error) }
        }
    }

    @Test("heads read by shape as they do by name, whole and damaged")
    func heads() throws {
        var decoder = BlockHeader.Decoder()
        try self.check("headers", seed: 0x6864) { (bytes) -> Result<BlockHeader, ValueError> in
            do throws(ValueError) { return .success(try decoder.decode(bytes)) } catch { return .failure(error) }
        }
    }
}
