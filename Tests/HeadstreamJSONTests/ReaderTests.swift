import HeadstreamJSON
import Testing

@Suite("JSON reader")
struct ReaderTests {
    @Test("Kinds, words and numbers")
    func scalars() throws {
        let read = reading(#" [null, true ,false,-0, 12,-7,2.5e3,"a\"b"] "#.utf8) { (reader) throws(ValueError) in
            var kinds: [JSONKind] = []
            try reader.beginArray()
            while try reader.nextElement() {
                kinds.append(try reader.peek())
                try reader.skipValue()
            }
            return kinds
        }
        #expect(try read.get() == [.null, .bool, .bool, .number, .number, .number, .number, .string])
    }

    @Test("Integers are exact up to their type's ends and refused beyond")
    func integers() throws {
        func read<Value: JSONReadable>(_ text: String, _ type: Value.Type) -> Value? {
            try? reading(text.utf8) { (reader) throws(ValueError) in try reader.read(type) }.get()
        }
        #expect(read("9223372036854775807", Int64.self) == .max)
        #expect(read("-9223372036854775808", Int64.self) == .min)
        #expect(read("9223372036854775808", Int64.self) == nil)
        #expect(read("18446744073709551615", UInt64.self) == .max)
        #expect(read("18446744073709551616", UInt64.self) == nil)
        #expect(read("-1", UInt8.self) == nil)
        #expect(read("-0", UInt8.self) == 0)
        #expect(read("1.0", Int.self) == nil)
        #expect(read("1e3", Int.self) == nil)
        #expect(read("127", Int8.self) == 127 && read("128", Int8.self) == nil)
        #expect(read("1e400", Double.self) == nil)
        #expect(read("1e-400", Double.self) == 0)
        #expect(read("5e-324", Double.self) == .leastNonzeroMagnitude)
    }

    @Test("Names are compared with their escapes resolved")
    func names() throws {
        let text = #"{"number":1,"n\u0075mber":2,"numbe":3,"number ":4}"#
        let found = reading(text.utf8) { (reader) throws(ValueError) in
            var found: [Int] = []
            try reader.beginObject()
            while let key = try reader.nextKey() {
                let value = try reader.read(Int.self)
                switch key {
                case "number": found.append(value)
                default: continue
                }
            }
            return found
        }
        #expect(try found.get() == [1, 2])
    }

    @Test("Errors name the path of their field")
    func paths() throws {
        struct Item: JSONReadable {
            var value: Int?
            init(from reader: inout JSONReader) throws(ValueError) {
                try reader.beginObject()
                while let key = try reader.nextKey() {
                    if key == "value" { self.value = try reader.read(Int.self) } else { try reader.skipValue() }
                }
                if self.value == nil { throw reader.missing("value") }
            }
        }
        func error(_ text: String) -> ValueError? {
            let read = reading(text.utf8) { (reader) throws(ValueError) in try reader.read([String: [Item]].self) }
            if case .failure(let error) = read { return error }
            return nil
        }
        let wrong = error(#"{"head":[],"transactions":[{"value":1},{"value":2,"x":[1,{"y":2}]},{"value":"0x1"}]}"#)
        #expect(wrong?.field == "transactions[2].value")
        #expect(wrong?.value == #""0x1""#)
        let missing = error(#"{"transactions":[{"value":1},{"x":{"value":5}}]}"#)
        #expect(missing?.field == "transactions[1].value")
        #expect(missing?.reason == "is missing")
        #expect(error(#"{"a":[{"value":1.5}]}"#)?.description == "a[0].value: 1.5 is not an integer")
    }

    @Test("Skipping returns the bytes of the value")
    func skipping() throws {
        let text = #"{"result" : {"a":[1, "]}"]} ,"id":7}"#
        let found = reading(text.utf8) { (reader) throws(ValueError) in
            var found: [String] = []
            try reader.beginObject()
            while try reader.nextKey() != nil {
                found.append(String(decoding: reader.bytes(in: try reader.skipValue()), as: UTF8.self))
            }
            return found
        }
        #expect(try found.get() == [#"{"a":[1, "]}"]}"#, "7"])
    }

    @Test("Hex and quantities are read in every form that nodes write, and nothing else")
    func hex() throws {
        func quantity(_ text: String) -> UInt64? {
            let plain = try? reading(text.utf8) { (reader) throws(ValueError) in try reader.readQuantity() }.get()
            let padded = text + String(repeating: " ", count: 50)
            let wide = try? reading(padded.utf8) { (reader) throws(ValueError) in try reader.readQuantity() }.get()
            #expect(plain == wide, "\(text)")
            return plain
        }
        #expect(quantity(#""0x0""#) == 0)
        #expect(quantity(#""0x1b4""#) == 0x1b4)
        #expect(quantity(#""0xFFFFFFFFFFFFFFFF""#) == .max)
        #expect(quantity(#""0x00000000000000001""#) == 1)
        #expect(quantity(#""0x""#) == 0)
        #expect(quantity(#""\u0030x41""#) == 0x41)
        #expect(quantity(#""0x10000000000000000""#) == nil)
        #expect(quantity(#""0xg""#) == nil)
        #expect(quantity(#""41""#) == nil)
        #expect(quantity("41") == nil)

        func bytes(_ text: String) -> [UInt8]? {
            try? reading(text.utf8) { (reader) throws(ValueError) in try reader.readHexBytes() }.get()
        }
        #expect(bytes(#""0x""#) == [])
        #expect(bytes(#""0x00ffAb""#) == [0, 255, 0xab])
        #expect(bytes(#""0x0""#) == nil)
        #expect(bytes(#""0x0g""#) == nil)

        func three(_ text: String) -> [UInt8]? {
            let target = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 3)
            defer { target.deallocate() }
            guard let base = target.baseAddress else { return nil }
            let read = reading(text.utf8) { (reader) throws(ValueError) in try reader.readHex(into: base, count: 3) }
            return (try? read.get()).map { Array(target) }
        }
        #expect(three(#""0x0102fF""#) == [1, 2, 255])
        #expect(three(#""0x0102f\u0046""#) == [1, 2, 255])
        #expect(three(#""0x0102""#) == nil)
        #expect(three(#""0x010203""#.dropLast().description) == nil)
        #expect(three(#""0x01020304""#) == nil)
    }
}
