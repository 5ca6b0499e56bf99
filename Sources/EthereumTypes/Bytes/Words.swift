/// Eight 64-bit words in memory order: 64 bytes without a heap object.
///
/// The building block of ``Bytes`` and ``Bloom``; a language-level inline array needs a newer system than this package.
package struct Words8: Hashable, Sendable {
    package var w0: UInt64 = 0
    package var w1: UInt64 = 0
    package var w2: UInt64 = 0
    package var w3: UInt64 = 0
    package var w4: UInt64 = 0
    package var w5: UInt64 = 0
    package var w6: UInt64 = 0
    package var w7: UInt64 = 0

    package init() {}
}
