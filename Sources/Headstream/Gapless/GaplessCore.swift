import EthereumTypes
import HeadstreamLocks

/// What gapless sequences are made of: a client, and what is wanted of it.
struct GaplessSource: Sendable {
    let session: Session
    var wish: GaplessWish

    func toldFinality(_ isTold: Bool) -> Self {
        var source = self
        source.wish.isToldFinality = isTold
        return source
    }
}

/// The right to a place among the session's gapless consumers, given up by letting go of it. It keeps the session alive.
final class GaplessLease: Sendable {
    let session: Session
    let feed: GaplessFeed
    private let consumer = Locked<ConsumerID?>(nil)

    init(_ source: GaplessSource) {
        self.session = source.session
        self.feed = GaplessFeed()
        let (feed, wish) = (self.feed, source.wish)
        self.session.onLoop { [weak self] session in
            guard let self else { return }
            let id = session.engine(limit: wish.continuity.limit).join(feed, wish)
            self.consumer.withLock { $0 = id }
        }
    }

    deinit {
        guard let id = self.consumer.withLock({ $0 }) else { return }
        self.session.endGapless(id)
    }

    func hasRoomAgain() {
        guard let id = self.consumer.withLock({ $0 }) else { return }
        self.session.onLoop { $0.continuityEngine?.resume(id) }
    }
}

/// What every gapless iterator is made of. It belongs to one task at a time.
final class GaplessCore<Item: Sendable> {
    private enum State {
        case cold(GaplessSource)
        case running(GaplessLease)
        case finished
    }

    private var state: State
    private var batch: [GaplessFeed.Update] = []
    private var next = 0
    // What each item goes through is not checked for overlapping accesses at run time: one task has it at a time, and no
    // access lasts beyond a call.
    /// Items that came together, and the place of the next.
    @exclusivity(unchecked) private var hand: ArraySlice<Item> = []
    @exclusivity(unchecked) private var nextInHand = 0
    private var isSuspended = false

    init(_ source: GaplessSource) {
        self.state = .cold(source)
    }

    /// Puts items in hand: ``nextItem()`` gives them, before anything else is asked for.
    func hold(_ items: ArraySlice<Item>) {
        self.hand = items
        self.nextInHand = items.startIndex
    }

    var hasItem: Bool { self.nextInHand < self.hand.endIndex }

    /// The next of the items in hand; nil where there is none.
    @inline(__always)
    func nextItem() -> Item? {
        guard self.hasItem else { return nil }
        defer { self.nextInHand += 1 }
        return self.hand[self.nextInHand]
    }

    /// The same into an empty item; false where there is none. What a function returns is copied on its way.
    @inline(__always)
    func takeItem(into item: inout Item) -> Bool {
        guard self.hasItem else { return false }
        // By pointers it is one copy; an assignment makes three. Nothing is to be released of what is empty.
        return self.hand.withUnsafeBufferPointer { items in
            guard let first = items.baseAddress else { return false }
            withUnsafeMutablePointer(to: &item) {
                $0.initialize(from: first + (self.nextInHand - self.hand.startIndex), count: 1)
            }
            self.nextInHand += 1
            return true
        }
    }

    /// The next update; nil at the end, or when the task is cancelled. Where it is there it is taken without another
    /// asynchronous call.
    @inline(__always)
    func nextUpdate() async throws(Web3Error) -> GaplessFeed.Update? {
        if let update = self.nextBuffered() { return update }
        return try await self.refilledUpdate()
    }

    /// The next of the updates that were taken; nil where there is none left.
    func nextBuffered() -> GaplessFeed.Update? {
        guard self.next < self.batch.count, !self.isSuspended else { return nil }
        defer { self.next += 1 }
        return self.batch[self.next]
    }

    @inline(never)
    private func refilledUpdate() async throws(Web3Error) -> GaplessFeed.Update? {
        guard !self.isSuspended else {
            throw Web3Error(.misuse, "a second next() on one iterator while the first is suspended")
        }
        while true {
            if let update = self.nextBuffered() { return update }
            let lease: GaplessLease
            switch self.state {
            case .finished: return nil
            case .running(let running): lease = running
            case .cold(let source):
                lease = GaplessLease(source)
                self.state = .running(lease)
            }
            self.batch = []
            self.next = 0
            self.isSuspended = true
            let taken = await lease.feed.take()
            self.isSuspended = false
            guard let (batch, hasRoomAgain) = taken else {
                self.state = .finished
                return nil
            }
            if hasRoomAgain { lease.hasRoomAgain() }
            switch batch {
            case .updates(let updates): self.batch = updates
            case .ended(let error):
                self.state = .finished
                if let error { throw error }
                return nil
            }
        }
    }
}

extension Web3Error {
    /// What the plain sequence throws where it cannot go on.
    package init(_ failure: PlainStreamFailure) {
        switch failure {
        case .gap(let range, let reason):
            self.init(.gap, "blocks \(range.lowerBound) to \(range.upperBound) are missing: \(reason.text)")
        case .rollbackBeyondMemory(let block):
            self.init(.gap, "what was told above block \(block) is void, and more of it than is remembered")
        case .cursorOrphaned(let block):
            self.init(.cursorOrphaned, "the cursor's block left the chain; it goes on behind block \(block)")
        case .unverifiable(let block):
            self.init(
                .unverifiable,
                "the header of block \(block) does not give its hash by Ethereum's rule: this chain cannot be verified"
            )
        case .ended(let failure):
            self.init(failure)
        }
    }

    init(_ failure: ContinuityFailure) {
        switch failure {
        case .cursorUnknown:
            self.init(.cursorOrphaned, "the chain knows neither the cursor's block nor one of its ancestors")
        case .finalityViolated(let block):
            self.init(.finalityViolated, "the node took back block \(block), which it had called final")
        }
    }
}

extension GapReason {
    fileprivate var text: String {
        switch self {
        case .beyondLimit: "more than the stream's limit allows to catch up with"
        case .unavailable: "the node did not give them"
        case .unverified: "the node's headers do not give their hashes"
        case .reorganisationTooDeep: "a reorganisation went deeper than what is remembered"
        }
    }
}
