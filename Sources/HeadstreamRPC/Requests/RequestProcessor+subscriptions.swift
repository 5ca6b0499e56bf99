import HeadstreamJSON

// Subscriptions: from the request, through the slot that its response makes, to its end.
extension RequestProcessor {
    /// A consumer wants a subscription.
    ///
    /// The waiter is resumed with the server's id when the node has acknowledged it. From then on, and for what came
    /// before the acknowledgement, notifications are in `buffer`.
    package mutating func subscribe(
        _ local: LocalSubscriptionID,
        _ methods: SubscriptionMethods,
        id: RequestID,
        text: [UInt8],
        buffer: SubscriptionBuffer,
        deadline: UInt64,
        waiter: Waiter,
        actions: inout RequestProcessorActions
    ) {
        self.submit(id, [.subscribe(local, methods, buffer, waiter)], text: text, deadline: deadline, actions: &actions)
    }

    /// A consumer has left. In any state, any number of times: the server is told once, if it knows the subscription.
    ///
    /// The waiter is resumed when the server has answered, whatever the answer (it may be an error or `false` where it
    /// had already ended the subscription), or at once where nothing is to be told.
    package mutating func unsubscribe(
        _ local: LocalSubscriptionID,
        now: UInt64,
        waiter: Waiter,
        actions: inout RequestProcessorActions
    ) {
        switch self.locals.removeValue(forKey: local) {
        case .asked(let id):
            // If it is on the wire, its answer will come to nobody and be unsubscribed then.
            if let entry = self.remove(id) {
                self.end(entry.purpose, .failure(RPCError(.cancelled, "unsubscribed")), &actions)
            }
            self.end(.unsubscribe(waiter), .success(ResponseBytes("true")), &actions)
            self.sendQueued(&actions)
        case .active(let slot):
            if let consumer = self.retire(slot, .finished, &actions) { actions.consumers.append(consumer) }
            self.release(slot, waiter: waiter, now: now, actions: &actions)
        case nil:
            self.end(.unsubscribe(waiter), .success(ResponseBytes("false")), &actions)
        }
    }

    // MARK: Notifications

    /// Routes one notification: to its subscription, or to the orphans while a subscribe request waits.
    @inline(__always)
    mutating func deliver(
        _ result: UnsafeRawBufferPointer,
        to id: UnsafeRawBufferPointer,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        guard let slot = self.table.find(id) else {
            if self.pendingSubscribes > 0 { self.orphans.append(id: id, result: result) }
            return
        }
        self.statistics.notifications &+= 1
        if slot.pointee.holdsArena, slot.pointee.sibling == nil, slot.pointee.append(result) { return }
        self.deliverCarefully(result, to: slot, now: now, actions: &actions)
    }

    /// The first notification of a turn, one for several consumers, or one that meets a full buffer.
    @inline(never)
    private mutating func deliverCarefully(
        _ result: UnsafeRawBufferPointer,
        to first: SubscriptionTable.Slot,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        var next: SubscriptionTable.Slot? = first
        while let slot = next {
            next = slot.pointee.sibling
            if !slot.pointee.holdsArena {
                slot.pointee.arena = slot.pointee.buffer.takeFilling()
                slot.pointee.holdsArena = true
                self.filled.append(slot)
                actions.hasFilled = true
            }
            switch slot.pointee.deliver(result) {
            case .stored:
                break
            case .storedInPlaceOf(let count):
                self.statistics.lost &+= UInt64(count)
            case .storedButFull:
                slot.pointee.isFull = true
                self.suspended.insert(slot.pointee.local)
                actions.suspendsReading = true
            case .lost:
                self.statistics.lost &+= 1
            case .overflowed:
                self.overflow(slot, now: now, actions: &actions)
            }
        }
    }

    /// A consumer is too slow and wants to know: what is buffered is delivered, then its stream ends.
    private mutating func overflow(
        _ slot: SubscriptionTable.Slot,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        let local = slot.pointee.local
        let error = RPCError(
            .consumerTooSlow,
            "the consumer left more than \(slot.pointee.buffer.limit / 2) bytes of notifications unread; raise the buffer limit, or choose .dropOldest or .suspendReading"
        )
        self.locals[local] = nil
        if let consumer = self.retire(slot, .failed(error), &actions) { actions.consumers.append(consumer) }
        actions.endedSubscriptions.append(local)
        self.release(slot, waiter: .nobody, now: now, actions: &actions)
    }

    /// Puts the filled arenas back where the consumers find them. At the end of each turn that stored something.
    package mutating func publish(_ actions: inout RequestProcessorActions) {
        for slot in self.filled {
            if let consumer = self.publish(slot) { actions.consumers.append(consumer) }
        }
        self.filled.removeAll(keepingCapacity: true)
        actions.hasFilled = false
    }

    private func publish(_ slot: SubscriptionTable.Slot) -> CheckedContinuation<Void, Never>? {
        guard slot.pointee.holdsArena else { return nil }
        var arena = Arena()
        swap(&arena, &slot.pointee.arena)
        slot.pointee.holdsArena = false
        let isFull = slot.pointee.isFull
        slot.pointee.isFull = false
        return slot.pointee.buffer.publish(arena, isPausing: isFull)
    }

    /// A consumer for which reading was suspended has taken what was buffered.
    package mutating func drained(_ local: LocalSubscriptionID, actions: inout RequestProcessorActions) {
        guard self.suspended.remove(local) != nil, self.suspended.isEmpty else { return }
        actions.resumesReading = true
    }

    // MARK: Beginnings

    /// A subscribe request was acknowledged: makes the slot, in the same pass over the read bytes.
    mutating func activate(
        _ local: LocalSubscriptionID,
        _ methods: SubscriptionMethods,
        _ buffer: SubscriptionBuffer,
        token: UnsafeRawBufferPointer
    ) -> Bool {
        guard let id = Self.subscriptionID(token) else { return false }
        let slot = SubscriptionSlot(
            local: local,
            methods: methods,
            buffer: buffer,
            serverID: Array(id),
            serverIDIsQuoted: token.first == 0x22,
            hash: self.table.hash(id)
        )
        self.locals[local] = .active(self.table.insert(slot))
        return true
    }

    mutating func deliverOrphans(of local: LocalSubscriptionID, actions: inout RequestProcessorActions) {
        guard !self.orphans.isEmpty, case .active(let slot)? = self.locals[local] else { return }
        var found: [[UInt8]] = []
        slot.pointee.serverID.withUnsafeBytes { id in
            self.orphans.take(id: id) { found.append(Array($0)) }
        }
        for result in found {
            self.statistics.notifications &+= 1
            guard case .active(let slot)? = self.locals[local] else { break }
            result.withUnsafeBytes { self.deliverCarefully($0, to: slot, now: 0, actions: &actions) }
        }
        if self.pendingSubscribes == 0 { self.orphans.removeAll() }
    }

    /// A subscription id: a string or a number; without quotes. Nodes have ids of any length within reason.
    static func subscriptionID(_ token: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard let first = token.first else { return nil }
        if first == 0x22 {
            guard token.count > 2, token.count <= 1024 else { return nil }
            return UnsafeRawBufferPointer(rebasing: token[1..<token.count - 1])
        }
        guard token.count <= 32, token.allSatisfy({ $0 &- 0x30 < 10 }) else { return nil }
        return token
    }

    // MARK: Ends

    /// The node says that a subscription is over.
    mutating func endedByNode(
        _ id: UnsafeRawBufferPointer,
        reason: String?,
        actions: inout RequestProcessorActions
    ) {
        var text = "the node ended the subscription"
        if let reason, !reason.isEmpty { text += ": \(reason)" }
        let error = RPCError(.subscriptionEnded, text)
        while let slot = self.table.find(id) {
            let local = slot.pointee.local
            self.locals[local] = nil
            if let consumer = self.retire(slot, .failed(error), &actions) { actions.consumers.append(consumer) }
            actions.endedSubscriptions.append(local)
            _ = self.table.remove(slot)
        }
    }

    /// Publishes what a slot holds and ends its stream; the slot is to be removed next.
    private mutating func retire(
        _ slot: SubscriptionTable.Slot,
        _ end: SubscriptionBuffer.End,
        _ actions: inout RequestProcessorActions
    ) -> CheckedContinuation<Void, Never>? {
        self.drained(slot.pointee.local, actions: &actions)
        let wasHolding = slot.pointee.holdsArena
        let waiter = self.publish(slot)
        if wasHolding { self.filled.removeAll { $0 == slot } }
        let late = slot.pointee.buffer.finish(end)
        return waiter ?? late
    }

    /// Removes a slot; tells the server if no other subscription shares its id.
    private mutating func release(
        _ slot: SubscriptionTable.Slot,
        waiter: Waiter,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        let id = slot.pointee.serverID
        let isQuoted = slot.pointee.serverIDIsQuoted
        let methods = slot.pointee.methods
        guard self.table.remove(slot) else {
            return self.end(.unsubscribe(waiter), .success(ResponseBytes("true")), &actions)
        }
        self.sendUnsubscribe(id, isQuoted: isQuoted, methods, waiter: waiter, now: now, actions: &actions)
    }

    /// The answer to a subscribe request that nobody waits for any more.
    mutating func abandon(
        _ token: UnsafeRawBufferPointer,
        _ methods: SubscriptionMethods,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        // A doubled answer names a subscription that lives.
        guard let id = Self.subscriptionID(token), self.table.find(id) == nil else { return }
        let isQuoted = token.first == 0x22
        self.sendUnsubscribe(Array(id), isQuoted: isQuoted, methods, waiter: .nobody, now: now, actions: &actions)
    }

    private mutating func sendUnsubscribe(
        _ serverID: [UInt8],
        isQuoted: Bool,
        _ methods: SubscriptionMethods,
        waiter: Waiter,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        let id = self.ids.take()
        let text = RequestMessage.encode(id: id, method: methods.unsubscribe) { writer in
            // The token as the server wrote it, escapes and all.
            writer.writeRaw(isQuoted ? [0x22] + serverID + [0x22] : serverID)
        }
        let deadline = now.addingReportingOverflow(self.limits.unsubscribeTimeout)
        self.submit(
            id,
            [.unsubscribe(waiter)],
            text: text,
            deadline: deadline.overflow ? .max : deadline.partialValue,
            actions: &actions
        )
    }
}
