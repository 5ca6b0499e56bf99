/// What happens on a stream, in order: its items, and what a consumer that keeps books must know between them.
///
/// More cases come with further versions; let a `default` take what you do not know.
public enum SubscriptionUpdate<Item: Sendable>: Sendable {
    /// A notification.
    case item(Item)
    /// So many notifications were dropped here, between the item before and the next one, because the consumer was
    /// slow and its policy drops.
    ///
    /// `blocks` spans the blocks of the first and the last of them, where the items tell their block: what to ask the
    /// node for, to fill the hole.
    case lagged(count: UInt64, blocks: ClosedRange<UInt64>?)
    /// A notification that could not be read; the error names field and value. The stream goes on.
    case undecodable(Web3Error)
    /// The connection is lost: what happens from here to ``reconnected`` and a moment longer is missed. It is made anew, and
    /// the subscription with it. The plain sequence throws here, and goes on when it is asked again.
    case disconnected(Web3Error)
    /// The connection stands again, and the subscription is being made anew.
    case reconnected
    /// The node refused to make the subscription anew; it is tried again.
    case refused(Web3Error)
}

extension SubscriptionUpdate: Equatable where Item: Equatable {}
