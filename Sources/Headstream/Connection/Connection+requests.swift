import HeadstreamLocks
import HeadstreamRPC
import HeadstreamSockets
import HeadstreamWebSocket

/// When a request was made, and until when it may be answered; on the loop's clock.
struct RequestTime: Sendable {
    let now: LoopInstant
    let deadline: LoopInstant

    init(from now: LoopInstant, for timeout: Duration) {
        self.now = now
        self.deadline = now.advanced(by: timeout)
    }

    init(from now: LoopInstant, until deadline: LoopInstant) {
        self.now = now
        self.deadline = deadline
    }
}

/// A request on its caller's way to the loop.
struct PendingCall: Sendable {
    let id: RequestID
    let text: RequestText
    let time: RequestTime
    let waiter: SuspendedRequest
}

// What callers want of the node, and what the processor asks for after each change of its state.
extension Connection {
    /// Sends a request and returns its result's bytes; suspends the caller until it is answered, refused, timed out or
    /// cancelled.
    ///
    /// The caller stays where it is: only the request goes to the loop, and the answer resumes the caller. As a method
    /// of the actor the same would take a trip through the loop's queue for each step in and out of it.
    @inline(__always)
    nonisolated func call(_ id: RequestID, _ request: EncodedRequest, time: RequestTime) async -> Waiter.Outcome {
        let suspended = SuspendedRequest()
        // The standard library's older forms, which switch to no executor; the closure does, and the caller behind it:
        // Docs/Runtime.md.
        await _unsafeInheritExecutor_withTaskCancellationHandler {
            await _unsafeInheritExecutor_withUnsafeContinuation { continuation in
                suspended.suspend(continuation)
                // Cancelled already: it is not sent. Cancelled from here on: the handler's job comes behind this one.
                if Task.isCancelled { return suspended.resume(with: Self.cancelledOutcome) }
                self.submit(PendingCall(id: id, text: .tail(request.tail), time: time, waiter: suspended))
                // The handler may have run meanwhile, and its job have come before the request's.
                if Task.isCancelled { self.cancel(id, count: 1) }
            }
        } onCancel: {
            self.cancel(id, count: 1)
        }
        return suspended.takeOutcome()
    }

    /// Takes a call along to the loop: those of a turn, and those that come from elsewhere before the loop sees to the
    /// first, are made together.
    private nonisolated func submit(_ call: PendingCall) {
        let isFirst = self.pendingCalls.withLock { calls in
            calls.append(call)
            return calls.count == 1
        }
        guard isFirst else { return }
        if self.loop.isCurrent {
            self.loop.atTurnEnd { self.assumeIsolated { $0.submitPendingCalls() } }
        } else {
            self.enqueue { $0.submitPendingCalls() }
        }
    }

    private func submitPendingCalls() {
        var calls: [PendingCall] = []
        swap(&calls, &self.spareCalls)
        self.pendingCalls.withLock { swap(&$0, &calls) }
        for call in calls {
            self.inbound.processor.submit(
                call.id,
                call.text,
                now: call.time.now.nanoseconds,
                deadline: call.time.deadline.nanoseconds,
                waiter: .task(call.waiter),
                actions: &self.actions
            )
        }
        self.perform()
        calls.removeAll(keepingCapacity: calls.capacity <= 1024)
        self.spareCalls = calls
    }

    /// Makes a subscription. From its acknowledgement on its items are in its buffer.
    ///
    /// - Parameter time: of a caller who waits; nil for a subscription that is made anew.
    func subscribe(
        _ kept: KeptSubscription,
        time: RequestTime? = nil,
        _ body: @escaping @Sendable (Waiter.Outcome) -> Void
    ) {
        let time = time ?? RequestTime(from: self.loop.now, for: self.configuration.requestTimeout)
        let id = self.ids.take(kind: self.ids.kind(of: kept.methods))
        self.inbound.processor.subscribe(
            kept.local,
            kept.methods,
            key: kept.key,
            id: id,
            text: kept.request.text(for: id),
            buffer: kept.buffer,
            now: time.now.nanoseconds,
            deadline: time.deadline.nanoseconds,
            waiter: .callback(body),
            actions: &self.actions
        )
        self.perform()
    }

    /// Ends a subscription that is to be made anew.
    func forget(_ local: LocalSubscriptionID) {
        self.inbound.processor.forget(local, now: self.loop.now.nanoseconds, actions: &self.actions)
        self.perform()
    }

    /// Makes requests of the session's own, as one message: one call, or a batch.
    func submit(_ first: RequestID, text: [UInt8], waiters: [Waiter], passesHold: Bool = false) {
        let time = RequestTime(from: self.loop.now, for: self.configuration.requestTimeout)
        self.inbound.processor.submitBatch(
            first,
            text: text,
            now: time.now.nanoseconds,
            deadline: time.deadline.nanoseconds,
            waiters: waiters,
            passesHold: passesHold,
            actions: &self.actions
        )
        self.perform()
    }

    private static var cancelledOutcome: Waiter.Outcome { .failure(RPCError(.cancelled, "cancelled")) }

    /// Ends requests with ids in sequence as cancelled, where they wait; from any thread, without waiting.
    private nonisolated func cancel(_ first: RequestID, count: Int) {
        self.enqueue { connection in
            // It may be among those that have not been seen to yet.
            connection.submitPendingCalls()
            for offset in 0..<count {
                connection.inbound.processor.cancelled(first.advanced(by: offset), actions: &connection.actions)
            }
            connection.perform()
        }
    }

    /// Sends a batch's messages and returns an outcome for each item, in their order.
    nonisolated func callBatch(
        _ messages: [(first: RequestID, count: Int, text: [UInt8])],
        time: RequestTime
    ) async -> [Waiter.Outcome] {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let total = messages.reduce(0) { $0 + $1.count }
                // As for one request.
                if Task.isCancelled {
                    return continuation.resume(returning: Array(repeating: Self.cancelledOutcome, count: total))
                }
                let collector = BatchCollector(count: total, continuation: continuation)
                self.onLoop { connection in
                    var index = 0
                    for message in messages {
                        let waiters = (index..<index + message.count).map { Waiter.item(collector, $0) }
                        index += message.count
                        connection.inbound.processor.submitBatch(
                            message.first,
                            text: message.text,
                            now: time.now.nanoseconds,
                            deadline: time.deadline.nanoseconds,
                            waiters: waiters,
                            actions: &connection.actions
                        )
                    }
                    connection.perform()
                }
                if Task.isCancelled { self.cancel(messages) }
            }
        } onCancel: {
            self.cancel(messages)
        }
    }

    private nonisolated func cancel(_ messages: [(first: RequestID, count: Int, text: [UInt8])]) {
        for message in messages { self.cancel(message.first, count: message.count) }
    }

    /// Does `body` on the loop: at once where the caller is on it, else soon.
    private nonisolated func onLoop(_ body: @escaping @Sendable (isolated Connection) -> Void) {
        if self.loop.isCurrent {
            self.assumeIsolated { body($0) }
        } else {
            self.enqueue(body)
        }
    }

    /// Ends a subscription and returns when the node has answered, or will not.
    nonisolated func unsubscribe(_ local: LocalSubscriptionID) async {
        await withCheckedContinuation { continuation in
            self.onLoop { connection in
                connection.inbound.processor.unsubscribe(
                    local,
                    now: connection.loop.now.nanoseconds,
                    waiter: .callback { _ in continuation.resume() },
                    actions: &connection.actions
                )
                connection.perform()
            }
        }
    }

    /// A consumer is gone; from any thread, without waiting.
    nonisolated func endSubscription(_ local: LocalSubscriptionID) {
        self.enqueue { $0.end(local) }
    }

    /// A consumer is gone.
    func end(_ local: LocalSubscriptionID) {
        self.inbound.processor.unsubscribe(
            local,
            now: self.loop.now.nanoseconds,
            waiter: .nobody,
            actions: &self.actions
        )
        self.perform()
    }

    /// Whether this subscription is asked for or active here.
    func carries(_ local: LocalSubscriptionID) -> Bool { self.inbound.processor.knows(local) }

    /// A consumer for which reading was suspended has caught up; from any thread.
    nonisolated func consumerDrained() {
        self.enqueue { connection in
            if connection.inbound.processor.mayResumeReading() { connection.readOn() }
        }
    }

    /// The counters as they are now.
    func currentMetrics() -> Metrics {
        var metrics = self.metrics
        metrics.add(self.inbound.processor.statistics)
        metrics.requestsWaiting = self.inbound.processor.waitingCount
        metrics.subscriptions = self.inbound.processor.subscriptionCount
        metrics.serverSubscriptions = self.inbound.processor.serverSubscriptionCount
        metrics.bytesUnsent = self.channel?.queuedBytes ?? 0
        metrics.bufferMemory = self.inbound.processor.limits.bufferBudget.used
        metrics.streams = self.inbound.processor.subscriptionStatistics.map { StreamMetrics($0) }
        return metrics
    }

    // MARK: What the processor asks for

    /// Carries out what a change of the processor's state asked for, after the change has returned.
    func perform() {
        while !self.actions.isEmpty {
            var actions = RequestProcessorActions()
            swap(&actions, &self.actions)
            defer { self.actions.takeStorage(of: &actions) }
            if actions.hasFilled { self.wakeAtTurnEnd() }
            if !actions.messages.isEmpty { self.send(actions.messages) }
            for task in actions.tasks { task.resume() }
            for resumption in actions.resumptions { resumption.waiter.resume(with: resumption.outcome) }
            for consumer in actions.consumers { consumer.resume() }
            if !actions.endedSubscriptions.isEmpty { self.owner.ended(actions.endedSubscriptions, on: self) }
            for notice in actions.notices { self.report(notice) }
            if actions.suspendsReading { self.channel?.isReading = false }
            if actions.resumesReading { self.readOn() }
        }
        self.scheduleRequestDeadline()
        if self.isDraining, self.inbound.processor.waitingCount == 0 { self.drained() }
        if self.isFurther, self.isEmpty { self.emptied() }
    }

    /// Whether it carries no subscription, and nothing waits on it.
    var isEmpty: Bool {
        self.inbound.processor.serverSubscriptionCount == 0 && self.inbound.processor.waitingCount == 0
    }

    /// It was made for subscriptions alone, and the last one is gone.
    private func emptied() {
        guard !self.isToldEmpty else { return }
        self.isToldEmpty = true
        // Not in the middle of a read; and by then somebody may have subscribed.
        self.enqueue { connection in
            connection.isToldEmpty = false
            if connection.isEmpty { connection.owner.emptied(connection) }
        }
    }

    /// Another connection has taken this one's place: the owner is told when all requests are answered, and one that is
    /// made here and now, in front of whose answer comes everything that the node had sent before.
    func drain() {
        guard !self.isDraining, case .open = self.phase else { return }
        let id = self.ids.take(1)
        self.submit(id, text: Self.question(id), waiters: [.nobody])
        self.isDraining = true
        self.perform()
    }

    /// The connection that had taken this one's place is lost: it goes on.
    func stay() {
        self.isDraining = false
        self.drainsWhenReading = false
    }

    /// A request that costs a node next to nothing, for the sake of its being answered.
    static func question(_ id: RequestID) -> [UInt8] {
        RequestMessage.encode(id: id, method: "net_version") { _ in }
    }

    private func drained() {
        self.isDraining = false
        // A consumer holds up the reading: what comes behind that is not here yet. `readOn` comes back here.
        if let channel = self.channel, !channel.isReading {
            self.drainsWhenReading = true
            return
        }
        // Not in the middle of a read; and by then somebody may have asked for something.
        self.enqueue { connection in
            guard connection.inbound.processor.waitingCount == 0 else { return connection.drain() }
            connection.owner.drained(connection)
        }
    }

    /// Puts what a read brought where consumers find it. At the end of each read and not of the turn: a consumer on the
    /// loop has its turn between two reads, and would find the arena in the loop's hands every time.
    func publish() {
        self.inbound.processor.publish(&self.actions)
        self.wakes += self.actions.consumers
        self.actions.consumers.removeAll(keepingCapacity: true)
        self.perform()
    }

    /// Consumers are woken once a turn, however many reads it had: a sleep and a wake cost as much as 150 messages.
    private func wakeAtTurnEnd() {
        guard !self.wakesAtTurnEnd else { return }
        self.wakesAtTurnEnd = true
        self.loop.atTurnEnd {
            self.assumeIsolated { connection in
                connection.wakesAtTurnEnd = false
                connection.publish()
                var wakes: [SuspendedConsumer] = []
                swap(&wakes, &connection.wakes)
                for consumer in wakes { consumer.resume() }
            }
        }
    }

    private func scheduleRequestDeadline() {
        let instant = self.inbound.processor.nextDeadline
        if let scheduled = self.requestDeadline {
            // A later deadline is found when the earlier one is due; none at all must not wake an idle loop.
            if let instant, instant >= scheduled.instant { return }
            self.loop.cancel(scheduled.id)
            self.requestDeadline = nil
        }
        guard let instant else { return }
        let id = self.loop.schedule(at: LoopInstant(nanoseconds: instant)) { [weak self] in
            self?.assumeIsolated { connection in
                connection.requestDeadline = nil
                connection.inbound.processor.deadlineReached(
                    now: connection.loop.now.nanoseconds,
                    actions: &connection.actions
                )
                connection.perform()
            }
        }
        self.requestDeadline = (id, instant)
    }

    private func report(_ notice: RPCNotice) {
        guard let diagnostics = self.configuration.diagnostics else { return }
        switch notice {
        case .malformedMessage(let reason):
            let metadata = ["reason": self.secrets.redacting(CleanText.line(reason))]
            diagnostics(Diagnostic(level: .warning, message: "malformed message", metadata: metadata))
        case .unattributedError(let error):
            let metadata = ["code": "\(error.code)", "text": self.secrets.redacting(CleanText.line(error.message))]
            diagnostics(Diagnostic(level: .warning, message: "error for no request", metadata: metadata))
        case .unknownResponse(let id):
            let metadata = ["id": id.map { "\($0)" } ?? "none"]
            diagnostics(Diagnostic(level: .debug, message: "response to no request", metadata: metadata))
        case .slowConsumer(let local, let kind, let bytes, let limit):
            let metadata = [
                "subscription": "\(local.rawValue)", "kind": kind, "bytes": "\(bytes)", "limit": "\(limit)",
            ]
            diagnostics(Diagnostic(level: .warning, message: "slow consumer", metadata: metadata))
        }
    }

    // MARK: Writing

    /// Writes requests, one frame each, in one go.
    private func send(_ messages: [RequestProcessorActions.Message]) {
        guard let channel = self.channel, self.isOpen else {
            for message in messages {
                let error = RPCError(.connectionClosed, "\(self.endpoint): the connection is not open")
                self.inbound.processor.writeRefused(message.id, error, actions: &self.actions)
            }
            return
        }
        let limit = self.configuration.maxUnsentBytes
        let queued = channel.queuedBytes
        self.clearOutbound()
        // Where they lie: each holds a text, which need not be held once more.
        let span = messages.span
        for index in span.indices {
            let id = span[index].id
            span[index].withBytes(&self.scratch) { text in
                let unsent = queued + self.outbound.count
                if unsent + text.count <= limit { return self.append(.text, text) }
                let reason =
                    text.count > limit
                    ? "a request of \(text.count) bytes exceeds maxUnsentBytes \(limit)"
                    : "the node does not read: \(unsent) bytes wait to be written; maxUnsentBytes is \(limit)"
                let error = RPCError(.sendBufferFull, reason)
                self.inbound.processor.writeRefused(id, error, actions: &self.actions)
            }
        }
        self.writeOutbound()
    }

    /// Writes a frame; on IPC, where there are none, the message with a newline behind it for nodes that read lines.
    func write(_ opcode: Opcode, _ payload: UnsafeRawBufferPointer) {
        self.clearOutbound()
        self.append(opcode, payload)
        self.writeOutbound()
    }

    private func clearOutbound() {
        self.outbound.removeAll(keepingCapacity: self.outbound.capacity <= 1 << 18)
    }

    private func append(_ opcode: Opcode, _ payload: UnsafeRawBufferPointer) {
        if self.endpoint.isIPC {
            self.outbound.append(contentsOf: payload)
            self.outbound.append(0x0A)
            return
        }
        if opcode == .text, payload.count >= self.configuration.compression.threshold, self.appendCompressed(payload) {
            return
        }
        FrameWriter.append(opcode, payload: payload, mask: self.newMask(), to: &self.outbound)
    }

    /// Appends a message compressed, where that was agreed on and makes it smaller.
    private func appendCompressed(_ payload: UnsafeRawBufferPointer) -> Bool {
        guard self.deflater?.compress(payload, to: &self.compressed) == true else { return false }
        let mask = self.newMask()
        self.compressed.withUnsafeBytes {
            FrameWriter.append(.text, payload: $0, mask: mask, isCompressed: true, to: &self.outbound)
        }
        return true
    }

    func writeClose(_ code: UInt16?, _ reason: String) {
        self.clearOutbound()
        FrameWriter.appendClose(code: code, reason: reason, mask: self.newMask(), to: &self.outbound)
        self.writeOutbound()
    }

    /// A client masks each frame with bytes that nobody can foresee (RFC 6455 §10.3), from the loop's pool.
    private func newMask() -> UInt32 {
        var mask: UInt32 = 0
        // With nothing of the actor in it, or the closure's executor is asked for each time.
        withUnsafeMutableBytes(of: &mask) { [loop] in loop.fillRandom($0) }
        return mask
    }

    private func writeOutbound() {
        guard let channel = self.channel, !self.outbound.isEmpty else { return }
        self.metrics.bytesSent &+= UInt64(self.outbound.count)
        self.outbound.withUnsafeBytes { channel.write($0) }
    }
}
