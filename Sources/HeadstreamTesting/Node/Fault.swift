/// What can go wrong between a node and its clients.
public enum Fault: Sendable, Hashable {
    /// The connection ends in front of the message, without a word.
    case cut
    /// The connection ends in the middle of the message's frame.
    case tear
    /// From the message on nothing is sent or read any more, and the connection stays: a half-open one.
    case freeze
    /// The message, and everything behind it, comes later, by a time drawn from zero up to this.
    case delay(upTo: Duration)
    /// The message is lost.
    case drop
    /// The message comes twice.
    case duplicate
    /// The message comes behind the next one.
    case reorder
    /// Behind the message comes an error that belongs to no request.
    case strayError
    /// Behind the message the connection's subscriptions end, and the client is told so.
    case endSubscriptions
    /// Behind the message the connection's subscriptions end, and the client is not told.
    case forgetSubscriptions
    /// A client that connects is turned away. This one meets connections, not messages.
    case refuse
}
