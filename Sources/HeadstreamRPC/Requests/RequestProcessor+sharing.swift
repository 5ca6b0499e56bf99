// Equal subscriptions of a connection share one of the server's. Each consumer has a slot and a buffer of its own beside
// the others, as where a server gives equal requests one id; so one notification goes to each, by each one's policy, and a
// subscription with one consumer does not know of any of this.
//
// - The first request goes out. Those that come before its answer wait for it, and a refusal is told to all of them.
// - Whoever comes later joins at once, and gets what comes from then on.
// - Where the first gives up before the answer, the next asks itself: the late answer is ended as any that nobody wants.
// - The last one to leave ends the server's subscription. From that moment on there is nothing to join.
extension RequestProcessor {
    /// Where the subscriptions of one key are.
    enum Sharing {
        /// Asked for by this request, and so many others wait for its answer.
        case asked(RequestID, joined: [RequestID])
        /// Acknowledged; one of the slots that share it.
        case active(SubscriptionTable.Slot)
    }

    /// Makes a subscription, or joins an equal one.
    mutating func subscribe(_ request: SubscribeRequest, now: UInt64, actions: inout RequestProcessorActions) {
        if self.join(request, now: now, actions: &actions) { return }
        self.submit(
            request.id,
            [.subscribe(request)],
            text: .whole(request.text),
            now: now,
            deadline: request.deadline,
            actions: &actions
        )
        if let key = request.key, self.entries.contains(request.id) {
            self.sharing[key] = .asked(request.id, joined: [])
        }
    }

    /// - Returns: whether there is an equal one to join.
    private mutating func join(
        _ request: SubscribeRequest,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) -> Bool {
        guard let key = request.key, let sharing = self.sharing.removeValue(forKey: key) else { return false }
        switch sharing {
        case .active(let slot):
            self.sharing[key] = sharing
            self.insert(request, beside: slot)
            self.resume(request.waiter, .success(Self.acknowledgement(of: slot)), &actions)
        case .asked(let first, var joined):
            if joined.count < self.limits.maxQueued {
                joined.append(request.id)
                self.locals[request.local] = .asked(request.id)
                let entry = Entry(purpose: .join(request), group: request.id, groupCount: 1, began: now)
                self.entries.insert(entry, for: request.id)
                self.deadlines.insert(request.id, at: request.deadline)
            } else {
                let text = "\(joined.count) equal requests wait for one answer; the limit is maxQueuedRequests"
                self.resume(request.waiter, .failure(RPCError(.tooManyRequests, text)), &actions)
            }
            self.sharing[key] = .asked(first, joined: joined)
        }
        return true
    }

    private mutating func insert(_ request: SubscribeRequest, beside slot: SubscriptionTable.Slot) {
        self.locals[request.local] = .active(
            self.table.insert(
                slot.pointee.serverID,
                isQuoted: slot.pointee.serverIDIsQuoted,
                isAcknowledged: false,
                request
            )
        )
    }

    /// The server's id as it was told in its answer.
    private static func acknowledgement(of slot: SubscriptionTable.Slot) -> ResponseBytes {
        let id = Array(slot.pointee.serverID)
        return (slot.pointee.serverIDIsQuoted ? [0x22] + id + [0x22] : id).withUnsafeBytes { ResponseBytes($0) }
    }

    // MARK: The answer

    /// The server has acknowledged `request`, whose slot this is: those that waited for the same answer get theirs.
    ///
    /// - Returns: their requests, whose waiters are to be resumed.
    mutating func activateJoined(_ request: SubscribeRequest, _ slot: SubscriptionTable.Slot) -> [SubscribeRequest] {
        guard let key = request.key, let ids = self.takeJoined(request) else { return [] }
        self.sharing[key] = .active(slot)
        var joined: [SubscribeRequest] = []
        for id in ids {
            guard case .join(let waiting)? = self.remove(id)?.purpose else { continue }
            self.insert(waiting, beside: slot)
            joined.append(waiting)
        }
        return joined
    }

    /// `request` has failed, by an answer or because it could not be written: so have those that wait for its answer.
    mutating func endJoined(
        _ request: SubscribeRequest,
        _ outcome: Waiter.Outcome,
        _ actions: inout RequestProcessorActions
    ) {
        for id in self.takeJoined(request) ?? [] {
            if let entry = self.remove(id) { self.end(entry.purpose, outcome, &actions) }
        }
    }

    /// Takes a request out before it is answered: whoever made it has left, or its time is up. Those that wait for the same
    /// answer, and still have time, ask anew.
    mutating func giveUp(_ id: RequestID, _ actions: inout RequestProcessorActions) -> Entry? {
        guard let entry = self.remove(id) else { return nil }
        guard case .subscribe(let request) = entry.purpose else { return entry }
        for id in self.takeJoined(request) ?? [] {
            guard let waiting = self.remove(id), case .join(let next) = waiting.purpose else { continue }
            if next.deadline <= self.clock {
                let error = RPCError(.timedOut, "the node did not answer in time", wasSent: entry.isOnWire)
                self.end(waiting.purpose, .failure(error), &actions)
            } else {
                self.subscribe(next, now: self.clock, actions: &actions)
            }
        }
        return entry
    }

    /// Those that wait for the answer to `request`; nil where others of its key have nothing to do with it.
    private mutating func takeJoined(_ request: SubscribeRequest) -> [RequestID]? {
        guard let key = request.key, case .asked(request.id, let joined)? = self.sharing[key] else { return nil }
        self.sharing[key] = nil
        return joined
    }

    /// One that waited for another's answer does no more.
    mutating func leave(_ request: SubscribeRequest) {
        guard let key = request.key, case .asked(let first, var joined)? = self.sharing[key] else { return }
        joined.removeAll { $0 == request.id }
        self.sharing[key] = .asked(first, joined: joined)
    }

    // MARK: Ends

    /// Removes a slot; who shares it is joined in its place.
    ///
    /// - Returns: whether nobody is left, so that the server is to be told.
    mutating func removeSlot(_ slot: SubscriptionTable.Slot) -> Bool {
        if let key = slot.pointee.key, case .active(slot)? = self.sharing[key] {
            self.sharing[key] = Self.heir(of: slot).map { .active($0) }
        }
        return self.table.remove(slot)
    }

    /// Another slot of the same id and key. A server may have given the same id to requests that differ.
    private static func heir(of slot: SubscriptionTable.Slot) -> SubscriptionTable.Slot? {
        var next = slot.pointee.sibling
        while let found = next {
            if found.pointee.key == slot.pointee.key { return found }
            next = found.pointee.sibling
        }
        var previous = slot.pointee.previousSibling
        while let found = previous {
            if found.pointee.key == slot.pointee.key { return found }
            previous = found.pointee.previousSibling
        }
        return nil
    }

    /// A subscription is to be made anew, because nothing comes on the server's: its consumer leaves, and who asks for an
    /// equal one next gets another. Those that share it stay where they are.
    package mutating func forget(
        _ local: LocalSubscriptionID,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        if case .active(let slot)? = self.locals[local], let key = slot.pointee.key,
            case .active(let shared)? = self.sharing[key],
            shared.pointee.serverID.elementsEqual(slot.pointee.serverID)
        {
            self.sharing[key] = nil
        }
        self.unsubscribe(local, now: now, waiter: .nobody, actions: &actions)
    }

    /// The server's subscriptions that are asked for or active.
    package var serverSubscriptionCount: Int { self.table.count + self.pendingSubscribes }

    /// Those of them that the server has acknowledged.
    package var acknowledgedCount: Int { self.table.count }

    /// Whether a subscription of this key would make no request: an equal one is asked for or active.
    package func shares(_ key: SubscriptionKey) -> Bool { self.sharing[key] != nil }
}

extension RequestProcessor.Purpose {
    /// Whether it has to do with no subscription.
    var isCall: Bool {
        if case .call = self { true } else { false }
    }

    /// Whether it is answered by another request's answer, and so is neither on the wire nor in the queue.
    var isJoin: Bool {
        if case .join = self { true } else { false }
    }
}
