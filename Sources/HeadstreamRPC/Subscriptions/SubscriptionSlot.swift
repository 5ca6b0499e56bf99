/// The loop's side of one subscription: where its notifications go.
///
/// Slots live at fixed places and are reached by pointer, so that routing a notification touches no reference count.
struct SubscriptionSlot: ~Copyable {
    let local: LocalSubscriptionID
    let methods: SubscriptionMethods
    let buffer: SubscriptionBuffer
    /// The id the server gave, without quotes, and whether it is a JSON string.
    let serverID: [UInt8]
    let serverIDIsQuoted: Bool
    let hash: UInt64

    /// The filling arena, while this side has it.
    var arena = Arena()
    var holdsArena = false
    /// Reading is to pause until the consumer has drained.
    var isFull = false
    /// No more is taken: it overflowed and its policy is `.fail`.
    var isEnding = false
    /// Another subscription to which the server gave the same id (Solana, for equal requests).
    var sibling: UnsafeMutablePointer<SubscriptionSlot>?

    init(
        local: LocalSubscriptionID,
        methods: SubscriptionMethods,
        buffer: SubscriptionBuffer,
        serverID: [UInt8],
        serverIDIsQuoted: Bool,
        hash: UInt64
    ) {
        self.local = local
        self.methods = methods
        self.buffer = buffer
        self.serverID = serverID
        self.serverIDIsQuoted = serverIDIsQuoted
        self.hash = hash
    }

    /// What became of a notification.
    enum Delivery {
        case stored
        /// Stored beyond the limit: the connection is to stop reading (`.suspendReading`).
        case storedButFull
        /// Not stored; the subscription is to end (`.fail`).
        case overflowed
        /// Not stored, and the loss is noted in the arena.
        case lost
    }

    /// Copies a notification into the filling arena.
    @inline(__always)
    mutating func deliver(_ bytes: UnsafeRawBufferPointer) -> Delivery {
        if self.arena.append(bytes, limit: self.buffer.limit / 2) { return .stored }
        return self.deliverToFull(bytes)
    }

    @inline(never)
    private mutating func deliverToFull(_ bytes: UnsafeRawBufferPointer) -> Delivery {
        let limit = self.buffer.limit / 2
        switch self.buffer.policy {
        case .fail:
            return .overflowed
        case .dropOldest:
            guard self.arena.makeRoom(forRecord: bytes.count, limit: limit) != nil,
                self.arena.append(bytes, limit: limit)
            else {
                self.arena.lost &+= 1
                return .lost
            }
            return .stored
        case .suspendReading:
            // What one read brought is taken in full; the next read waits for the consumer.
            guard self.arena.append(bytes, limit: .max) else { return .overflowed }
            return .storedButFull
        }
    }
}
