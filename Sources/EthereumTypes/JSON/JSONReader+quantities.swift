import HeadstreamJSON

/// Quantities as nodes really write them.
///
/// The specification of the execution API wants `0x` and the fewest digits. Accepted as well, since nodes send them and
/// there is one way to read them: leading zeros, `0x` alone for 0, and a JSON integer.
extension JSONReader {
    mutating func readLenientQuantity() throws(ValueError) -> UInt64 {
        try self.peek() == .number ? try self.readUInt64() : try self.readQuantity()
    }

    mutating func readUInt256() throws(ValueError) -> UInt256 {
        if try self.peek() == .number {
            let number = try self.readNumber()
            do throws(ValueError) { return try UInt256(decimal: number.bytes) } catch {
                throw self.error(error.reason, at: number.bytes.baseAddress)
            }
        }
        return try self.readText { (text) throws(ValueError) in try UInt256(hex: text) }
    }

    /// Reads a string by a function of its bytes; an error of it gets the field's path.
    mutating func readText<Value>(
        _ read: (UnsafeRawBufferPointer) throws(ValueError) -> Value
    ) throws(ValueError) -> Value {
        let string = try self.readRawString()
        do throws(ValueError) {
            if string.hasEscapes {
                let text = string.string
                return try withUTF8(of: text, read)
            }
            return try read(string.bytes)
        } catch {
            throw self.error(error.reason, about: string)
        }
    }
}

extension JSONString {
    /// Calls with the same string as it is written without escapes; nil where it cannot be.
    @inline(never)
    func withUnescaped<Result>(_ body: (JSONString) -> Result?) -> Result? {
        var writer = JSONWriter()
        writer.write(self.string)
        return writer.bytes.withUnsafeBytes { bytes in
            var reader = JSONReader(bytes)
            guard let plain = try? reader.readRawString(), !plain.hasEscapes else { return nil }
            return body(plain)
        }
    }
}

extension JSONWriter {
    mutating func field(_ name: StaticString, quantity value: UInt64?) {
        guard let value else { return }
        self.key(name)
        self.writeQuantity(value)
    }

    /// A quantity, or null.
    mutating func field(_ name: StaticString, quantityOrNull value: UInt64?) {
        self.key(name)
        if let value { self.writeQuantity(value) } else { self.writeNull() }
    }

    /// Members as they were read.
    mutating func fields(_ unknown: JSONObject?) {
        guard let unknown else { return }
        for (key, value) in unknown {
            self.key(key)
            value.write(to: &self)
        }
    }
}
