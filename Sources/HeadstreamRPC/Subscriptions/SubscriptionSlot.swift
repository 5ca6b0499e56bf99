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
        /// Stored, and so many older ones gave way (`.dropOldest`).
        case storedInPlaceOf(Int)
        /// Stored beyond the limit: the connection is to stop reading (`.suspendReading`).
        case storedButFull
        /// Not stored, and the loss is noted in the arena.
        case lost
        /// Not stored; the subscription is to end (`.fail`).
        case overflowed
    }

    /// Copies a notification into the filling arena if there is room for it.
    @inline(__always)
    mutating func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
        self.arena.append(bytes, limit: self.buffer.limit / 2)
    }

    /// Copies a notification into the filling arena, or does what the policy says where it is full.
    mutating func deliver(_ bytes: UnsafeRawBufferPointer) -> Delivery {
        if self.append(bytes) { return .stored }
        switch self.buffer.policy {
        case .fail:
            return .overflowed
        case .dropOldest:
            guard let gone = self.arena.makeRoom(forRecord: bytes.count, limit: self.buffer.limit / 2),
                self.append(bytes)
            else {
                self.arena.lost &+= 1
                return .lost
            }
            return .storedInPlaceOf(gone)
        case .suspendReading:
            // What one read brought is taken in full; the next read waits for the consumer.
            return self.arena.append(bytes, limit: .max) ? .storedButFull : .overflowed
        }
    }
}
