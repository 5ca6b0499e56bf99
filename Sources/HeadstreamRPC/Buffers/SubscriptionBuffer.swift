import HeadstreamLocks
import Synchronization

/// What lies between the loop and one consumer: two arenas of bytes that swap places.
///
/// The loop copies notifications into the *filling* arena; a consumer that has drained its own swaps the two. The lock
/// guards pointers and flags only: the loop takes the filling arena out at a read's first notification
/// (``takeFilling()``), copies without the lock and puts it back at the read's end; nothing is decoded, resumed or released
/// under it. So a read costs one lock operation on each side, however many notifications it brings.
///
/// Of ``limit``, half belongs to the arena being filled and half to the one being drained.
package final class SubscriptionBuffer: Sendable {
    /// How a stream ends when no more notifications come.
    package enum End: Sendable {
        /// By the consumer's own act: unsubscribed, or the replay is over.
        case finished
        /// By an error, told after what was buffered.
        case failed(RPCError)
    }

    /// What a refill found.
    package enum Refill: Sendable {
        /// The arena now holds at least one record, or tells a loss.
        /// `resumesReading` asks the consumer to let the connection read again.
        case filled(resumesReading: Bool)
        /// Nothing is there; wait with ``wait()``.
        case empty
        /// Nothing is left and nothing will come.
        case ended(End)
    }

    private struct Shared: AwaitedState, ~Copyable {
        /// Absent while the loop has it.
        var filling: Arena?
        var consumer: SuspendedConsumer?
        var end: End?
        var isPausing = false
        /// What the consumer took last, and may still have in hand.
        var taken = Depth()
        var highWater = 0

        /// What the loop has in hand is told when it puts it back, and before an end.
        var isReady: Bool {
            switch self.filling {
            case .some(let arena): arena.countAndLost > 0 || self.end != nil
            case nil: false
            }
        }
    }

    /// How much waits for the consumer.
    package struct Depth: Hashable, Sendable {
        package var count = 0
        /// In bytes.
        package var bytes = 0
    }

    /// The most bytes that the two arenas hold together.
    package let limit: Int
    package let policy: BufferPolicy
    package let priority: BufferPriority
    /// What is subscribed to, for metrics and warnings.
    package let kind: String
    private let budget: BufferBudget?
    /// Told on the loop when something was published, where the session itself is the consumer.
    private let observer: (@Sendable () -> Void)?
    /// Bytes of the budget that the arenas of this buffer take, wherever they are.
    private let accounted = Atomic(0)
    private let shared: Locked<Shared>

    /// - Parameters:
    ///   - limit: bytes, at least 8192 (smaller values are raised to it).
    ///   - budget: what this buffer and others may take together.
    package init(
        limit: Int,
        policy: BufferPolicy,
        priority: BufferPriority = .normal,
        kind: String = "",
        budget: BufferBudget? = nil,
        observer: (@Sendable () -> Void)? = nil
    ) {
        self.limit = max(limit, 8192)
        self.policy = policy
        self.priority = priority
        self.kind = kind
        self.budget = budget
        self.observer = observer
        self.shared = Locked(Shared(filling: Arena()))
    }

    deinit {
        self.budget?.giveBack(self.accounted.load(ordering: .relaxed))
    }

    /// An arena of this buffer has grown, or shrunk, by so many bytes.
    func account(_ bytes: Int) {
        guard bytes != 0, let budget = self.budget else { return }
        self.accounted.add(bytes, ordering: .relaxed)
        budget.take(bytes)
    }

    /// By how much an arena may grow.
    var room: Int { self.budget?.room ?? .max }

    // MARK: The loop's side

    /// Takes the arena to be filled; the loop puts it back with ``publish(_:isPausing:)``.
    package func takeFilling() -> Arena {
        self.shared.withLock { shared in
            var taken: Arena? = nil
            swap(&taken, &shared.filling)
            return taken ?? Arena()
        }
    }

    /// Puts the filled arena back and returns the consumer that waits for it, to be resumed without the lock.
    package func publish(_ arena: consuming Arena, isPausing: Bool) -> SuspendedConsumer? {
        let bytes = arena.byteCount
        var arena: Arena? = consume arena
        let consumer: SuspendedConsumer? = self.shared.withLock { shared in
            swap(&arena, &shared.filling)
            shared.highWater = max(shared.highWater, bytes + shared.taken.bytes)
            shared.isPausing = shared.isPausing || isPausing
            return shared.takeConsumer()
        }
        self.observer?()
        return consumer
    }

    /// Puts a record that is no notification behind what is buffered, whatever the limit: markers are short and few. On
    /// the loop, while it does not hold the arena.
    ///
    /// - Returns: the consumer that waits, to be resumed without the lock.
    package func append(marker: [UInt8]) -> SuspendedConsumer? {
        var arena = self.takeFilling()
        let capacity = arena.capacity
        // Behind losses that are told last there is no place, and behind a consumer that never comes they must not pile up:
        // what is there already says as much.
        if !arena.isClosed, arena.byteCount < self.limit {
            _ = marker.withUnsafeBytes { arena.append($0, limit: .max) }
        }
        self.account(arena.capacity - capacity)
        return self.publish(arena, isPausing: false)
    }

    /// Ends the stream behind what is buffered; the first end counts. From any thread.
    ///
    /// - Returns: the consumer that waits, to be resumed without the lock.
    package func finish(_ end: End) -> SuspendedConsumer? {
        self.shared.withLock { shared in
            if shared.end == nil { shared.end = end }
            return shared.takeConsumer()
        }
    }

    /// Whether the consumer has yet to drain what made the loop stop reading.
    package var isPausing: Bool {
        self.shared.withLock { $0.isPausing }
    }

    /// How much waits, what the consumer took last counted until it asks for more; and the most bytes that ever did.
    ///
    /// - Parameter held: what the loop has taken out at the moment.
    package func depth(held: Depth) -> (now: Depth, highWater: Int) {
        self.shared.withLock { shared in
            let count = shared.filling?.count ?? held.count
            let bytes = shared.filling?.byteCount ?? held.bytes
            let now = Depth(count: count + shared.taken.count, bytes: bytes + shared.taken.bytes)
            return (now, max(shared.highWater, now.bytes))
        }
    }

    // MARK: The consumer's side

    /// Swaps the consumer's drained arena for the filled one.
    package func refill(_ drained: inout Arena) -> Refill {
        let capacity = drained.capacity
        drained.recycle(isTight: self.budget?.isTight ?? false)
        self.account(drained.capacity - capacity)
        return self.shared.withLock { shared in
            shared.taken = Depth()
            if let count = shared.filling?.countAndLost, count > 0 {
                Self.exchange(&drained, &shared.filling)
                shared.taken = Depth(count: drained.count, bytes: drained.byteCount)
                let resumes = shared.isPausing
                shared.isPausing = false
                return .filled(resumesReading: resumes)
            }
            if shared.filling != nil, let end = shared.end { return .ended(end) }
            return .empty
        }
    }

    private static func exchange(_ arena: inout Arena, _ other: inout Arena?) {
        guard var taken = other.take() else { return }
        swap(&arena, &taken)
        other = consume taken
    }

    /// Suspends until there is something to refill with, the stream has ended or the task is cancelled.
    ///
    /// One consumer may wait at a time; a second one makes the first return.
    package func wait() async {
        await self.shared.waitUntilReady()
    }
}
