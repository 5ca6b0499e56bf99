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
                of: message,
                to: UnsafeRawBufferPointer(rebasing: message[id]),
                now: now,
                actions: &actions
            )
        } else {
            self.receivedOther(message, now: now, actions: &actions)
        }
    }

    /// No notification of the known shape.
    @inline(never)
    private mutating func receivedOther(
        _ message: UnsafeRawBufferPointer,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        self.clock = now
        if let (place, result) = self.responseShape.match(message), case let id = EnvelopeScanner(message).id(place),
            case .number = id
        {
            var envelope = Envelope()
            envelope.id = id
            envelope.result = result
            self.respond(envelope, in: message, isInBatch: false, now: now, actions: &actions)
        } else {
            self.scan(message, now: now, actions: &actions)
        }
        self.sendQueued(&actions)
    }

    /// A message of no known shape: finds its parts by scanning it.
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
            actions.note(.malformedMessage(error.description))
        }
    }

    /// A batch: responses in any order, with notifications among them. What a node leaves out of its answer fails.
    private mutating func scanBatch(
        _ scanner: inout EnvelopeScanner,
        _ message: UnsafeRawBufferPointer,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) throws(EnvelopeError) {
        _ = scanner.take(0x5B)
        // The batches of ours that are answered here, in the order of their answers: one, nearly always.
        var groups: [RequestID] = []
        var count = 0
        var refusal: RPCError?
        // Errors without an id: where there is nothing else, the batch was refused as a whole.
        var withoutID: Envelope?
        var withoutIDCount = 0
        do throws(EnvelopeError) {
            if scanner.take(0x5D) { return }
            repeat {
                count += 1
                guard scanner.peek() == 0x7B else {
                    _ = try scanner.value()
                    self.statistics.malformed &+= 1
                    actions.note(.malformedMessage("an element of a batch that is no object"))
                    continue
                }
                let envelope = try scanner.envelope()
                if envelope.id == .null || envelope.id == .absent, envelope.error != nil, !envelope.hasMethod,
                    envelope.subscription == nil
                {
                    withoutIDCount += 1
                    if withoutID == nil { withoutID = envelope }
                    continue
                }
                if case .number(let number) = envelope.id, let entry = self.entries[RequestID(rawValue: number)],
                    entry.groupCount > 1, entry.isOnWire
                {
                    if groups.last != entry.group, !groups.contains(entry.group) { groups.append(entry.group) }
                    if count == 1, let place = envelope.error {
                        refusal = self.nodeError(at: place, in: message).rpcError
                    }
                }
                self.handle(envelope, in: message, isInBatch: true, now: now, actions: &actions)
            } while scanner.take(0x2C)
            guard scanner.take(0x5D) else {
                throw EnvelopeError(offset: scanner.offset, reason: "a comma or closing bracket was expected")
            }
        } catch {
            let failure = RPCError(.malformedResponse, "the answer to the batch is broken", wasSent: true)
            for group in groups { self.fail(group: group, failure, actions: &actions) }
            throw error
        }
        if let withoutID {
            self.respondToNobody(withoutID, in: message, isRefusal: withoutIDCount == count, actions: &actions)
        }
        for group in groups {
            // One error alone is the answer to all (geth's «batch too large» bears the id of the first call).
            let missing = RPCError(.missingFromBatch, "the node answered the batch without this item", wasSent: true)
            let error = count == 1 ? refusal?.sent() : nil
            self.fail(group: group, error ?? missing, actions: &actions)
        }
    }

    private mutating func handle(
        _ envelope: Envelope,
        in message: UnsafeRawBufferPointer,
        isInBatch: Bool = false,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        if let subscription = envelope.subscription {
            let id = UnsafeRawBufferPointer(rebasing: message[subscription])
            if let result = envelope.notification {
                self.notificationShape.learn(message, envelope)
                let bytes = UnsafeRawBufferPointer(rebasing: message[result])
                let whole = UnsafeRawBufferPointer(rebasing: message[envelope.bounds])
                self.deliver(bytes, of: whole, to: id, now: now, actions: &actions)
            } else if let place = envelope.notificationError {
                self.endedByNode(id, reason: self.nodeError(at: place, in: message).message, actions: &actions)
            } else {
                self.statistics.malformed &+= 1
                actions.note(.malformedMessage("a notification without params.result"))
            }
        } else if envelope.hasMethod {
            // A notification of no subscription, or a request of the node's: neither is ours to answer.
            self.statistics.malformed &+= 1
            actions.note(.malformedMessage("a notification without params.subscription"))
        } else {
            if !isInBatch { self.responseShape.learn(response: message, envelope) }
            self.respond(envelope, in: message, isInBatch: isInBatch, now: now, actions: &actions)
        }
    }

    // MARK: Responses

    private mutating func respond(
        _ envelope: Envelope,
        in message: UnsafeRawBufferPointer,
        isInBatch: Bool,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        guard case .number(let number) = envelope.id else {
            return self.respondToNobody(envelope, in: message, actions: &actions)
        }
        let id = RequestID(rawValue: number)
        let token = envelope.result.map { UnsafeRawBufferPointer(rebasing: message[$0]) }
        guard let entry = self.removeSent(id) else {
            // Late, doubled or invented. If it tells a subscription that nobody waits for any more, end that.
            if let token, self.ids.hasTaken(id), let methods = self.ids.methods(of: id) {
                self.abandon(token, methods, now: now, actions: &actions)
            }
            actions.note(.unknownResponse(number))
            return
        }
        self.statistics.responses &+= 1
        self.statistics.latencies.add(now > entry.began ? now - entry.began : 0)
        if let place = envelope.error {
            let node = self.nodeError(at: place, in: message)
            let error = node.rpcError.sent()
            self.end(entry.purpose, .failure(error), &actions)
            // One error in place of a batch's array refuses the batch, whichever of its ids it bears.
            if entry.groupCount > 1, !isInBatch, node.refusesMessages || error.code != .node {
                self.fail(group: entry.group, error, actions: &actions)
            }
        } else if let token {
            self.succeed(entry.purpose, token, now: now, actions: &actions)
        } else {
            let error = RPCError(.malformedResponse, "the response has neither result nor error", wasSent: true)
            self.end(entry.purpose, .failure(error), &actions)
        }
    }

    private mutating func succeed(
        _ purpose: Purpose,
        _ result: UnsafeRawBufferPointer,
        now: UInt64,
        actions: inout RequestProcessorActions
    ) {
        guard case .subscribe(let request) = purpose else {
            return self.end(purpose, .success(ResponseBytes(result)), &actions)
        }
        guard let joined = self.activate(request, token: result) else {
            let error = RPCError(
                .malformedResponse,
                "the answer to \(request.methods.subscribe) is no subscription id",
                wasSent: true
            )
            return self.end(purpose, .failure(error), &actions)
        }
        self.deliverOrphans(of: request.local, now: now, actions: &actions)
        for request in [request] + joined {
            self.resume(request.waiter, .success(ResponseBytes(result)), &actions)
        }
    }

    /// An error whose `id` is null, absent or none of ours.
    ///
    /// A node that could not parse or would not take a message answers with such an error (codes -32700 and -32600,
    /// JSON-RPC 2.0 §5.1), and so do some gateways for a rate limit. Where one request alone is on the wire it is meant;
    /// a refusal is of the oldest batch, as batches are what nodes refuse. All others are kept as the likely reason of a
    /// close that follows.
    private mutating func respondToNobody(
        _ envelope: Envelope,
        in message: UnsafeRawBufferPointer,
        isRefusal: Bool = true,
        actions: inout RequestProcessorActions
    ) {
        guard let place = envelope.error else {
            self.statistics.malformed &+= envelope.result == nil ? 1 : 0
            actions.note(.unknownResponse(nil))
            return
        }
        let node = self.nodeError(at: place, in: message)
        let error = node.rpcError.sent()
        let isMeant =
            node.refusesMessages
            ? self.batchItemsInFlight > 0
            : error.code != .node && self.inFlight > 0 && self.batchItemsInFlight == self.inFlight
        if isRefusal, isMeant || (self.inFlight == 1 && (node.refusesMessages || error.code != .node)) {
            // A search ends something that was asked for, so a flood of such errors costs no more than the requests did.
            let isBatch = self.batchItemsInFlight > 0
            var oldest: (id: RequestID, group: RequestID)?
            for (id, entry) in self.entries where entry.isOnWire && (entry.groupCount > 1) == isBatch {
                if let found = oldest, found.id.rawValue < id.rawValue { continue }
                oldest = (id, entry.group)
            }
            if let oldest { return self.fail(group: oldest.group, error, actions: &actions) }
        }
        self.note(unattributed: node, &actions)
    }

    /// An error object; one that is not as the specification has it becomes the nearest that is.
    private func nodeError(at place: Range<Int>, in message: UnsafeRawBufferPointer) -> NodeError {
        guard let value = try? JSONValue(parsing: Array(message[place])) else {
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
        var text = ""
        if case .string(let member)? = value["message"] { text = member }
        if text.isEmpty, case .string(let member)? = value["data"] { text = member }
        return NodeError(code: code ?? 0, message: text, data: value["data"])
    }
}

extension NodeError {
    /// Parse error and invalid request: what a node says of a message it did not take as a whole.
    fileprivate var refusesMessages: Bool { self.code == -32700 || self.code == -32600 }
}
