/// Base64 with padding (RFC 4648 §4), for messages that cannot stand on a line.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: some Sequence<UInt8>, to text: inout [UInt8]) {
        var bits: UInt32 = 0
        var count = 0
        func character(_ shift: UInt32) -> UInt8 { self.alphabet[Int(bits >> shift & 63)] }
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 1
            if count == 3 {
                text += [character(18), character(12), character(6), character(0)]
                (bits, count) = (0, 0)
            }
        }
        switch count {
        case 1:
            bits <<= 16
            text += [character(18), character(12), UInt8(ascii: "="), UInt8(ascii: "=")]
        case 2:
            bits <<= 8
            text += [character(18), character(12), character(6), UInt8(ascii: "=")]
        default: break
        }
    }

    /// nil for a foreign character, wrong padding, or bits that belong to no byte.
    static func decode(_ text: some BidirectionalCollection<UInt8>) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        var body = text[text.startIndex..<text.endIndex]
        var padding = 0
        while padding < 2, body.last == UInt8(ascii: "=") {
            body = body.dropLast()
            padding += 1
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3)
        var bits: UInt32 = 0
        var count = 0
        for character in body {
            let value: UInt8
            switch character {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = character - UInt8(ascii: "A")
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = character - UInt8(ascii: "a") + 26
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character - UInt8(ascii: "0") + 52
            case UInt8(ascii: "+"): value = 62
            case UInt8(ascii: "/"): value = 63
            default: return nil
            }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
                bits &= (1 << UInt32(count)) - 1
            }
        }
        return bits == 0 ? bytes : nil
    }
}
