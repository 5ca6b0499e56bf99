import HeadstreamJSON

// Subscriptions: from the request, through the slot that its response makes, to its end.
extension RequestProcessor {
    /// A consumer wants a subscription.
    ///
    /// The waiter is resumed with the server's id when the node has acknowledged it. From then on, and for what came
    /// before the acknowledgement, notifications are in `buffer`.
    ///
    /// - Parameter key: where there is a subscription of this key, or one is asked for, no request is made: see
    ///   ``join(_:now:actions:)``. Nil for one of its own.
    package mutating func subscribe(
        _ local: LocalSubscriptionID,
        _ methods: SubscriptionMethods,
        key: SubscriptionKey? = nil,
        id: RequestID,
        text: [UInt8],
        buffer: SubscriptionBuffer,
        now: UInt64,
        deadline: UInt64,
        waiter: Waiter,
        actions: inout RequestProcessorActions
    ) {
        let request = SubscribeRequest(
            local: local,
            methods: methods,
            key: key,
            id: id,
            text: text,
            buffer: buffer,
            deadline: deadline,
            waiter: waiter
        )
        self.subscribe(request, now: now, actions: &actions)
    }

    /// Whether this subscription is asked for or active.
    package func knows(_ local: LocalSubscriptionID) -> Bool { self.locals[local] != nil }

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
            if let entry = self.giveUp(id, &actions) {
                self.end(entry.purpose, .failure(RPCError(.cancelled, "unsubscribed")), &actions)
            }
            self.resume(waiter, .success(ResponseBytes("true")), &actions)
            self.sendQueued(&actions)
        case .active(let slot):
            self.retire(slot, .finished, &actions)
            self.release(slot, waiter: waiter, now: now, actions: &actions)
        case nil:
            self.resume(waiter, .success(ResponseBytes("false")), &actions)
        }
    }

    // MARK: Notifications

    /// Routes one notification: to its subscription, or to the orphans while a subscribe request waits.
    ///
    /// - Parameter message: all of it, for subscriptions that keep more than the result.
    @inline(__always)
    mutating func deliver(
        _ result: UnsafeRawBufferPointer,
        of message: UnsafeRawBufferPointer,
        to id: UnsafeRawBufferPointer,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        guard let slot = self.table.find(id) else {
            return self.keepOrphan(message, id, now: now, actions: &actions)
        }
        self.statistics.notifications &+= 1
        if slot.pointee.holdsArena, slot.pointee.sibling == nil,
            slot.pointee.arena.appendInPlace(result, limit: slot.pointee.resultLimit)
        {
            return
        }
        self.deliverCarefully(result, of: message, to: slot, now: now, actions: &actions)
    }

    /// A notification of no subscription: the first of one that is asked for, or the last of one that was ended.
    ///
    /// The whole message is kept: who will want it, and how much of it, is not known yet.
    @inline(never)
    private mutating func keepOrphan(
        _ message: UnsafeRawBufferPointer,
        _ id: UnsafeRawBufferPointer,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        guard self.departing.isEmpty || self.departing[Array(id)] == nil else { return }
        if !self.lingering.isEmpty { self.endLingering(id, now: now, actions: &actions) }
        guard self.pendingSubscribes > 0 else { return }
        self.orphans.append(id: id, result: message)
    }

    /// The first notification of a turn, one for several consumers, or one that finds no place in the block as it is.
    @inline(never)
    private mutating func deliverCarefully(
        _ result: UnsafeRawBufferPointer,
        of message: UnsafeRawBufferPointer,
        to first: SubscriptionTable.Slot,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        var next: SubscriptionTable.Slot? = first
        while let slot = next {
            next = slot.pointee.sibling
            self.hold(slot, &actions)
            // As most find their place; the limit is 0 where it is not so simple.
            if slot.pointee.arena.appendInPlace(result, limit: slot.pointee.resultLimit) { continue }
            let bytes = slot.pointee.keepsMessages ? message : result
            var delivery = slot.pointee.deliver(bytes, mayAskForRoom: true)
            if case .needsRoom = delivery {
                // Ends subscriptions, perhaps a sibling of this one: the next is asked for again.
                self.makeRoom(for: slot, now: now, actions: &actions)
                next = slot.pointee.sibling
                delivery = slot.pointee.deliver(bytes, mayAskForRoom: false)
            }
            switch delivery {
            case .stored, .needsRoom:
                break
            case .storedButFull:
                if !slot.pointee.isFull { slot.pointee.pauses &+= 1 }
                slot.pointee.isFull = true
                if self.pausing.isEmpty { self.statistics.pauses &+= 1 }
                self.pausing.insert(slot.pointee.local)
                actions.suspendsReading = true
                actions.resumesReading = false
            case .storedInPlaceOf(let count), .lost(let count):
                slot.pointee.lost &+= UInt64(count)
                self.statistics.lost &+= UInt64(count)
            case .overflowed:
                let text = """
                    the consumer left \(slot.pointee.arena.byteCount) bytes of notifications unread; raise the buffer \
                    limit, or choose a policy that drops or waits
                    """
                self.overflow(slot, text, now: now, actions: &actions)
            }
        }
    }

    /// Takes a slot's arena out of its buffer, until the next ``publish(_:)``.
    private mutating func hold(_ slot: SubscriptionTable.Slot, _ actions: inout RequestProcessorActions) {
        guard !slot.pointee.holdsArena else { return }
        slot.pointee.takeArena()
        slot.pointee.filledIndex = self.filled.count
        self.filled.append(slot)
        actions.hasFilled = true
    }

    /// What all buffers may take together is used up: others give way to `needy`, the lowest priority first, of its own
    /// priority those that hold more than it does. Where nobody does, its own policy has to do.
    ///
    /// A search looks at every subscription. So one that freed little is the last in its read, but for a stream that would
    /// fail, which does so once.
    private mutating func makeRoom(
        for needy: SubscriptionTable.Slot,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        guard !self.hasSearchedRoom || needy.pointee.buffer.policy == .fail else { return }
        let budget = self.limits.bufferBudget
        let used = budget.used
        defer { self.hasSearchedRoom = used - budget.used < self.table.count * 64 }
        let (priority, held) = (needy.pointee.buffer.priority, needy.pointee.arena.capacity)
        var candidates: [(slot: SubscriptionTable.Slot, priority: BufferPriority, bytes: Int)] = []
        for slot in self.table.sorted() where slot != needy && slot.pointee.buffer.priority <= priority {
            self.hold(slot, &actions)
            candidates.append((slot, slot.pointee.buffer.priority, slot.pointee.arena.capacity))
        }
        // The sort is stable, and the slots came in the order of their local ids.
        candidates.sort { $0.priority == $1.priority ? $0.bytes > $1.bytes : $0.priority < $1.priority }
        for (slot, itsPriority, bytes) in candidates where bytes > 0 {
            // More than is needed now, so that the search is not for a few notifications only.
            if budget.used <= budget.limit / 8 * 7 { return }
            let isBelow = itsPriority < priority
            guard slot.pointee.arena.count == 0 || isBelow || bytes > held else { continue }
            switch slot.pointee.buffer.policy {
            case .suspendReading where slot.pointee.arena.count > 0:
                continue
            case .fail where slot.pointee.arena.count > 0:
                guard isBelow else { continue }
                let gone = slot.pointee.giveWay()
                self.statistics.lost &+= UInt64(gone)
                let text = """
                    the buffers of this connection are full (maxBufferedBytes \(budget.limit)) and a subscription of \
                    higher priority needed room: \(gone) notifications were dropped
                    """
                self.overflow(slot, text, now: now, actions: &actions)
            default:
                self.statistics.lost &+= UInt64(slot.pointee.giveWay())
            }
        }
    }

    /// A consumer is too slow and wants to know: what is buffered is delivered, then its stream ends.
    private mutating func overflow(
        _ slot: SubscriptionTable.Slot,
        _ text: String,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        let local = slot.pointee.local
        let error = RPCError(.consumerTooSlow, text)
        self.locals[local] = nil
        self.retire(slot, .failed(error), &actions)
        actions.endedSubscriptions.append(local)
        self.release(slot, waiter: .nobody, now: now, actions: &actions)
    }

    /// Puts the filled arenas back where the consumers find them. At the end of each read that stored something.
    package mutating func publish(_ actions: inout RequestProcessorActions) {
        for slot in self.filled {
            guard let slot else { continue }
            if slot.pointee.arena.byteCount > self.limits.warningThreshold { self.warn(slot, &actions) }
            if let consumer = self.publish(slot) { actions.consumers.append(consumer) }
        }
        self.filled.removeAll(keepingCapacity: self.filled.capacity <= 1024)
        self.hasSearchedRoom = false
        actions.hasFilled = false
    }

    /// A consumer falls behind: told once, and again when it had caught up in between.
    @inline(never)
    private func warn(_ slot: SubscriptionTable.Slot, _ actions: inout RequestProcessorActions) {
        guard !slot.pointee.isWarned else { return }
        slot.pointee.isWarned = true
        actions.note(
            .slowConsumer(
                slot.pointee.local,
                kind: slot.pointee.buffer.kind,
                bytes: slot.pointee.arena.byteCount,
                limit: slot.pointee.arenaLimit
            )
        )
    }

    private mutating func publish(_ slot: SubscriptionTable.Slot) -> SuspendedConsumer? {
        guard slot.pointee.holdsArena else { return nil }
        var arena = Arena()
        swap(&arena, &slot.pointee.arena)
        slot.pointee.holdsArena = false
        let isFull = slot.pointee.isFull
        slot.pointee.isFull = false
        return slot.pointee.buffer.publish(arena, isPausing: isFull)
    }

    // MARK: Reading

    /// Whether every subscription that made the connection stop reading has been drained or has ended.
    ///
    /// To be asked when a consumer's refill says `resumesReading`: another one may still be full, and reading on for
    /// the first alone would fill the other without bound.
    package mutating func mayResumeReading() -> Bool {
        // Whichever comes first: the answer does not depend on the order.
        while let local = self.pausing.first {
            if case .active(let slot)? = self.locals[local], slot.pointee.isFull || slot.pointee.buffer.isPausing {
                return false
            }
            self.pausing.remove(local)
        }
        return true
    }

    // MARK: Beginnings

    /// A subscribe request was acknowledged: makes the slot, in the same pass over the read bytes, and those of the
    /// requests that waited for the same answer.
    ///
    /// - Returns: these requests; nil where the answer is no subscription id.
    mutating func activate(_ request: SubscribeRequest, token: UnsafeRawBufferPointer) -> [SubscribeRequest]? {
        guard let id = Self.subscriptionID(token) else { return nil }
        if !self.lingering.isEmpty { self.lingering[Array(id)] = nil }
        let slot = self.table.insert(id, isQuoted: token.first == 0x22, request)
        self.locals[request.local] = .active(slot)
        return self.activateJoined(request, slot)
    }

    /// Delivers what came before the acknowledgement.
    mutating func deliverOrphans(
        of local: LocalSubscriptionID,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        guard !self.orphans.isEmpty, case .active(let slot)? = self.locals[local] else { return }
        for message in self.orphans.take(id: slot.pointee.serverID) {
            // A full buffer may have ended it meanwhile.
            guard case .active(let slot)? = self.locals[local] else { return }
            message.withUnsafeBytes { message in
                // It was scanned when it came, so it is there.
                guard let result = Envelope.notification(in: message)?.result else { return }
                self.statistics.notifications &+= 1
                self.statistics.early &+= 1
                self.deliverCarefully(result, of: message, to: slot, now: now, actions: &actions)
            }
        }
    }

    /// A subscription id: a string or a number; without quotes. Nodes have ids of any length within reason.
    static func subscriptionID(_ token: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard let first = token.first else { return nil }
        if first == 0x22 {
            guard token.count > 2, token.count <= 1024 else { return nil }
            return UnsafeRawBufferPointer(rebasing: token[1..<token.count - 1])
        }
        guard token.count <= 80, token.allSatisfy({ $0 &- 0x30 < 10 }) else { return nil }
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
            self.retire(slot, .failed(error), &actions)
            actions.endedSubscriptions.append(local)
            _ = self.removeSlot(slot)
        }
    }

    /// Publishes what a slot holds and ends its stream; the slot is to be removed next.
    private mutating func retire(
        _ slot: SubscriptionTable.Slot,
        _ end: SubscriptionBuffer.End,
        _ actions: inout RequestProcessorActions
    ) {
        if slot.pointee.holdsArena { self.filled[slot.pointee.filledIndex] = nil }
        if let consumer = self.publish(slot) { actions.consumers.append(consumer) }
        if let consumer = slot.pointee.buffer.finish(end) { actions.consumers.append(consumer) }
        // Its local id is forgotten already, so it holds up nobody any more.
        if self.pausing.remove(slot.pointee.local) != nil, self.mayResumeReading() {
            actions.resumesReading = true
            actions.suspendsReading = false
        }
    }

    /// Removes a slot; tells the server if no other subscription shares its id.
    private mutating func release(
        _ slot: SubscriptionTable.Slot,
        waiter: Waiter,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        let id = Array(slot.pointee.serverID)
        let isQuoted = slot.pointee.serverIDIsQuoted
        let methods = slot.pointee.methods
        let shares = slot.pointee.shares
        guard self.removeSlot(slot) else {
            return self.resume(waiter, .success(ResponseBytes("true")), &actions)
        }
        let departure = Departure(serverID: id, isQuoted: isQuoted, methods: methods, waiter: waiter)
        self.depart(departure, shares: shares, now: now, actions: &actions)
    }

    /// The answer to a subscribe request that nobody waits for any more.
    mutating func abandon(
        _ token: UnsafeRawBufferPointer,
        _ methods: SubscriptionMethods,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        // Invented answers could come without end.
        guard let id = Self.subscriptionID(token), self.queuedCount < self.limits.maxQueued else { return }
        if let holder = self.table.find(id) {
            // A doubled answer names a subscription that lives; so does one that shares its id.
            if methods.sharesIDs { holder.pointee.shares += 1 }
            return
        }
        let isQuoted = token.first == 0x22
        let departure = Departure(serverID: Array(id), isQuoted: isQuoted, methods: methods, waiter: .nobody)
        self.depart(departure, shares: 1, now: now, actions: &actions)
    }

    mutating func sendUnsubscribe(
        _ serverID: [UInt8],
        isQuoted: Bool,
        _ methods: SubscriptionMethods,
        waiter: Waiter,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        let id = self.ids.take()
        let text = RequestMessage.encode(
            id: id,
            method: methods.unsubscribe,
            isNamed: methods.unsubscribeParameter != nil
        ) { writer in
            if let name = methods.unsubscribeParameter { writer.key(name) }
            // The token as the server wrote it, escapes and all.
            writer.writeRaw(isQuoted ? [0x22] + serverID + [0x22] : serverID)
        }
        let deadline = now.addingReportingOverflow(self.limits.unsubscribeTimeout)
        self.submit(
            id,
            [.unsubscribe(waiter, serverID: serverID)],
            text: .whole(text),
            now: now,
            deadline: deadline.overflow ? .max : deadline.partialValue,
            isUrgent: true,
            actions: &actions
        )
    }
}
