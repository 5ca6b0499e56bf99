import HeadstreamJSON
import Testing

@Suite("Decoding by shape")
struct ShapeTests {
    /// A small type: a quantity, an optional quantity, an array of bytes, a flag.
    private struct Item: Hashable {
        var a: UInt64 = 0
        var b: UInt64?
        var list: [UInt8] = []
        var flag = false

        static func field(_ key: JSONString) -> (number: UInt8, form: JSONShape.Form)? {
            switch key {
            case "a": (0, .hex)
            case "b": (1, .hex)
            case "list": (2, .hexArray)
            case "flag": (3, .bool)
            default: nil
            }
        }

        init?(_ text: String, by shape: JSONShape) {
            let bytes = Array(text.utf8) + [UInt8](repeating: 0x22, count: 64)
            let fits = bytes.withUnsafeBytes { raw -> Bool in
                var cursor = JSONShapeCursor(UnsafeRawBufferPointer(rebasing: raw[..<text.utf8.count]), shape.plan)
                for step in shape.plan.steps {
                    guard cursor.take(step) else { return false }
                    switch step.field {
                    case 0: self.a = cursor.quantity()
                    case 1: self.b = cursor.quantity()
                    case 2:
                        while cursor.beginHexElement(isFirst: self.list.isEmpty) {
                            var byte: UInt8 = 0
                            cursor.hex(into: &byte, count: 1)
                            self.list.append(byte)
                        }
                    case 3: self.flag = cursor.bool()
                    default: break
                    }
                }
                return cursor.isAtEnd
            }
            guard fits else { return nil }
        }
    }

    private func learn(_ text: String) -> JSONShape? {
        Array(text.utf8).withUnsafeBytes { JSONShape(learning: $0, field: Item.field) }
    }

    @Test("What was learnt from one message reads others with other values")
    func values() throws {
        let shape = try #require(learn(#"{"a":"0x1","list":["0x01"],"b":"0x2","flag":false}"#))
        let other = Item(
            #"{"a":"0xfff","list":["0x02","0x03" , "0x04"],"b":"0x00000000000001ff","flag":true}"#,
            by: shape
        )
        #expect(other?.a == 0xfff && other?.b == 0x1ff && other?.list == [2, 3, 4] && other?.flag == true)
        #expect(Item(#"{"a":"0xA","list":[],"b":"0x0","flag":false}"#, by: shape)?.list == [])
    }

    @Test("Blanks and null members are part of the shape")
    func blanks() throws {
        let shape = try #require(learn("{ \"a\" : \"0x1\",\n \"b\":null, \"list\": [ \"0x01\" ] }"))
        #expect(Item("{ \"a\" : \"0x2\",\n \"b\":null, \"list\": [ \"0x05\", \"0x06\" ] }", by: shape)?.list == [5, 6])
        #expect(Item("{ \"a\" : \"0x2\",\n \"b\":\"0x1\", \"list\": [ \"0x05\" ] }", by: shape) == nil)
    }

    @Test("What differs in a byte, or ends early, does not fit")
    func differing() throws {
        let text = #"{"a":"0x1f","list":["0x01","0x02"],"b":"0x2","flag":false}"#
        let shape = try #require(learn(text))
        let whole = try #require(Item(text, by: shape))
        for count in 0..<text.utf8.count {
            #expect(Item(String(text.prefix(count)), by: shape) == nil, "\(count) bytes")
        }
        #expect(Item(text + "}", by: shape) == nil && Item(text + " ", by: shape) == nil)
        // Every change to one byte either does not fit or is the value that the JSON reader finds.
        for place in text.utf8.indices {
            for byte in [
                UInt8(ascii: "\""), UInt8(ascii: ","), UInt8(ascii: "x"), UInt8(ascii: "7"), UInt8(ascii: " "), 0,
            ] {
                var bytes = Array(text.utf8)
                let at = text.utf8.distance(from: text.utf8.startIndex, to: place)
                bytes[at] = byte
                guard let found = Item(String(decoding: bytes, as: UTF8.self), by: shape) else { continue }
                let value = try JSONValue(parsing: bytes)
                #expect(value["a"]?.stringValue.map { UInt64($0.dropFirst(2), radix: 16) } == found.a)
                #expect(found == whole || byte == UInt8(ascii: "7"), "byte \(byte) at \(at)")
            }
        }
    }

    @Test("Members are found by their keys, in any order, and nothing else is")
    func members() {
        let keys: [StaticString] = [
            "a", "b", "ab", "abcdefgh", "abcdefghi", "abcdefghij", "list", "flag", "0123456789012345678901234567890",
        ]
        let members = JSONMembers(
            keys.enumerated().map { index, key in
                JSONMembers.Member(key, UInt8(index), index == 6 ? .hexArray : index == 7 ? .bool : .hex)
            }
        )
        func found(_ text: String) -> UInt8? {
            (Array(text.utf8) + [UInt8](repeating: 0x22, count: 64)).withUnsafeBytes { bytes in
                var cursor = JSONShapeCursor(UnsafeRawBufferPointer(rebasing: bytes[..<text.utf8.count]))
                return cursor.takeMember(members, after: nil)?.field
            }
        }
        for (index, key) in keys.enumerated() {
            let value = index == 6 ? "[" : index == 7 ? "t" : "\"0x1"
            #expect(found("{\"\(key)\":\(value)") == UInt8(index), "\(key)")
            // What stands for a flag is looked at when it is read.
            #expect(index == 7 || found("{\"\(key)\": \(value)") == nil, "\(key)")
            #expect(found("{\"\(key)x\":\(value)") == nil, "\(key)")
            for count in 0..<key.utf8CodeUnitCount + 4 {
                #expect(found(String("{\"\(key)\":\(value)".prefix(count))) == nil)
            }
        }
        #expect(found("{\"\":\"0x1") == nil && found("{}") == nil && found("") == nil && found("[\"a\":\"0x1") == nil)
    }

    @Test("What cannot be a shape is not learnt")
    func refused() {
        for text in [
            #"{"a":1}"#, #"{"a":"1"}"#, #"{"a":"0x1","a":"0x2"}"#, #"{"c":"0x1"}"#, #"{"flag":"0x1"}"#,
            #"{"list":"0x1"}"#,
            "[]", "", #"{"a":"0x1""#, #"{"a":"0x1"} x"#, #"{"flag":1}"#,
            "{" + String(repeating: " ", count: 10_000) + #""a":"0x1"}"#,
        ] { #expect(learn(text) == nil, "\(text.prefix(40))") }
        #expect(learn("{}") != nil)
    }

    @Test("A random order of keys is learnt ever more rarely; a few orders are all remembered")
    func restraint() {
        var shapes = JSONShapes()
        var learnt = 0
        for _ in 0..<10_000 where shapes.missed() { learnt += 1 }
        #expect(learnt < 25)
        var steady = JSONShapes()
        for round in 0..<3 {
            #expect((0..<4).contains { _ in steady.missed() }, "round \(round)")
            for _ in 0..<100 { steady.hit() }
        }
    }

    @Test("The shape that fits last is tried first, and at most four are kept")
    func order() throws {
        var shapes = JSONShapes()
        for text in ["{}", "{ }", "{  }", "{   }", "{    }"] { shapes.add(try #require(learn(text))) }
        #expect(shapes.others.count + 1 == JSONShapes.capacity)
        let oldest = try #require(shapes.others.first).plan.steps.baseAddress
        shapes.hit(other: 0)
        #expect(shapes.plan?.steps.baseAddress == oldest)
    }
}
