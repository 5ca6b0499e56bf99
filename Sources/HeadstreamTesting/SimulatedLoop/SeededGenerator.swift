/// A small generator whose numbers are a function of its seed: xoshiro256** seeded through SplitMix64, as its authors
/// advise. The same on every platform and in every process; never for secrets.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    public init(seed: UInt64) {
        var mixer = seed
        // SplitMix64 never yields four zeros in a row, the one state xoshiro cannot leave.
        self.state = (
            Self.splitMix(&mixer), Self.splitMix(&mixer), Self.splitMix(&mixer), Self.splitMix(&mixer)
        )
    }

    public mutating func next() -> UInt64 {
        let result = Self.rotate(self.state.1 &* 5, by: 7) &* 9
        let shifted = self.state.1 << 17
        self.state.2 ^= self.state.0
        self.state.3 ^= self.state.1
        self.state.1 ^= self.state.2
        self.state.0 ^= self.state.3
        self.state.2 ^= shifted
        self.state.3 = Self.rotate(self.state.3, by: 45)
        return result
    }

    /// A number from 0 up to but not `bound`; 0 where `bound` is 1 or less.
    ///
    /// The standard library's `random(in:using:)` may change its algorithm between releases; a seed must not.
    public mutating func below(_ bound: Int) -> Int {
        guard bound > 1 else { return 0 }
        return Int(self.next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// One step of SplitMix64: a well-mixed function of a counter.
    static func splitMix(_ state: inout UInt64) -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    private static func rotate(_ value: UInt64, by bits: UInt64) -> UInt64 {
        value << bits | value >> (64 - bits)
    }
}
