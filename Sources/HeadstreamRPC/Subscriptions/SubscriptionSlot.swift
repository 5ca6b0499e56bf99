/// The loop's side of one subscription: where its notifications go.
///
/// Slots live at fixed places, each with its server's id behind it, and are reached by pointer, so that routing a
/// notification touches no reference count and few cache lines. ``SubscriptionTable`` makes and frees them.
struct SubscriptionSlot: ~Copyable {
    /// Another subscription of the same server's id, and the one before: one that shares the server's subscription, or
    /// that the server itself gave the same id (Solana, for equal requests).
    var sibling: UnsafeMutablePointer<SubscriptionSlot>?
    var previousSibling: UnsafeMutablePointer<SubscriptionSlot>?
    /// The id the server gave, without quotes; it lives as long as the slot.
    let serverID: UnsafeRawBufferPointer
    /// What the filling arena may hold, in bytes, for results that go straight into it: 0 where whole messages are
    /// kept and while the arena takes nothing, so that they take the careful way and the usual one has nothing to ask.
    var resultLimit = 0
    /// The filling arena, while this side has it.
    var arena = Arena()
    var holdsArena = false
    /// Reading is to pause until the consumer has drained.
    var isFull = false
    /// Its depth was told to be beyond the threshold of warnings, and has not fallen since.
    var isWarned = false
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
    /// What it was asked for by, where it may be shared.
    let key: SubscriptionKey?
    let buffer: SubscriptionBuffer
    /// Notifications that were dropped.
    var lost: UInt64 = 0
    /// How often it made the connection stop reading.
    var pauses: UInt64 = 0

    init(
        _ request: SubscribeRequest,
        serverID: UnsafeRawBufferPointer,
        serverIDIsQuoted: Bool,
        hash: UInt64
    ) {
        self.local = request.local
        self.methods = request.methods
        self.key = request.key
        self.buffer = request.buffer
        self.arenaLimit = request.buffer.limit / 2
        self.serverID = serverID
        self.serverIDIsQuoted = serverIDIsQuoted
        self.hash = hash
    }

    /// Whether its records are whole messages and not their results.
    var keepsMessages: Bool { self.methods.keepsMessages }

    /// Takes the filling arena out of the buffer.
    mutating func takeArena() {
        self.arena = self.buffer.takeFilling()
        self.holdsArena = true
        self.resultLimit = self.arena.isClosed || self.keepsMessages ? 0 : self.arenaLimit
        // What was there is taken: a warning may come again.
        if self.isWarned, self.arena.count == 0 { self.isWarned = false }
    }

    /// What became of a notification.
    enum Delivery {
        case stored
        /// Stored, and so many older ones gave way (`.dropOldest`, `.coalesce`).
        case storedInPlaceOf(Int)
        /// Stored beyond the limit: the connection is to stop reading (`.suspendReading`).
        case storedButFull
        /// Not stored; the subscription is to end (`.fail`).
        case overflowed
        /// Not stored, and the loss is noted in the arena, beside so many in all.
        case lost(Int)
        /// Not stored: its own limit would allow it, what all buffers may take together does not.
        case needsRoom
    }

    /// Copies a notification into the filling arena, as the policy has it where that is full.
    ///
    /// - Parameter mayAskForRoom: whether the answer may be ``Delivery/needsRoom``.
    mutating func deliver(_ bytes: UnsafeRawBufferPointer, mayAskForRoom: Bool) -> Delivery {
        let capacity = self.arena.capacity
        defer { self.buffer.account(self.arena.capacity - capacity) }
        let (blockLimit, overflow) = capacity.addingReportingOverflow(self.buffer.room)
        let limit = min(self.arenaLimit, overflow ? .max : blockLimit)
        if !self.arena.isClosed {
            if self.arena.append(bytes, limit: limit) { return .stored }
            let size = Arena.size(ofRecord: bytes.count)
            if mayAskForRoom, limit < self.arenaLimit, self.arena.byteCount + size <= self.arenaLimit {
                return .needsRoom
            }
        }
        switch self.buffer.policy {
        case .fail:
            return .overflowed
        case .dropOldest:
            guard let gone = self.arena.makeRoom(forRecord: bytes.count, limit: limit),
                self.arena.append(bytes, limit: limit)
            else {
                self.arena.lose(bytes)
                return .lost(1)
            }
            return .storedInPlaceOf(gone)
        case .dropNewest:
            self.arena.close(losing: bytes)
            self.resultLimit = 0
            return .lost(1)
        case .coalesce:
            let gone = self.arena.loseAll()
            guard self.arena.append(bytes, limit: limit) else {
                self.arena.lose(bytes)
                return .lost(gone + 1)
            }
            return .storedInPlaceOf(gone)
        case .suspendReading:
            // What one read brought is taken in full; the next read waits for the consumer.
            guard self.arena.append(bytes, limit: .max) else { return .overflowed }
            return .storedButFull
        }
    }

    /// Lets everything in the filling arena go, and its memory, for the sake of others.
    ///
    /// - Returns: how many notifications were lost.
    mutating func giveWay() -> Int {
        let capacity = self.arena.capacity
        let gone = self.arena.loseAll(closing: self.buffer.policy == .dropNewest)
        self.arena.releaseBlock()
        self.buffer.account(self.arena.capacity - capacity)
        if self.arena.isClosed { self.resultLimit = 0 }
        self.lost &+= UInt64(gone)
        return gone
    }
}
