import CHeadstreamBytes
import Testing

/// The vector forms of this machine against the plain ones, which every machine has.
@Suite("Byte work")
struct BytesTests {
    /// Calls with random bytes of every length up to 200 at every alignment, some of them far more likely than others.
    private func eachLength(of alphabet: [UInt8], _ body: (UnsafeRawBufferPointer, String) -> Void) {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for count in 0...200 {
            let shift = Int.random(in: 0..<16, using: &random)
            // Memory that ends where the bytes end, but for functions that say otherwise.
            let room = UnsafeMutableRawBufferPointer.allocate(byteCount: shift + count + 64, alignment: 16)
            defer { room.deallocate() }
            for index in room.indices {
                let isRare = UInt8.random(in: 0..<32, using: &random) == 0
                room[index] =
                    isRare ? .random(in: 0...255, using: &random) : alphabet.randomElement(using: &random) ?? 0
            }
            body(
                UnsafeRawBufferPointer(rebasing: room[shift..<shift + count]),
                "seed \(seed), \(count) bytes at \(shift)"
            )
        }
    }

    @Test("Searches find what a loop finds")
    func searches() {
        eachLength(of: Array("abcdefgh0123 é".utf8)) { bytes, seed in
            guard let p = bytes.baseAddress else { return }
            let n = bytes.count
            #expect(hs_find_special(p, n) == hs_scalar_find_special(p, n), "\(seed)")
            #expect(hs_find_string_stop(p, n) == hs_scalar_find_string_stop(p, n), "\(seed)")
            #expect(hs_find_byte(p, n, 0x61) == hs_scalar_find_byte(p, n, 0x61), "\(seed)")
            #expect(hs_ascii_prefix(p, n) == hs_scalar_ascii_prefix(p, n), "\(seed)")
            #expect(hs_special_mask16(p) == hs_scalar_special_mask16(p), "\(seed)")
            let mask = (0..<64).reduce(UInt64(0)) { mask, index in
                mask | (hs_is_special(p.load(fromByteOffset: index, as: UInt8.self)) ? 1 << UInt64(index) : 0)
            }
            #expect(hs_special_mask64(p) == mask, "\(seed)")
        }
    }

    @Test("UTF-8 is judged as the standard library judges it")
    func utf8() {
        for alphabet in ["abc", "aé", "é€", "€😀", "a\u{7ff}\u{800}\u{ffff}\u{10ffff}\u{d7ff}\u{e000}"] {
            let seed = UInt64.random(in: 0 ... .max)
            var random = SeededGenerator(seed: seed)
            for round in 0..<500 {
                var bytes = (0..<Int.random(in: 0...60, using: &random))
                    .flatMap { _ in Array(String(alphabet.unicodeScalars.randomElement(using: &random) ?? "a").utf8) }
                if round % 2 == 1, !bytes.isEmpty {
                    let at = Int.random(in: bytes.indices, using: &random)
                    bytes[at] = .random(in: 0...255, using: &random)
                    if round % 4 == 1 { bytes.removeLast(min(bytes.count, .random(in: 0...3, using: &random))) }
                }
                let isValid = String(validating: bytes, as: UTF8.self) != nil
                let (ours, prefix) = bytes.withUnsafeBytes { raw -> (Bool, Int) in
                    guard let p = raw.baseAddress else { return (true, 0) }
                    return (hs_is_utf8(p, raw.count), hs_utf8_prefix(p, raw.count))
                }
                #expect(ours == isValid, "seed \(seed), round \(round): \(bytes)")
                #expect(String(validating: bytes[..<prefix], as: UTF8.self) != nil, "seed \(seed), round \(round)")
                // What is left can go on exactly if some bytes behind it make it valid.
                let rest = Array(bytes[prefix...])
                let tails: [[UInt8]] = [
                    [0x80], [0x80, 0x80], [0x80, 0x80, 0x80], [0xbf], [0xbf, 0xbf], [0xbf, 0xbf, 0xbf],
                ]
                let canContinue = rest.isEmpty || tails.contains { String(validating: rest + $0, as: UTF8.self) != nil }
                let claimed = rest.withUnsafeBytes { raw in
                    raw.baseAddress.map { hs_utf8_can_continue($0, raw.count) } ?? true
                }
                #expect(claimed == canContinue, "seed \(seed), round \(round): \(rest)")
            }
        }
    }

    @Test("Hex is decoded and encoded as a loop does it, and every wrong digit is seen")
    func hex() {
        eachLength(of: Array("0123456789abcdefABCDEF".utf8)) { digits, seed in
            guard let p = digits.baseAddress else { return }
            let n = digits.count / 2
            var ours = [UInt8](repeating: 0, count: n + 1)
            var plain = ours
            let isHex = hs_hex_decode(p, &ours, n)
            #expect(isHex == hs_scalar_hex_decode(p, &plain, n), "\(seed)")
            if isHex { #expect(ours == plain, "\(seed)") }
            #expect(ours[n] == 0, "\(seed)")
            var text = [UInt8](repeating: 0, count: 2 * n + 1)
            var plainText = text
            hs_hex_encode(plain, n, &text)
            hs_scalar_hex_encode(plain, n, &plainText)
            #expect(text == plainText, "\(seed)")

            var (value, plainValue) = (UInt64(0), UInt64(0))
            let count = digits.count % 18
            let fits = hs_hex_quantity(p, count, &value)
            #expect(fits == hs_scalar_hex_quantity(p, count, &plainValue), "\(seed)")
            if fits { #expect(value == plainValue, "\(seed)") }
        }
        for byte in UInt8.min ... .max {
            for place in 0..<64 {
                var digits = [UInt8](repeating: UInt8(ascii: "7"), count: 64)
                digits[place] = byte
                var bytes = [UInt8](repeating: 0, count: 32)
                #expect(hs_hex_32(digits, &bytes) == (hs_hex_value(byte) <= 15), "byte \(byte) at \(place)")
            }
        }
    }

    @Test("A quantity ends at its quote")
    func quantities() {
        for count in 0...18 {
            var bytes = Array(String(repeating: "f", count: count).utf8) + [0x22]
            bytes += [UInt8](repeating: 0x7a, count: 64 - bytes.count)
            var value: UInt64 = 0
            let found = hs_hex_quantity_to_quote(bytes, &value)
            #expect(found == ((1...16).contains(count) ? count : 0))
            if found > 0 { #expect(value == UInt64.max >> UInt64(64 - 4 * count)) }
        }
    }

    @Test("Comparing sees every difference and nothing behind the end")
    func comparing() {
        for count in 0...100 {
            let one = (0..<170).map { UInt8($0) }
            var other = one
            for index in count..<170 { other[index] ^= 0xff }
            #expect(hs_equal_padded(one, other, count) && hs_equal(one, other, count), "\(count) bytes")
            for place in 0..<count {
                other[place] ^= 1
                #expect(!hs_equal_padded(one, other, count) && !hs_equal(one, other, count), "\(place) of \(count)")
                other[place] ^= 1
            }
        }
    }

    @Test("Masking at any offset is what RFC 6455 says, and masks back")
    func masking() {
        eachLength(of: Array(0...255)) { bytes, seed in
            let key: [UInt8] = [0x37, 0xfa, 0x21, 0x3d]
            let word = key.withUnsafeBytes { $0.load(as: UInt32.self) }
            for offset in 0..<5 {
                var masked = Array(bytes)
                let count = masked.count
                masked.withUnsafeMutableBytes { raw in
                    if let p = raw.baseAddress { hs_xor_mask(p, count, word, offset) }
                }
                #expect(masked == bytes.enumerated().map { $1 ^ key[(offset + $0) % 4] }, "\(seed)")
            }
        }
    }
}
