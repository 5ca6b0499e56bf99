import HeadstreamJSON
import Testing

@Suite("JSON writer")
struct WriterTests {
    @Test("Commas come by themselves")
    func commas() throws {
        var writer = JSONWriter()
        writer.beginObject()
        writer.field("jsonrpc", "2.0")
        writer.field("id", 7)
        writer.key("params")
        writer.beginArray()
        writer.write("newHeads")
        writer.beginObject()
        writer.endObject()
        writer.writeNull()
        writer.writeRaw("[1,2]".utf8)
        writer.endArray()
        writer.field("absent", ifPresent: Int?.none)
        writer.field("map", ["b": 1, "a": 2])
        writer.endObject()
        let text = #"{"jsonrpc":"2.0","id":7,"params":["newHeads",{},null,[1,2]],"map":{"a":2,"b":1}}"#
        #expect(String(decoding: try writer.finish(), as: UTF8.self) == text)
    }

    @Test("Strings are escaped where they must be and come back the same")
    func strings() throws {
        let every = String(String.UnicodeScalarView((0..<0x300).compactMap(Unicode.Scalar.init)))
        for text in ["", "\"\\/\u{8}\u{9}\u{a}\u{c}\u{d}\u{0}\u{1f}\u{7f}", "é€😀", every] {
            var writer = JSONWriter()
            writer.write(text)
            let bytes = try writer.finish()
            #expect(try problem(with: bytes) == nil)
            #expect(try JSONValue(parsing: bytes).stringValue == text)
        }
        #expect(JSONValue.string("a\"\\\n\u{1}\u{1f}/é").description == #""a\"\\\n\u0001\u001f/é""#)
    }

    @Test("Numbers are exact")
    func numbers() throws {
        var writer = JSONWriter()
        writer.write([Int64.min, Int64.max, 0, -1, 10])
        writer.write(UInt64.max)
        writer.write([0.1, -0.0, 1e300, Double.leastNonzeroMagnitude])
        #expect(
            String(decoding: try writer.finish(), as: UTF8.self)
                == "[-9223372036854775808,9223372036854775807,0,-1,10],18446744073709551615,[0.1,-0.0,1e+300,5e-324]"
        )
    }

    @Test("A number that is not finite is told, not written in silence")
    func notFinite() {
        for value in [Double.nan, .infinity, -.infinity] {
            var writer = JSONWriter()
            writer.write([value, 1])
            #expect(writer.bytes == Array("[null,1.0]".utf8))
            #expect(throws: ValueError.self) { try writer.finish() }
        }
    }

    @Test("Bytes and quantities as the RPC writes them")
    func hex() throws {
        var writer = JSONWriter()
        writer.beginArray()
        writer.writeHex([])
        writer.writeHex(Array(0...20))
        writer.writeQuantity(UInt64(0))
        writer.writeQuantity(UInt8(65))
        writer.writeQuantity(UInt64.max)
        writer.writeQuantity(UInt32(0x1000))
        writer.endArray()
        let text =
            #"["0x","0x000102030405060708090a0b0c0d0e0f1011121314","0x0","0x41","0xffffffffffffffff","0x1000"]"#
        #expect(String(decoding: try writer.finish(), as: UTF8.self) == text)
    }
}
