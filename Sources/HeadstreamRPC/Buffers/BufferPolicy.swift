/// What happens when a subscription's buffer is full because its consumer is slow.
///
/// Whatever is chosen, memory stays within the limit and a loss is told: by an error that ends the stream
/// (``fail``), by `.lagged` among the updates and a metric (``dropOldest``, ``dropNewest``, ``coalesce``), or there is
/// none (``suspendReading``).
public enum BufferPolicy: Hashable, Sendable {
    /// What is buffered is still delivered, then the stream ends with an error. The default.
    case fail
    /// The oldest notifications that are buffered give way to new ones.
    case dropOldest
    /// New notifications are dropped until the consumer has taken those that are buffered.
    case dropNewest
    /// All that is buffered gives way to the newest notification, which alone is kept: for states of which only the
    /// last one matters. With a small buffer limit a slow consumer jumps to the newest soon.
    case coalesce
    /// The connection is not read until the consumer has caught up, so that the node is held back by TCP.
    ///
    /// It pauses everything on the connection, answers and pings included: a node may cut a connection that is not
    /// read (geth after 10 s of blocked write). For consumers that are slow for moments only, and for measurements.
    case suspendReading
}
