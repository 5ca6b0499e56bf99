/// How one subscription's consumer keeps up, at one moment.
package struct SubscriptionStatistics: Sendable {
    package var local: LocalSubscriptionID
    package var kind: String
    package var policy: BufferPolicy
    package var priority: BufferPriority
    package var depth: SubscriptionBuffer.Depth
    /// In bytes, as is the limit.
    package var highWater: Int
    package var limit: Int
    package var lost: UInt64
    package var pauses: UInt64
}

extension RequestProcessor {
    /// The active subscriptions, in the order they were made.
    package var subscriptionStatistics: [SubscriptionStatistics] {
        self.table.sorted().map { slot in
            let buffer = slot.pointee.buffer
            let held = SubscriptionBuffer.Depth(count: slot.pointee.arena.count, bytes: slot.pointee.arena.byteCount)
            let (depth, highWater) = buffer.depth(held: held)
            return SubscriptionStatistics(
                local: slot.pointee.local,
                kind: buffer.kind,
                policy: buffer.policy,
                priority: buffer.priority,
                depth: depth,
                highWater: highWater,
                limit: buffer.limit,
                lost: slot.pointee.lost,
                pauses: slot.pointee.pauses
            )
        }
    }
}
