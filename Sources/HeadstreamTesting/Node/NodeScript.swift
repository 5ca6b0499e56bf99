import HeadstreamSockets

/// What a ``TestNode`` does on one client's connection, as a state machine without I/O: a recording that is played, or a
/// chain that is spoken for.
protocol NodeScript: Sendable {
    /// What the client asked for and cannot have, for the messages of tests.
    var problems: [String] { get }

    /// The client's connection stands.
    mutating func opened(now: LoopInstant)

    /// The client's connection is gone.
    mutating func closed()

    /// Takes a message of the client and returns what answers it.
    mutating func received(_ message: WireMessage, now: LoopInstant) -> [[UInt8]]

    /// What the node does by itself. Ask again after each message sent, after each fact, and when the time of a
    /// ``ReplayAction/wait(until:)`` has come.
    mutating func nextAction(now: LoopInstant) -> ReplayAction

    /// Ends the client's subscriptions and returns what tells it so.
    mutating func endSubscriptions() -> [[UInt8]]

    /// The chain that the node stands on has changed.
    mutating func told(_ notifications: [ChainNotification])
}

extension ReplayScript: NodeScript {
    /// A recording has its own.
    mutating func told(_ notifications: [ChainNotification]) {}
}
