/// What an end wants of permessage-deflate (RFC 7692): a client offers it, a server accepts within it.
package struct DeflateOptions: Hashable, Sendable {
    /// The window sizes that RFC 7692 §7.1.2 knows, as powers of two.
    package static let windowBitsRange = 8...15

    /// Whether this end's messages may refer to those it sent before.
    package var sendsWithTakeover: Bool
    /// Whether the peer's messages may refer to those it sent before.
    package var receivesWithTakeover: Bool
    /// The largest window for this end's messages, as a power of two, 8 to 15.
    package var sendWindowBits: Int
    /// The largest window for the peer's messages, as a power of two, 8 to 15.
    package var receiveWindowBits: Int

    package init(
        sendsWithTakeover: Bool = true,
        receivesWithTakeover: Bool = true,
        sendWindowBits: Int = 15,
        receiveWindowBits: Int = 15
    ) {
        self.sendsWithTakeover = sendsWithTakeover
        self.receivesWithTakeover = receivesWithTakeover
        self.sendWindowBits = Self.clamped(sendWindowBits)
        self.receiveWindowBits = Self.clamped(receiveWindowBits)
    }

    private static func clamped(_ bits: Int) -> Int {
        min(max(bits, Self.windowBitsRange.lowerBound), Self.windowBitsRange.upperBound)
    }
}

/// What both ends of a connection agreed on, as this end sees it.
package struct DeflateAgreement: Hashable, Sendable {
    /// Whether this end's messages may refer to those it sent before.
    package let sendsWithTakeover: Bool
    /// Whether the peer's messages may refer to those it sent before.
    package let receivesWithTakeover: Bool
    /// The largest window for this end's messages, as a power of two, 8 to 15.
    package let sendWindowBits: Int
    /// The largest window for the peer's messages, as a power of two, 8 to 15. A peer that looks further back is found out
    /// where what it looks for is gone, which depends on the pieces in which a message comes.
    package let receiveWindowBits: Int

    package init(
        sendsWithTakeover: Bool = true,
        receivesWithTakeover: Bool = true,
        sendWindowBits: Int = 15,
        receiveWindowBits: Int = 15
    ) {
        self.sendsWithTakeover = sendsWithTakeover
        self.receivesWithTakeover = receivesWithTakeover
        self.sendWindowBits = sendWindowBits
        self.receiveWindowBits = receiveWindowBits
    }
}
