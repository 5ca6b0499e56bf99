import CHeadstreamBytes

/// Writes compact JSON, appending to bytes; commas come by themselves.
///
///     var writer = JSONWriter()
///     writer.beginObject()
///     writer.field("jsonrpc", "2.0")
///     writer.key("id")
///     writer.write(7)
///     writer.endObject()
///     send(try writer.finish())
///
/// Brackets and keys must be balanced by the caller; the writer does not check that.
package struct JSONWriter {
    /// What was written so far.
    package private(set) var bytes: [UInt8]
    /// The first value that JSON cannot say, a `Double` that is not finite: `null` stands in its place. `finish()` throws it.
    package private(set) var problem: ValueError?
    private var needsComma = false

    /// - Parameter bytes: what to append to; a buffer that is used again keeps its capacity.
    package init(appendingTo bytes: consuming [UInt8] = []) {
        self.bytes = bytes
    }

    /// What was written.
    ///
    /// - Throws: `problem`, if there is one.
    package consuming func finish() throws(ValueError) -> [UInt8] {
        if let problem = self.problem { throw problem }
        return self.bytes
    }

    // MARK: Objects and arrays

    package mutating func beginObject() {
        self.separate()
        self.bytes.append(UInt8(ascii: "{"))
        self.needsComma = false
    }

    package mutating func endObject() {
        self.bytes.append(UInt8(ascii: "}"))
        self.needsComma = true
    }

    package mutating func beginArray() {
        self.separate()
        self.bytes.append(UInt8(ascii: "["))
        self.needsComma = false
    }

    package mutating func endArray() {
        self.bytes.append(UInt8(ascii: "]"))
        self.needsComma = true
    }

    /// A member's name, which needs no escapes.
    package mutating func key(_ name: StaticString) {
        self.separate()
        self.bytes.append(UInt8(ascii: "\""))
        self.bytes.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        self.bytes.append(UInt8(ascii: "\""))
        self.bytes.append(UInt8(ascii: ":"))
        self.needsComma = false
    }

    /// A member's name, escaped where it must be.
    package mutating func key(_ name: String) {
        self.write(name)
        self.bytes.append(UInt8(ascii: ":"))
        self.needsComma = false
    }

    package mutating func field(_ name: StaticString, _ value: some JSONWritable) {
        self.key(name)
        value.write(to: &self)
    }

    /// The member, or nothing where there is no value.
    package mutating func field(_ name: StaticString, ifPresent value: (some JSONWritable)?) {
        if let value { self.field(name, value) }
    }

    package mutating func write(_ value: some JSONWritable) {
        value.write(to: &self)
    }

    // MARK: Values

    package mutating func writeNull() { self.append("null") }

    package mutating func write(_ value: Bool) { self.append(value ? "true" : "false") }

    package mutating func writeInteger(_ value: some FixedWidthInteger) {
        self.separate()
        var magnitude = value.magnitude
        guard magnitude >= 10 else {
            if value < 0 { self.bytes.append(UInt8(ascii: "-")) }
            self.bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: magnitude))
            self.needsComma = true
            return
        }
        if value < 0 { self.bytes.append(UInt8(ascii: "-")) }
        let from = self.bytes.count
        while magnitude != 0 {
            let (quotient, digit) = magnitude.quotientAndRemainder(dividingBy: 10)
            self.bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit))
            magnitude = quotient
        }
        self.bytes[from...].reverse()
        self.needsComma = true
    }

    /// The shortest text that reads back as the same number. One that is not finite has none in JSON: `null` is written, and
    /// `problem` tells it.
    package mutating func write(_ value: Double) {
        guard value.isFinite else {
            if self.problem == nil {
                self.problem = ValueError(value: value.description, reason: "is not finite and has no form in JSON")
            }
            return self.writeNull()
        }
        self.separate()
        self.bytes.append(contentsOf: value.description.utf8)
        self.needsComma = true
    }

    /// A string, escaped: `"`, `\` and control characters below 0x20; everything else stands as UTF-8.
    package mutating func write(_ value: String) {
        self.separate()
        self.bytes.append(UInt8(ascii: "\""))
        var value = value
        value.withUTF8 { self.appendEscaped(UnsafeRawBufferPointer($0)) }
        self.bytes.append(UInt8(ascii: "\""))
        self.needsComma = true
    }

    /// A value that is JSON already, as it stands; it is not checked.
    package mutating func writeRaw(_ json: some Sequence<UInt8>) {
        self.separate()
        self.bytes.append(contentsOf: json)
        self.needsComma = true
    }

    /// Bytes as the RPC's DATA: `"0x"` and two digits a byte (execution-apis, schemas/base-types).
    package mutating func writeHex(_ data: UnsafeRawBufferPointer) {
        self.separate()
        let from = self.bytes.count
        self.bytes.append(contentsOf: [UInt8(ascii: "\""), UInt8(ascii: "0"), UInt8(ascii: "x")])
        self.bytes.append(contentsOf: repeatElement(UInt8(ascii: "\""), count: 2 * data.count + 1))
        if let source = data.baseAddress {
            self.bytes.withUnsafeMutableBytes { bytes in
                if let target = bytes.baseAddress { hs_hex_encode(source, data.count, target + from + 3) }
            }
        }
        self.needsComma = true
    }

    package mutating func writeHex(_ data: [UInt8]) {
        data.withUnsafeBytes { self.writeHex($0) }
    }

    /// An integer as the RPC's QUANTITY: `"0x0"`, `"0x41"`, no leading zeros (execution-apis, schemas/base-types).
    package mutating func writeQuantity(_ value: some FixedWidthInteger & UnsignedInteger) {
        self.separate()
        self.bytes.append(contentsOf: [UInt8(ascii: "\""), UInt8(ascii: "0"), UInt8(ascii: "x")])
        var digits = max(1, (value.bitWidth - value.leadingZeroBitCount + 3) / 4)
        while digits > 0 {
            digits -= 1
            let digit = UInt8(truncatingIfNeeded: value >> (4 * digits)) & 15
            self.bytes.append(digit + (digit < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10))
        }
        self.bytes.append(UInt8(ascii: "\""))
        self.needsComma = true
    }

    // MARK: Bytes

    private mutating func separate() {
        if self.needsComma { self.bytes.append(UInt8(ascii: ",")) }
    }

    private mutating func append(_ word: StaticString) {
        self.separate()
        self.bytes.append(contentsOf: UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
        self.needsComma = true
    }

    private mutating func appendEscaped(_ text: UnsafeRawBufferPointer) {
        guard let start = text.baseAddress else { return }
        var at = 0
        while true {
            let run = hs_find_special(start + at, text.count - at)
            self.bytes.append(contentsOf: UnsafeRawBufferPointer(start: start + at, count: run))
            at += run
            guard at < text.count else { return }
            let byte = text[at]
            at += 1
            self.bytes.append(UInt8(ascii: "\\"))
            switch byte {
            case 0x08: self.bytes.append(UInt8(ascii: "b"))
            case 0x09: self.bytes.append(UInt8(ascii: "t"))
            case 0x0a: self.bytes.append(UInt8(ascii: "n"))
            case 0x0c: self.bytes.append(UInt8(ascii: "f"))
            case 0x0d: self.bytes.append(UInt8(ascii: "r"))
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): self.bytes.append(byte)
            default:
                self.bytes.append(contentsOf: "u00".utf8)
                self.bytes.append(byte < 0x10 ? UInt8(ascii: "0") : UInt8(ascii: "1"))
                let digit = byte & 15
                self.bytes.append(digit + (digit < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10))
            }
        }
    }
}
