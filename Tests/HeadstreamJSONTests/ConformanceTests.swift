import Foundation
import HeadstreamJSON
import Testing

@Suite("JSON conformance")
struct ConformanceTests {
    @Test("JSONTestSuite: what must parse parses, what must not is refused, nothing traps")
    func testSuite() throws {
        let folder = "json/JSONTestSuite/test_parsing"
        var counts: [Character: Int] = [:]
        for name in try Fixture.names(in: folder) {
            let found = try problem(with: Fixture.bytes("\(folder)/\(name)"))
            if name.hasPrefix("y_") { #expect(found == nil, "\(name): \(found.map(\.description) ?? "")") }
            if name.hasPrefix("n_") { #expect(found != nil, "\(name) was accepted") }
            counts[name.first ?? " ", default: 0] += 1
        }
        #expect(counts["y", default: 0] >= 40 && counts["n", default: 0] >= 80 && counts["i", default: 0] >= 20)
    }

    @Test("JSONTestSuite's free cases: numbers of any size are kept, what names no character is refused")
    func free() throws {
        let folder = "json/JSONTestSuite/test_parsing"
        for name in try Fixture.names(in: folder) where name.hasPrefix("i_") {
            let found = try problem(with: Fixture.bytes("\(folder)/\(name)"), depthLimit: 512)
            let isKept = name.hasPrefix("i_number_") || name == "i_structure_500_nested_arrays.json"
            #expect((found == nil) == isKept, "\(name)")
        }
    }

    @Test("Numbers, names that differ in form and equal names come through as written")
    func transform() throws {
        func value(_ name: String) throws -> JSONValue {
            try JSONValue(parsing: Fixture.bytes("json/JSONTestSuite/test_transform/\(name).json"))
        }
        #expect(try value("number_1e6").description == "[1E6]")
        #expect(try value("number_10000000000000000999").description == "[10000000000000000999]")
        #expect(try value("number_1.0").description == "[1.0]")
        #expect(try value("number_-9223372036854775809")[0]?.intValue == nil)
        #expect(try value("object_same_key_different_values").description == #"{"a":2}"#)
        #expect(try value("object_key_nfc_nfd").objectValue?.count == 2)
    }

    @Test("UTF-8 is checked strictly, in strings and by itself")
    func utf8() throws {
        var tested = 0
        for line in try Fixture.text("json/utf8tests/utf8tests.txt").split(separator: "\n") where !line.hasPrefix("#") {
            let parts = line.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count >= 3, parts[1].hasSuffix("hex") else { continue }
            let kind = parts[1].drop { $0 == " " }
            let digits = parts[2].filter { $0 != " " }
            let bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap { at -> UInt8? in
                let from = digits.index(digits.startIndex, offsetBy: at)
                return UInt8(digits[from..<digits.index(from, offsetBy: 2)], radix: 16)
            }
            guard bytes.count * 2 == digits.count, !bytes.contains(where: { $0 < 0x20 || $0 == 0x22 || $0 == 0x5c })
            else {
                continue
            }
            let isValid = kind == "valid hex"
            #expect((String(validating: bytes, as: UTF8.self) != nil) == isValid, "the fixture's own word, \(line)")
            #expect((try problem(with: [0x22] + bytes + [0x22]) == nil) == isValid, "\(line)")
            tested += 1
        }
        #expect(tested > 50)
    }

    @Test("Samples of real documents survive reading, writing and reading again")
    func samples() throws {
        for name in try Fixture.names(in: "json/simdjson") {
            let bytes = try Fixture.bytes("json/simdjson/\(name)")
            let value = try JSONValue(parsing: bytes)
            let text = value.description
            #expect(try JSONValue(parsing: text) == value, "\(name)")
            #expect(try JSONValue(parsing: text).description == text, "\(name)")
            let ours = try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed) as? NSObject
            let theirs = try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed) as? NSObject
            #expect(ours == theirs, "\(name)")
        }
    }

    @Test("Odd messages of nodes are JSON or not, as another parser says")
    func messages() throws {
        var texts: [String] = []
        for message in try JSONValue(parsing: Fixture.bytes("jsonrpc/nodecore-messages.json")).arrayValue ?? [] {
            texts.append(message["text"]?.stringValue ?? "")
        }
        let conversations = try Fixture.names(in: "jsonrpc/geth-rpc-testdata").map { "jsonrpc/geth-rpc-testdata/\($0)" }
        for path in conversations + ["jsonrpc/spec-examples.txt"] {
            for line in try Fixture.text(path).split(separator: "\n")
            where line.hasPrefix("--> ") || line.hasPrefix("<-- ") {
                texts.append(String(line.dropFirst(4)))
            }
        }
        #expect(texts.count > 80)
        for text in texts {
            let isJSON =
                (try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)) != nil
            #expect((try problem(with: text.utf8) == nil) == isJSON, "\(text)")
        }
    }
}
