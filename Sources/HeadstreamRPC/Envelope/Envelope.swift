/// What a JSON-RPC message is, by the places of its parts: nothing is decoded.
///
/// Places are offsets into the message (JSON-RPC 2.0 §4, §5; notifications of subscriptions as geth's pub/sub has
/// them, `params.subscription` and `params.result`, with the names that other chains' nodes use in their place).
package struct Envelope: Equatable {
    /// The `id` member.
    package enum ID: Equatable {
        case absent
        case null
        /// A whole number, or a string that holds one: some servers echo `1` as `"1"`.
        case number(UInt64)
        /// Anything else, which is none of ours.
        case other
    }

    package var id = ID.absent
    /// The text of `id`, without quotes.
    package var idPlace: Range<Int>?
    /// The text of `method`, without quotes.
    package var method: Range<Int>?
    /// The text of `params.subscription`, without quotes; or of `params.subscription_id`, as Starknet's nodes call it.
    package var subscription: Range<Int>?
    /// `params.result`.
    package var notification: Range<Int>?
    /// `params.error`: the server ends a subscription.
    package var notificationError: Range<Int>?
    /// `result`.
    package var result: Range<Int>?
    /// `error`, unless it is null.
    package var error: Range<Int>?
    /// What the message takes, from its `{` to behind its `}`.
    package var bounds = 0..<0

    package var hasMethod: Bool { self.method != nil }
}

/// Why a message is not an envelope.
package struct EnvelopeError: Error, Equatable, CustomStringConvertible {
    package var offset: Int
    package var reason: String

    package var description: String {
        "malformed JSON-RPC message at byte \(self.offset): \(self.reason)"
    }
}
