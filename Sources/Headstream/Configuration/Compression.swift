package import HeadstreamWebSocket

/// Whether messages may be compressed on the wire (permessage-deflate, RFC 7692); see ``Configuration/compression``.
public struct Compression: Hashable, Sendable {
    /// What the client offers to the node; nil for nothing.
    package let offer: DeflateOptions?
    /// Requests of fewer bytes go out as they are.
    package let threshold: Int

    /// No compression: the fastest, and the default.
    public static let off = Compression(offer: nil, threshold: .max)

    /// Offers permessage-deflate to the node, which may decline it: then nothing is compressed.
    ///
    /// It saves traffic, about three quarters for heads and four fifths for logs, and inflating costs several times what
    /// reading the message does. A message's output counts against ``Configuration/maxMessageSize`` while it is inflated.
    /// IPC has no compression.
    ///
    /// - Parameters:
    ///   - contextTakeover: whether a message may refer to those before it, in both directions. It makes small messages
    ///     much smaller, and keeps a window in memory: up to 40 KB for what is received, and from the first compressed
    ///     request on up to 260 KB for what is sent.
    ///   - windowBits: the largest window in both directions, as a power of two, 9 to 15; what is outside counts as the
    ///     nearest of them.
    ///   - requestThreshold: requests of fewer bytes are sent as they are; most requests do not gain.
    public static func deflate(
        contextTakeover: Bool = true,
        windowBits: Int = 15,
        requestThreshold: Int = 1024
    ) -> Compression {
        let bits = min(max(windowBits, 9), 15)
        return Compression(
            offer: DeflateOptions(
                sendsWithTakeover: contextTakeover,
                receivesWithTakeover: contextTakeover,
                sendWindowBits: bits,
                receiveWindowBits: bits
            ),
            threshold: max(0, requestThreshold)
        )
    }
}
