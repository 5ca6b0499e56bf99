extension Keccak256 {
    /// The 1600-bit state as 25 lanes, `a00`…`a24` (lane x + 5y), and Keccak-f[1600] unrolled over one round (FIPS 202 §3).
    struct State: Sendable {
        var a00: UInt64 = 0
        var a01: UInt64 = 0
        var a02: UInt64 = 0
        var a03: UInt64 = 0
        var a04: UInt64 = 0
        var a05: UInt64 = 0
        var a06: UInt64 = 0
        var a07: UInt64 = 0
        var a08: UInt64 = 0
        var a09: UInt64 = 0
        var a10: UInt64 = 0
        var a11: UInt64 = 0
        var a12: UInt64 = 0
        var a13: UInt64 = 0
        var a14: UInt64 = 0
        var a15: UInt64 = 0
        var a16: UInt64 = 0
        var a17: UInt64 = 0
        var a18: UInt64 = 0
        var a19: UInt64 = 0
        var a20: UInt64 = 0
        var a21: UInt64 = 0
        var a22: UInt64 = 0
        var a23: UInt64 = 0
        var a24: UInt64 = 0

        /// XORs one block of 136 bytes into the state and permutes it.
        mutating func absorb(_ block: UnsafeRawBufferPointer) {
            guard block.count >= Keccak256.rate else { return }
            self.a00 ^= UInt64(littleEndian: block.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
            self.a01 ^= UInt64(littleEndian: block.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            self.a02 ^= UInt64(littleEndian: block.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
            self.a03 ^= UInt64(littleEndian: block.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
            self.a04 ^= UInt64(littleEndian: block.loadUnaligned(fromByteOffset: 32, as: UInt64.self))
            self.a05 ^= UInt64(littleEndian: block.loadUnaligned(fromByteOffset: 40, as: UInt64.self))
            self.a06 ^= UInt64(littleEndian: block.loadUnaligned(fromByteOffset: 48, as: UInt64.self))
            self.a07 ^= UInt64(littleEndian: block.loadUnaligned(fromByteOffset: 56, as: UInt64.self))
            self.a08 ^= UInt64(littleEndian: block.loadUnaligned(fromByteOffset: 64, as: UInt64.self))
            self.a09 ^= UInt64(littleEndian: block.loadUnaligned(fromByteOffset: 72, as: UInt64.self))
            self.a10 ^= UInt64(littleEndian: block.loadUnaligned(fromByteOffset: 80, as: UInt64.self))
            self.a11 ^= UInt64(littleEndian: block.loadUnaligned(fromByteOffset: 88, as: UInt64.self))
            self.a12 ^= UInt64(littleEndian: block.loadUnaligned(fromByteOffset: 96, as: UInt64.self))
            self.a13 ^= UInt64(littleEndian: block.loadUnaligned(fromByteOffset: 104, as: UInt64.self))
            self.a14 ^= UInt64(littleEndian: block.loadUnaligned(fromByteOffset: 112, as: UInt64.self))
            self.a15 ^= UInt64(littleEndian: block.loadUnaligned(fromByteOffset: 120, as: UInt64.self))
            self.a16 ^= UInt64(littleEndian: block.loadUnaligned(fromByteOffset: 128, as: UInt64.self))
            self.permute()
        }

        mutating func permute() {
            var a00 = self.a00
            var a01 = self.a01
            var a02 = self.a02
            var a03 = self.a03
            var a04 = self.a04
            var a05 = self.a05
            var a06 = self.a06
            var a07 = self.a07
            var a08 = self.a08
            var a09 = self.a09
            var a10 = self.a10
            var a11 = self.a11
            var a12 = self.a12
            var a13 = self.a13
            var a14 = self.a14
            var a15 = self.a15
            var a16 = self.a16
            var a17 = self.a17
            var a18 = self.a18
            var a19 = self.a19
            var a20 = self.a20
            var a21 = self.a21
            var a22 = self.a22
            var a23 = self.a23
            var a24 = self.a24
            Self.roundConstants.withUnsafeBufferPointer { constants in
                for constant in constants {
                    // θ
                    let c0 = a00 ^ a05 ^ a10 ^ a15 ^ a20
                    let c1 = a01 ^ a06 ^ a11 ^ a16 ^ a21
                    let c2 = a02 ^ a07 ^ a12 ^ a17 ^ a22
                    let c3 = a03 ^ a08 ^ a13 ^ a18 ^ a23
                    let c4 = a04 ^ a09 ^ a14 ^ a19 ^ a24
                    let d0 = c4 ^ (c1 &<< 1 | c1 &>> 63)
                    let d1 = c0 ^ (c2 &<< 1 | c2 &>> 63)
                    let d2 = c1 ^ (c3 &<< 1 | c3 &>> 63)
                    let d3 = c2 ^ (c4 &<< 1 | c4 &>> 63)
                    let d4 = c3 ^ (c0 &<< 1 | c0 &>> 63)
                    // ρ and π
                    let e00 = a00 ^ d0
                    let b00 = e00
                    let e01 = a01 ^ d1
                    let b10 = e01 &<< 1 | e01 &>> 63
                    let e02 = a02 ^ d2
                    let b20 = e02 &<< 62 | e02 &>> 2
                    let e03 = a03 ^ d3
                    let b05 = e03 &<< 28 | e03 &>> 36
                    let e04 = a04 ^ d4
                    let b15 = e04 &<< 27 | e04 &>> 37
                    let e05 = a05 ^ d0
                    let b16 = e05 &<< 36 | e05 &>> 28
                    let e06 = a06 ^ d1
                    let b01 = e06 &<< 44 | e06 &>> 20
                    let e07 = a07 ^ d2
                    let b11 = e07 &<< 6 | e07 &>> 58
                    let e08 = a08 ^ d3
                    let b21 = e08 &<< 55 | e08 &>> 9
                    let e09 = a09 ^ d4
                    let b06 = e09 &<< 20 | e09 &>> 44
                    let e10 = a10 ^ d0
                    let b07 = e10 &<< 3 | e10 &>> 61
                    let e11 = a11 ^ d1
                    let b17 = e11 &<< 10 | e11 &>> 54
                    let e12 = a12 ^ d2
                    let b02 = e12 &<< 43 | e12 &>> 21
                    let e13 = a13 ^ d3
                    let b12 = e13 &<< 25 | e13 &>> 39
                    let e14 = a14 ^ d4
                    let b22 = e14 &<< 39 | e14 &>> 25
                    let e15 = a15 ^ d0
                    let b23 = e15 &<< 41 | e15 &>> 23
                    let e16 = a16 ^ d1
                    let b08 = e16 &<< 45 | e16 &>> 19
                    let e17 = a17 ^ d2
                    let b18 = e17 &<< 15 | e17 &>> 49
                    let e18 = a18 ^ d3
                    let b03 = e18 &<< 21 | e18 &>> 43
                    let e19 = a19 ^ d4
                    let b13 = e19 &<< 8 | e19 &>> 56
                    let e20 = a20 ^ d0
                    let b14 = e20 &<< 18 | e20 &>> 46
                    let e21 = a21 ^ d1
                    let b24 = e21 &<< 2 | e21 &>> 62
                    let e22 = a22 ^ d2
                    let b09 = e22 &<< 61 | e22 &>> 3
                    let e23 = a23 ^ d3
                    let b19 = e23 &<< 56 | e23 &>> 8
                    let e24 = a24 ^ d4
                    let b04 = e24 &<< 14 | e24 &>> 50
                    // χ and ι
                    a00 = b00 ^ (~b01 & b02) ^ constant
                    a01 = b01 ^ (~b02 & b03)
                    a02 = b02 ^ (~b03 & b04)
                    a03 = b03 ^ (~b04 & b00)
                    a04 = b04 ^ (~b00 & b01)
                    a05 = b05 ^ (~b06 & b07)
                    a06 = b06 ^ (~b07 & b08)
                    a07 = b07 ^ (~b08 & b09)
                    a08 = b08 ^ (~b09 & b05)
                    a09 = b09 ^ (~b05 & b06)
                    a10 = b10 ^ (~b11 & b12)
                    a11 = b11 ^ (~b12 & b13)
                    a12 = b12 ^ (~b13 & b14)
                    a13 = b13 ^ (~b14 & b10)
                    a14 = b14 ^ (~b10 & b11)
                    a15 = b15 ^ (~b16 & b17)
                    a16 = b16 ^ (~b17 & b18)
                    a17 = b17 ^ (~b18 & b19)
                    a18 = b18 ^ (~b19 & b15)
                    a19 = b19 ^ (~b15 & b16)
                    a20 = b20 ^ (~b21 & b22)
                    a21 = b21 ^ (~b22 & b23)
                    a22 = b22 ^ (~b23 & b24)
                    a23 = b23 ^ (~b24 & b20)
                    a24 = b24 ^ (~b20 & b21)
                }
            }
            self.a00 = a00
            self.a01 = a01
            self.a02 = a02
            self.a03 = a03
            self.a04 = a04
            self.a05 = a05
            self.a06 = a06
            self.a07 = a07
            self.a08 = a08
            self.a09 = a09
            self.a10 = a10
            self.a11 = a11
            self.a12 = a12
            self.a13 = a13
            self.a14 = a14
            self.a15 = a15
            self.a16 = a16
            self.a17 = a17
            self.a18 = a18
            self.a19 = a19
            self.a20 = a20
            self.a21 = a21
            self.a22 = a22
            self.a23 = a23
            self.a24 = a24
        }

        private static let roundConstants: [UInt64] = [
            0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
            0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
            0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
            0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
            0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
            0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
        ]
    }
}
