import HeadstreamJSON

// What the node sends: one message, several in one frame, or a batch; responses and notifications in any order.
extension RequestProcessor {
    /// The node sent a message (a WebSocket message, or what the IPC framer cut out).
    ///
    /// - Parameters:
    ///   - message: with 64 readable bytes behind it.
    ///   - now: on the loop's clock, in nanoseconds.
    @inline(__always)
    package mutating func received(
        _ message: UnsafeRawBufferPointer,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        if let (id, result) = self.notificationShape.match(message) {
            self.deliver(
                UnsafeRawBufferPointer(rebasing: message[result]),
                to: UnsafeRawBufferPointer(rebasing: message[id]),
                now: now,
                actions: &actions
            )
        } else {
            self.scan(message, now: now, actions: &actions)
        }
    }

    /// A message of no known shape: finds its parts by scanning it.
    @inline(never)
    private mutating func scan(
        _ message: UnsafeRawBufferPointer,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        var scanner = EnvelopeScanner(message)
        do throws(EnvelopeError) {
            // An empty message, or blanks, is nothing; several messages in one frame are several messages.
            while let first = scanner.peek() {
                if first == 0x5B {
                    try self.scanBatch(&scanner, message, now: now, actions: &actions)
                } else {
                    self.handle(try scanner.envelope(), in: message, now: now, actions: &actions)
                }
            }
        } catch {
            self.statistics.malformed &+= 1
            actions.notices.append(.malformedMessage(error.description))
        }
        self.sendQueued(&actions)
    }

    /// A batch: responses in any order, with notifications among them. What a node leaves out of its answer fails.
    private mutating func scanBatch(
        _ scanner: inout EnvelopeScanner,
        _ message: UnsafeRawBufferPointer,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) throws(EnvelopeError) {
        _ = scanner.take(0x5B)
        var groups: Set<RequestID> = []
        var refusal: RPCError?
        if !scanner.take(0x5D) {
            repeat {
                let envelope = try scanner.envelope()
                if case .number(let number) = envelope.id, let entry = self.entries[RequestID(rawValue: number)],
                    entry.groupCount > 1, entry.isOnWire
                {
                    groups.insert(entry.group)
                    if let error = envelope.error { refusal = self.nodeError(UnsafeRawBufferPointer(rebasing: message[error])).rpcError }
                }
                self.handle(envelope, in: message, now: now, actions: &actions)
            } while scanner.take(0x2C)
            guard scanner.take(0x5D) else {
                throw EnvelopeError(offset: scanner.offset, reason: "a comma or closing bracket was expected")
            }
        }
        for group in groups {
            let error = refusal ?? RPCError(.missingFromBatch, "the node answered the batch without this item", wasSent: true)
            self.writeRefused(group, error, actions: &actions)
        }
    }

    private mutating func handle(
        _ envelope: Envelope,
        in message: UnsafeRawBufferPointer,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        if let subscription = envelope.subscription {
            let id = UnsafeRawBufferPointer(rebasing: message[subscription])
            if let result = envelope.notification {
                self.notificationShape.learn(message, envelope)
                let bytes = UnsafeRawBufferPointer(rebasing: message[result])
                self.deliver(bytes, to: id, now: now, actions: &actions)
            } else {
                let reason = envelope.notificationError.map { self.nodeError(UnsafeRawBufferPointer(rebasing: message[$0])).message }
                self.endedByNode(id, reason: reason, actions: &actions)
            }
        } else if envelope.hasMethod {
            // A notification of no subscription, or a request of the node's: neither is ours to answer.
            self.statistics.malformed &+= 1
            actions.notices.append(.malformedMessage("a notification without params.subscription"))
        } else {
            self.respond(envelope, in: message, now: now, actions: &actions)
        }
    }

    // MARK: Responses

    private mutating func respond(
        _ envelope: Envelope,
        in message: UnsafeRawBufferPointer,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        guard case .number(let number) = envelope.id else {
            return self.respondToNobody(envelope, in: message, actions: &actions)
        }
        let id = RequestID(rawValue: number)
        let token = envelope.result.map { UnsafeRawBufferPointer(rebasing: message[$0]) }
        guard let waiting = self.entries[id], waiting.isOnWire, let entry = self.remove(id) else {
            // Late, doubled or invented. If it tells a subscription that nobody waits for any more, end that.
            if let token, self.ids.hasTaken(id), let methods = self.ids.methods(of: id) {
                self.abandon(token, methods, now: now, actions: &actions)
            }
            actions.notices.append(.unknownResponse(number))
            return
        }
        self.statistics.responses &+= 1
        if let error = envelope.error {
            let error = self.nodeError(UnsafeRawBufferPointer(rebasing: message[error]))
            self.end(entry.purpose, .failure(error.rpcError.sent()), &actions)
        } else if let token {
            self.succeed(entry.purpose, token, actions: &actions)
        } else {
            let error = RPCError(.malformedResponse, "the response has neither result nor error", wasSent: true)
            self.end(entry.purpose, .failure(error), &actions)
        }
    }

    private mutating func succeed(
        _ purpose: Purpose,
        _ result: UnsafeRawBufferPointer,
        actions: inout RequestProcessorActions
    ) {
        if case .subscribe(let local, let methods, let buffer, _) = purpose {
            guard self.activate(local, methods, buffer, token: result) else {
                let error = RPCError(
                    .malformedResponse,
                    "the answer to \(methods.subscribe) is no subscription id",
                    wasSent: true
                )
                return self.end(purpose, .failure(error), &actions)
            }
            self.deliverOrphans(of: local, actions: &actions)
        }
        self.end(purpose, .success(ResponseBytes(result)), &actions)
    }

    /// An error whose `id` is null, absent or none of ours.
    ///
    /// A node that could not parse or would not take a batch answers with one such error; where a batch waits, or a
    /// single request alone, it is meant (codes -32700 and -32600, JSON-RPC 2.0 §5.1). All others are kept as the
    /// likely reason of a close that follows.
    private mutating func respondToNobody(
        _ envelope: Envelope,
        in message: UnsafeRawBufferPointer,
        actions: inout RequestProcessorActions
    ) {
        guard let place = envelope.error else {
            self.statistics.malformed &+= envelope.result == nil ? 1 : 0
            actions.notices.append(.unknownResponse(nil))
            return
        }
        let error = self.nodeError(UnsafeRawBufferPointer(rebasing: message[place]))
        if error.code == -32700 || error.code == -32600 {
            let onWire = self.entries.filter { $0.value.isOnWire }
            let batches = onWire.filter { $0.value.groupCount > 1 }
            if let oldest = batches.min(by: { $0.key.rawValue < $1.key.rawValue }) {
                self.writeRefused(oldest.value.group, error.rpcError.sent(), actions: &actions)
                return
            }
            if onWire.count == 1, let only = onWire.first, let entry = self.remove(only.key) {
                self.end(entry.purpose, .failure(error.rpcError.sent()), &actions)
                return
            }
        }
        self.note(unattributed: error, &actions)
    }

    /// An error object; one that is not as the specification has it becomes the nearest that is.
    private func nodeError(_ bytes: UnsafeRawBufferPointer) -> NodeError {
        guard let value = try? JSONValue(parsing: Array(bytes)) else {
            return NodeError(code: 0, message: "an error that is no JSON")
        }
        if case .string(let text) = value { return NodeError(code: 0, message: text) }
        let code = value["code"].flatMap { member -> Int64? in
            switch member {
            case .number(let number): number.int64 ?? number.double.flatMap { Int64(exactly: $0) }
            case .string(let text): Int64(text)
            default: nil
            }
        }
        var message = ""
        if case .string(let text)? = value["message"] { message = text }
        if message.isEmpty, case .string(let text)? = value["data"] { message = text }
        return NodeError(code: code ?? 0, message: message, data: value["data"])
    }
}
