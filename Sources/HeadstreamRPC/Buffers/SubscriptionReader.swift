/// A consumer's side of a ``SubscriptionBuffer``: takes notifications from its own arena, and swaps when it is empty.
///
/// It belongs to one task at a time. Taking what is there is synchronous and touches nothing shared.
package struct SubscriptionReader: ~Copyable {
    package let buffer: SubscriptionBuffer
    private var arena = Arena()

    package init(_ buffer: SubscriptionBuffer) {
        self.buffer = buffer
    }

    /// The next notification of the batch in hand; valid until the next call. 64 readable bytes follow it.
    package mutating func next() -> UnsafeRawBufferPointer? {
        guard let record = self.arena.first else { return nil }
        self.arena.removeFirst()
        return record
    }

    /// Notifications that were lost at this place of the stream; told once.
    package mutating func takeLoss() -> (count: UInt64, records: LostRecords?)? {
        guard self.arena.lost > 0 else { return nil }
        return self.arena.takeLoss()
    }

    /// Whether anything is left of the batch in hand: notifications, or a loss to tell.
    package var hasMore: Bool { self.arena.countAndLost > 0 }

    /// How many notifications are in hand.
    package var count: Int { self.arena.count }

    /// Swaps the drained batch for the filled one.
    package mutating func refill() -> SubscriptionBuffer.Refill {
        self.buffer.refill(&self.arena)
    }
}
