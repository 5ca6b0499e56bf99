/// The loop's side of one subscription: where its notifications go.
///
/// Slots live at fixed places, each with its server's id behind it, and are reached by pointer, so that routing a
/// notification touches no reference count and few cache lines. ``SubscriptionTable`` makes and frees them.
struct SubscriptionSlot: ~Copyable {
    /// Another subscription to which the server gave the same id (Solana, for equal requests), and the one before.
    var sibling: UnsafeMutablePointer<SubscriptionSlot>?
    var previousSibling: UnsafeMutablePointer<SubscriptionSlot>?
    /// The id the server gave, without quotes; it lives as long as the slot.
    let serverID: UnsafeRawBufferPointer
    /// What the filling arena may hold, in bytes, for results that go straight into it: 0 where whole messages are
    /// kept, so that they take the careful way and the usual one has nothing to ask.
    let resultLimit: Int
    /// The filling arena, while this side has it.
    var arena = Arena()
    var holdsArena = false
    /// Reading is to pause until the consumer has drained.
    var isFull = false
    /// Whether the server's id is a JSON string.
    let serverIDIsQuoted: Bool
    /// Its place among the slots to be published, while it holds its arena.
    var filledIndex = 0
    let hash: UInt64

    /// What the filling arena may hold, in bytes.
    let arenaLimit: Int
    /// How often the server has acknowledged a subscription with this id; the first of the siblings knows.
    var shares = 1
    let local: LocalSubscriptionID
    let methods: SubscriptionMethods
    let buffer: SubscriptionBuffer

    init(
        local: LocalSubscriptionID,
        methods: SubscriptionMethods,
        buffer: SubscriptionBuffer,
        serverID: UnsafeRawBufferPointer,
        serverIDIsQuoted: Bool,
        hash: UInt64
    ) {
        self.local = local
        self.methods = methods
        self.buffer = buffer
        self.arenaLimit = buffer.limit / 2
        self.resultLimit = methods.keepsMessages ? 0 : self.arenaLimit
        self.serverID = serverID
        self.serverIDIsQuoted = serverIDIsQuoted
        self.hash = hash
    }

    /// Whether its records are whole messages and not their results.
    var keepsMessages: Bool { self.resultLimit == 0 }

    /// What became of a notification.
    enum Delivery {
        case stored
        /// Stored, and so many older ones gave way (`.dropOldest`).
        case storedInPlaceOf(Int)
        /// Stored beyond the limit: the connection is to stop reading (`.suspendReading`).
        case storedButFull
        /// Not stored; the subscription is to end (`.fail`).
        case overflowed
        /// Not stored, and the loss is noted in the arena.
        case lost
    }

    /// Copies a notification into the filling arena, as the policy has it where that is full.
    mutating func deliver(_ bytes: UnsafeRawBufferPointer) -> Delivery {
        let limit = self.arenaLimit
        if self.arena.append(bytes, limit: limit) { return .stored }
        switch self.buffer.policy {
        case .fail:
            return .overflowed
        case .dropOldest:
            guard let gone = self.arena.makeRoom(forRecord: bytes.count, limit: limit),
                self.arena.append(bytes, limit: limit)
            else {
                self.arena.lost &+= 1
                return .lost
            }
            return .storedInPlaceOf(gone)
        case .suspendReading:
            // What one read brought is taken in full; the next read waits for the consumer.
            guard self.arena.append(bytes, limit: .max) else { return .overflowed }
            return .storedButFull
        }
    }
}
