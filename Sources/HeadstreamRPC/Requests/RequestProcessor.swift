/// Matches responses to those who wait for them, and notifications to their subscriptions. No I/O, no clock.
///
/// Facts go in (`submit`, `received`, `deadlineReached`, `connectionLost`…), and what is to be done comes out in
/// ``RequestProcessorActions``, to be carried out after the change. Each waiter is resumed exactly once, whatever
/// races, because removing its entry is what entitles to resume it.
///
/// - Responses are looked up by id, O(1), in any order, single or in batches.
/// - At most ``Limits/maxInFlight`` requests are on the wire (a batch counts its items); the others queue in order, at
///   most ``Limits/maxQueued``. Hosted nodes refuse more than a few hundred at once.
/// - The response to a subscribe request makes the subscription's slot in the same pass, so that a notification right
///   behind it finds it; one in front of it waits among the orphans.
package struct RequestProcessor: ~Copyable {
    package struct Limits: Sendable {
        /// Requests on the wire at once.
        package var maxInFlight = 100
        /// Requests that wait for their turn.
        package var maxQueued = 10_000
        /// Bytes of notifications kept until their subscription is known.
        package var orphanBytes = 1 << 20
        /// What all subscriptions' buffers may take together.
        package var bufferBudget = BufferBudget(limit: .max)
        /// Bytes that may wait for a consumer before a notice is given.
        package var warningThreshold = Int.max
        /// How long an unsubscribe request of our own waits for its answer, in nanoseconds.
        package var unsubscribeTimeout: UInt64 = 5_000_000_000

        package init() {}
    }

    /// What a request is for.
    enum Purpose {
        case call(Waiter)
        indirect case subscribe(SubscribeRequest)
        /// Waits for the answer to an equal request; see ``join(_:now:actions:)``.
        indirect case join(SubscribeRequest)
        /// With the server's id, whose last notifications are not to be kept as orphans.
        indirect case unsubscribe(Waiter, serverID: [UInt8])
    }

    struct Entry {
        var purpose: Purpose
        /// The first id of the message it travels in, and how many items that has.
        var group: RequestID
        var groupCount: Int
        var isOnWire = false
        /// When it was made, in nanoseconds on the loop's clock.
        var began: UInt64 = 0
    }

    package let limits: Limits
    package let ids: RequestIDs
    /// Requests that wait for an answer or for their turn.
    var entries = RequestTable<Entry>()
    /// Texts of the messages that wait for their turn, by their first id.
    var queuedTexts: [RequestID: RequestText] = [:]
    var queue = RequestQueue()
    /// Unsubscribe requests that wait: they go first, so that no subscription outlives its consumer behind slow calls.
    var urgentQueue = RequestQueue()
    /// Requests on the wire.
    package internal(set) var inFlight = 0
    /// Those of them that belong to batches.
    private(set) var batchItemsInFlight = 0
    var queuedCount = 0
    var deadlines = DeadlineHeap()

    var table: SubscriptionTable
    /// Where a local subscription is: asked for, or active.
    var locals: [LocalSubscriptionID: LocalState] = [:]
    /// Where equal subscriptions are, for others to join them.
    var sharing: [SubscriptionKey: Sharing] = [:]
    var orphans: OrphanBuffer
    var pendingSubscribes = 0
    /// Ids that are being unsubscribed, and by how many requests.
    var departing: [[UInt8]: Int] = [:]
    /// Subscribe requests that wait and whose server gives equal requests one id.
    var pendingShared = 0
    /// Ids of such a server whose unsubscribing waits for them; see ``depart(_:shares:now:actions:)``.
    var waitingDepartures: [Departure] = []
    /// The time of the last fact that told one, but for usual notifications.
    var clock: UInt64 = 0
    /// Ids of such a server that were unsubscribed once and asked for more often.
    var lingering: [[UInt8]: Lingering] = [:]
    /// Slots that hold their arena, to be published at the read's end; `nil` where one has ended meanwhile.
    var filled: [SubscriptionTable.Slot?] = []
    /// Since the last ``publish(_:)``, subscriptions were asked to give way to one that needed room, and little came of it.
    var hasSearchedRoom = false
    /// Subscriptions that made the connection stop reading and may not have been drained since.
    var pausing: Set<LocalSubscriptionID> = []
    var notificationShape = EnvelopeShape()
    var responseShape = EnvelopeShape()
    /// The last error that belonged to no request: often the reason why the node closes.
    package private(set) var lastUnattributedError: NodeError?
    /// The connection does not stand yet, so that all requests wait for their turn.
    private(set) var isHeld = false
    /// Why no more requests are taken.
    private(set) var closed: RPCError?
    package var statistics = Statistics()

    enum LocalState {
        case asked(RequestID)
        case active(SubscriptionTable.Slot)
    }

    /// Counters since the connection began.
    package struct Statistics: Sendable {
        package var requests: UInt64 = 0
        package var responses: UInt64 = 0
        package var notifications: UInt64 = 0
        /// Those of them that came before the response that told their subscription.
        package var early: UInt64 = 0
        package var lost: UInt64 = 0
        package var malformed: UInt64 = 0
        /// How often reading was suspended.
        package var pauses: UInt64 = 0
        /// From a request's way to the socket to its answer.
        package var latencies = LatencyHistogram()

        package init() {}
    }

    /// - Parameters:
    ///   - ids: shared with whoever encodes requests for this processor.
    ///   - seed: random, against ids that are chosen to collide.
    package init(limits: Limits, ids: RequestIDs, seed: UInt64) {
        self.limits = limits
        self.ids = ids
        self.table = SubscriptionTable(seed: seed)
        self.orphans = OrphanBuffer(limit: limits.orphanBytes)
    }

    /// Seeds the hashing of subscription ids anew. Before the first request; later it does nothing.
    package mutating func reseed(_ seed: UInt64) {
        guard self.locals.isEmpty, self.table.count == 0 else { return }
        self.table = SubscriptionTable(seed: seed)
    }

    /// Requests that wait, on the wire or for their turn. Nothing else is kept of a request.
    package var waitingCount: Int { self.entries.count }
    /// Subscriptions that are asked for or active.
    package var subscriptionCount: Int { self.locals.count }

    /// When ``deadlineReached(now:actions:)`` is next to be called.
    package var nextDeadline: UInt64? { self.deadlines.earliest }

    /// Whether requests are taken.
    var isOpen: Bool { self.closed == nil }

    // MARK: Sending

    /// The connection does not stand yet: requests wait, within their time.
    package mutating func hold() {
        self.isHeld = true
    }

    /// The connection stands: what waits goes out.
    package mutating func opened(_ actions: inout RequestProcessorActions) {
        self.isHeld = false
        self.sendQueued(&actions)
    }

    /// A caller wants a request to be made.
    ///
    /// - Parameters:
    ///   - text: the whole message, encoded with this id.
    ///   - now: on the loop's clock, in nanoseconds.
    ///   - deadline: on the same clock.
    package mutating func submit(
        _ id: RequestID,
        text: [UInt8],
        now: UInt64,
        deadline: UInt64,
        waiter: Waiter,
        actions: inout RequestProcessorActions
    ) {
        self.submit(id, .whole(text), now: now, deadline: deadline, waiter: waiter, actions: &actions)
    }

    /// The same for a message of either form.
    package mutating func submit(
        _ id: RequestID,
        _ text: RequestText,
        now: UInt64,
        deadline: UInt64,
        waiter: Waiter,
        actions: inout RequestProcessorActions
    ) {
        self.submit(id, CollectionOfOne(.call(waiter)), text: text, now: now, deadline: deadline, actions: &actions)
    }

    /// A caller wants a batch to be made: ids in sequence, one waiter an item, at most ``Limits/maxInFlight`` of them.
    ///
    /// - Parameter passesHold: goes out although the others are held (``hold()``).
    package mutating func submitBatch(
        _ firstID: RequestID,
        text: [UInt8],
        now: UInt64,
        deadline: UInt64,
        waiters: [Waiter],
        passesHold: Bool = false,
        actions: inout RequestProcessorActions
    ) {
        self.submit(
            firstID,
            waiters.lazy.map { .call($0) },
            text: .whole(text),
            now: now,
            deadline: deadline,
            passesHold: passesHold,
            actions: &actions
        )
    }

    mutating func submit(
        _ first: RequestID,
        _ purposes: some Collection<Purpose>,
        text: RequestText,
        now: UInt64,
        deadline: UInt64,
        isUrgent: Bool = false,
        passesHold: Bool = false,
        actions: inout RequestProcessorActions
    ) {
        let count = purposes.count
        guard count > 0 else { return }
        if let refusal = self.refusal(of: count, isUrgent: isUrgent) {
            for purpose in purposes { self.end(purpose, .failure(refusal), &actions) }
            return
        }
        let isNext = isUrgent ? self.urgentQueue.isEmpty : self.queuedCount == 0
        let goesOut = (passesHold || isNext && !self.isHeld) && self.inFlight + count <= self.limits.maxInFlight
        for (index, purpose) in purposes.enumerated() {
            let id = first.advanced(by: index)
            let entry = Entry(purpose: purpose, group: first, groupCount: count, isOnWire: goesOut, began: now)
            self.entries.insert(entry, for: id)
            self.deadlines.insert(id, at: deadline)
            switch purpose {
            case .call: break
            case .subscribe(let request):
                self.locals[request.local] = .asked(id)
                self.pendingSubscribes += 1
                if request.methods.sharesIDs { self.pendingShared += 1 }
            case .join: break
            case .unsubscribe(_, let serverID):
                self.departing[serverID, default: 0] += 1
            }
        }
        self.statistics.requests &+= UInt64(count)
        if goesOut {
            self.inFlight += count
            if count > 1 { self.batchItemsInFlight += count }
            actions.messages.append(.init(id: first, request: text))
        } else {
            self.queuedCount += count
            self.queuedTexts[first] = text
            if isUrgent { self.urgentQueue.append(first) } else { self.queue.append(first) }
        }
    }

    private func refusal(of count: Int, isUrgent: Bool) -> RPCError? {
        if let closed = self.closed { return closed }
        if count > self.limits.maxInFlight {
            return RPCError(
                .tooManyRequests,
                "a batch message of \(count) items exceeds maxInFlight \(self.limits.maxInFlight)"
            )
        }
        // Unsubscribe requests are as many as there are subscriptions, at most.
        if !isUrgent, self.queuedCount + count > self.limits.maxQueued {
            return RPCError(
                .tooManyRequests,
                "\(self.queuedCount) requests already wait; the limit is maxQueuedRequests \(self.limits.maxQueued)"
            )
        }
        return nil
    }

    /// Sends what waits, as far as the window allows.
    mutating func sendQueued(_ actions: inout RequestProcessorActions) {
        if self.pendingShared == 0, !self.waitingDepartures.isEmpty { self.departWaiting(&actions) }
        while !self.isHeld, self.queuedCount > 0, let (first, text) = self.nextQueued() {
            let count = self.liveItems(ofGroup: first)
            guard self.inFlight + count <= self.limits.maxInFlight else { break }
            if self.urgentQueue.first == first { self.urgentQueue.removeFirst() } else { self.queue.removeFirst() }
            self.queuedTexts[first] = nil
            self.queuedCount -= count
            self.inFlight += count
            self.forEachItem(ofGroup: first) { $0.isOnWire = true }
            if let size = self.groupCount(first), size > 1 { self.batchItemsInFlight += count }
            actions.messages.append(.init(id: first, request: text))
        }
        if self.pendingSubscribes == 0, !self.orphans.isEmpty { self.orphans.removeAll() }
    }

    /// The message whose turn is next; names of what was given up while it waited are passed over.
    private mutating func nextQueued() -> (RequestID, RequestText)? {
        while let first = self.urgentQueue.first {
            if let text = self.queuedTexts[first] { return (first, text) }
            self.urgentQueue.removeFirst()
        }
        while let first = self.queue.first {
            if let text = self.queuedTexts[first] { return (first, text) }
            self.queue.removeFirst()
        }
        return nil
    }

    private func liveItems(ofGroup first: RequestID) -> Int {
        guard let count = self.groupCount(first) else { return 0 }
        var live = 0
        for index in 0..<count where self.entries[first.advanced(by: index)]?.group == first { live += 1 }
        return live
    }

    /// How many items the message that begins with `first` had; the first one itself may be gone.
    private func groupCount(_ first: RequestID) -> Int? {
        for index in 0..<self.limits.maxInFlight {
            if let entry = self.entries[first.advanced(by: index)], entry.group == first { return entry.groupCount }
        }
        return nil
    }

    private mutating func forEachItem(ofGroup first: RequestID, _ body: (inout Entry) -> Void) {
        guard let count = self.groupCount(first) else { return }
        for index in 0..<count {
            self.entries.update(first.advanced(by: index)) { entry in
                if entry.group == first { body(&entry) }
            }
        }
    }

    // MARK: Giving up

    /// A caller was cancelled. In any state: an id that is answered or unknown is ignored.
    package mutating func cancelled(_ id: RequestID, actions: inout RequestProcessorActions) {
        guard let entry = self.giveUp(id, &actions) else { return }
        self.end(entry.purpose, .failure(RPCError(.cancelled, "cancelled", wasSent: entry.isOnWire)), &actions)
        self.sendQueued(&actions)
    }

    /// A message could not be written: the node does not read.
    package mutating func writeRefused(_ first: RequestID, _ error: RPCError, actions: inout RequestProcessorActions) {
        self.fail(group: first, error, actions: &actions)
        // With nothing on the wire no answer would ever give those that wait their turn.
        if self.inFlight == 0 { self.sendQueued(&actions) }
    }

    /// Ends what is left of a message's requests.
    mutating func fail(group first: RequestID, _ error: RPCError, actions: inout RequestProcessorActions) {
        guard let count = self.groupCount(first) else { return }
        for index in 0..<count {
            let id = first.advanced(by: index)
            guard let entry = self.entries[id], entry.group == first, self.remove(id) != nil else { continue }
            self.end(entry.purpose, .failure(error), &actions)
        }
    }

    /// The clock has reached ``nextDeadline``.
    package mutating func deadlineReached(now: UInt64, actions: inout RequestProcessorActions) {
        self.clock = now
        while let id = self.deadlines.popDue(at: now) {
            guard let entry = self.giveUp(id, &actions) else { continue }
            let message =
                entry.isOnWire || entry.purpose.isJoin
                ? "the node did not answer in time" : "timed out while waiting for its turn behind other requests"
            self.end(entry.purpose, .failure(RPCError(.timedOut, message, wasSent: entry.isOnWire)), &actions)
        }
        let entries = self.entries
        self.deadlines.dropStale { entries.contains($0) }
        self.sendQueued(&actions)
    }

    /// The connection is over: everything that waits ends with `error`, and nothing more is taken.
    ///
    /// - Parameters:
    ///   - streams: how streams end; by default with `error`.
    ///   - keepsStreams: whether they do not end, but wait for another connection that fills their buffers.
    package mutating func connectionLost(
        _ error: RPCError,
        streams: SubscriptionBuffer.End? = nil,
        keepsStreams: Bool = false,
        actions: inout RequestProcessorActions
    ) {
        guard self.closed == nil else { return }
        self.closed = error
        let entries = self.entries.sorted { $0.key.rawValue < $1.key.rawValue }
        self.entries.removeAll()
        self.queuedTexts = [:]
        self.queue = RequestQueue()
        self.urgentQueue = RequestQueue()
        self.deadlines.removeAll()
        self.inFlight = 0
        self.batchItemsInFlight = 0
        self.departing = [:]
        self.pausing = []
        self.queuedCount = 0
        self.pendingSubscribes = 0
        self.pendingShared = 0
        self.waitingDepartures = []
        self.lingering = [:]
        self.sharing = [:]
        for (_, entry) in entries {
            self.end(entry.purpose, .failure(entry.isOnWire ? error.sent() : error), &actions)
        }
        self.publish(&actions)
        for slot in self.table.sorted() where !keepsStreams {
            if let waiter = slot.pointee.buffer.finish(streams ?? .failed(error)) { actions.consumers.append(waiter) }
            actions.endedSubscriptions.append(slot.pointee.local)
        }
        self.locals = [:]
        self.table = SubscriptionTable(seed: 0)
        self.orphans.removeAll()
    }

    // MARK: Entries

    /// Takes a request out: whoever gets its entry, and nobody else, resumes its waiter.
    mutating func remove(_ id: RequestID) -> Entry? {
        guard let place = self.entries.place(of: id) else { return nil }
        return self.remove(at: place)
    }

    /// The same for a request that was sent; nil for others.
    mutating func removeSent(_ id: RequestID) -> Entry? {
        guard let place = self.entries.place(of: id), self.entries[place]?.isOnWire == true else { return nil }
        return self.remove(at: place)
    }

    private mutating func remove(at place: RequestTable<Entry>.Place) -> Entry? {
        guard let entry = self.entries.remove(at: place) else { return nil }
        if entry.isOnWire {
            self.inFlight -= 1
            if entry.groupCount > 1 { self.batchItemsInFlight -= 1 }
        } else if !entry.purpose.isJoin {
            self.queuedCount -= 1
            if entry.groupCount == 1 || self.groupCount(entry.group) == nil { self.queuedTexts[entry.group] = nil }
            let texts = self.queuedTexts
            self.queue.compact(liveCount: texts.count) { texts[$0] != nil }
            self.urgentQueue.compact(liveCount: texts.count) { texts[$0] != nil }
        }
        if !entry.purpose.isCall { self.forget(entry.purpose) }
        if self.entries.isEmpty {
            // Nothing waits: nobody is to be woken for those that were answered.
            self.deadlines.removeAll(keepingCapacity: true)
        } else if self.deadlines.isOvergrown(liveCount: self.entries.count) {
            let entries = self.entries
            self.deadlines.compact { entries.contains($0) }
        }
        return entry
    }

    /// A request that subscribes or unsubscribes waits no more.
    private mutating func forget(_ purpose: Purpose) {
        switch purpose {
        case .call: break
        case .subscribe(let request):
            self.locals[request.local] = nil
            self.pendingSubscribes -= 1
            if request.methods.sharesIDs { self.pendingShared -= 1 }
        case .join(let request):
            self.locals[request.local] = nil
            self.leave(request)
        case .unsubscribe(_, let serverID):
            if let count = self.departing[serverID] { self.departing[serverID] = count > 1 ? count - 1 : nil }
        }
    }

    /// Tells the one who waits how a request ended.
    mutating func end(_ purpose: Purpose, _ outcome: Waiter.Outcome, _ actions: inout RequestProcessorActions) {
        switch purpose {
        case .call(let waiter), .unsubscribe(let waiter, _):
            self.resume(waiter, outcome, &actions)
        case .join(let request):
            self.resume(request.waiter, outcome, &actions)
        case .subscribe(let request):
            self.resume(request.waiter, outcome, &actions)
            if case .failure = outcome { self.endJoined(request, outcome, &actions) }
        }
    }

    func resume(_ waiter: Waiter, _ outcome: Waiter.Outcome, _ actions: inout RequestProcessorActions) {
        switch waiter {
        case .nobody: break
        case .task(let request):
            if let task = request.settle(outcome) { actions.tasks.append(task) }
        case .callback, .item: actions.resumptions.append(.init(waiter: waiter, outcome: outcome))
        }
    }

    mutating func note(unattributed error: NodeError, _ actions: inout RequestProcessorActions) {
        self.lastUnattributedError = error
        actions.note(.unattributedError(error))
    }
}
