import Foundation
import HeadstreamJSON
import Testing

@Suite("JSON values")
struct ValueTests {
    @Test("Literals, subscripts and accessors")
    func access() throws {
        let value: JSONValue = ["a": [1, 2.5, nil, true, "x"], "b": ["c": -3]]
        #expect(value["a"]?[0]?.intValue == 1)
        #expect(value["a"]?[1]?.doubleValue == 2.5)
        #expect(value["a"]?[2]?.isNull == true)
        #expect(value["a"]?[3]?.boolValue == true)
        #expect(value["a"]?[4]?.stringValue == "x")
        #expect(value["a"]?[5] == nil && value["a"]?[-1] == nil && value["z"] == nil && value[0] == nil)
        #expect(value["b"]?["c"]?.numberValue?.int64 == -3)
        #expect(value.description == #"{"a":[1,2.5,null,true,"x"],"b":{"c":-3}}"#)
    }

    @Test("Members keep their order; the last of equal names wins; equality does not look at the order")
    func objects() throws {
        var object = try #require(try JSONValue(parsing: #"{"z":1,"a":2,"z":3}"#).objectValue)
        #expect(object.map(\.key) == ["z", "a"])
        #expect(object["z"] == 3)
        object["a"] = nil
        object["b"] = 4
        #expect(object.description == #"{"z":3,"b":4}"#)
        #expect(try JSONValue(parsing: #"{"a":1,"b":2}"#) == JSONValue(parsing: #"{"b":2,"a":1}"#))
        #expect(Set([try JSONValue(parsing: #"{"a":1,"b":2}"#), ["b": 2, "a": 1]]).count == 1)
    }

    @Test("Numbers keep their text")
    func numbers() {
        for text in ["0", "-0", "1.50", "1e5", "-1E+5", "123456789012345678901234567890"] {
            #expect(JSONNumber(text)?.text == text)
        }
        for text in ["", "+1", "01", ".5", "1.", "1e", "0x1", " 1", "1 ", "NaN", "-"] {
            #expect(JSONNumber(text) == nil)
        }
        #expect(JSONNumber("1.0") != JSONNumber("1"))
        #expect(JSONNumber(Double.nan) == nil)
        #expect(JSONNumber("18446744073709551615")?.uint64 == .max)
    }

    @Test("Another coder's JSON is the same value")
    func codable() throws {
        let value: JSONValue = ["a": [1, 2.5, nil, true, "x", ["b": 18_446_744_073_709_551]], "c": [:], "d": []]
        let data = try JSONEncoder().encode(value)
        #expect(try JSONDecoder().decode(JSONValue.self, from: data) == value)
        #expect(try JSONValue(parsing: [UInt8](data)) == value)
    }
}
