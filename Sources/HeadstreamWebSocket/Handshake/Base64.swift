/// Base64 with padding (RFC 4648 §4), for the handshake's keys and basic authentication.
package enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    package static func encode(_ bytes: some Collection<UInt8>) -> String {
        var output: [UInt8] = []
        output.reserveCapacity((bytes.count + 2) / 3 * 4)
        var group: UInt32 = 0
        var taken = 0
        for byte in bytes {
            group = group << 8 | UInt32(byte)
            taken += 1
            if taken == 3 {
                for shift in [18, 12, 6, 0] { output.append(Self.alphabet[Int(group >> UInt32(shift)) & 63]) }
                group = 0
                taken = 0
            }
        }
        if taken == 1 {
            output.append(Self.alphabet[Int(group >> 2)])
            output.append(Self.alphabet[Int(group << 4) & 63])
            output += [UInt8(ascii: "="), UInt8(ascii: "=")]
        } else if taken == 2 {
            output.append(Self.alphabet[Int(group >> 10)])
            output.append(Self.alphabet[Int(group >> 4) & 63])
            output.append(Self.alphabet[Int(group << 2) & 63])
            output.append(UInt8(ascii: "="))
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// Whether `text` is the canonical encoding of exactly 16 bytes, as a `Sec-WebSocket-Key` must be
    /// (RFC 6455 §4.2.1): 22 digits, of which the last carries four zero bits, and two paddings.
    static func isSixteenBytes(_ text: String) -> Bool {
        let digits = Array(text.utf8)
        guard digits.count == 24, digits[22] == UInt8(ascii: "="), digits[23] == UInt8(ascii: "=") else { return false }
        for digit in digits[..<21] where !Self.alphabet.contains(digit) { return false }
        return [UInt8(ascii: "A"), UInt8(ascii: "Q"), UInt8(ascii: "g"), UInt8(ascii: "w")].contains(digits[21])
    }
}
