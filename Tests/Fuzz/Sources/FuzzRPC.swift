import HeadstreamJSON
import HeadstreamTesting

@testable import HeadstreamRPC

/// The stream cut into messages, whole and in pieces.
@Sendable func fuzzIPC(_ input: FuzzInput) {
    var input = input
    let limit = [10, 100, 1000, 1 << 20][input.byte() & 3]
    let chunk = 1 + input.byte()
    let bytes = input.bytes
    func messages(_ chunk: Int) -> [[UInt8]] {
        var framer = IPCFramer(maxMessageSize: limit)
        var found: [[UInt8]] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            Array(rest.prefix(chunk)).withSlack { piece in
                var offset = 0
                while true {
                    switch framer.next(in: UnsafeRawBufferPointer(piece), at: &offset) {
                    case .needMore: return
                    case .message(let message):
                        require(message.count <= limit, "\(message.count) bytes, the limit is \(limit)")
                        found.append(Array(message))
                    case .failed:
                        found.append([0])
                        return
                    }
                }
            }
            require(framer.keptCount <= limit, "\(framer.keptCount) bytes are kept, the limit is \(limit)")
            rest = rest.dropFirst(chunk)
        }
        return found
    }
    require(messages(.max) == messages(chunk), "in pieces of \(chunk) they differ")
}

/// The scanner against the reader: what is JSON is scanned, and the parts are where the reader finds them.
@Sendable func fuzzEnvelope(_ input: FuzzInput) {
    let text = input.bytes
    let value = try? JSONValue(parsing: text)
    text.withSlack { bytes in
        let bytes = UnsafeRawBufferPointer(bytes)
        var scanner = EnvelopeScanner(bytes)
        var envelopes: [Envelope] = []
        while let first = scanner.peek(), first == UInt8(ascii: "{") {
            guard let envelope = try? scanner.envelope() else { break }
            envelopes.append(envelope)
            require(scanner.offset <= bytes.count, "it went past the end")
            for range in [
                envelope.bounds, envelope.method ?? 0..<0, envelope.subscription ?? 0..<0, envelope.result ?? 0..<0,
                envelope.error ?? 0..<0, envelope.notification ?? 0..<0, envelope.notificationError ?? 0..<0,
            ] {
                require(range.upperBound <= bytes.count, "a part ends past the end")
            }
        }
        guard let value, value.objectValue != nil else { return }
        require(envelopes.count == 1, "an object that is JSON was not scanned as one")
        func part(_ range: Range<Int>?) -> JSONValue? {
            range.flatMap { try? JSONValue(parsing: Array(bytes[$0])) }
        }
        require(part(envelopes[0].result) == value["result"], "another result")
        require(part(envelopes[0].error) == value["error"], "another error")
    }
}

/// Random facts in random order; whatever comes, each waiter is told once and nothing is left.
@Sendable func fuzzProcessor(_ input: FuzzInput) {
    var input = input
    let told = Told()
    let ids = RequestIDs()
    let window = 1 + input.byte() % 8
    var limits = RequestProcessor.Limits()
    limits.maxInFlight = window
    limits.maxQueued = 20
    limits.orphanBytes = 500
    limits.unsubscribeTimeout = 60
    var processor = RequestProcessor(limits: limits, ids: ids, seed: 1)
    var actions = RequestProcessorActions()
    var now: UInt64 = 1000
    var asked: [RequestID] = []
    var written: [RequestID] = []
    var buffers: [SubscriptionBuffer] = []
    var waiters = 0

    func waiter() -> Waiter {
        waiters += 1
        let index = waiters
        return .callback { _ in told.counts[index, default: 0] += 1 }
    }
    func perform() {
        processor.publish(&actions)
        for message in actions.messages {
            written.append(message.id)
            require((try? JSONValue(parsing: message.text)) != nil, "what is written is no JSON")
        }
        let resumptions = actions.resumptions
        actions = RequestProcessorActions()
        for resumption in resumptions { resumption.waiter.resume(with: resumption.outcome) }
        require(processor.inFlight >= 0 && processor.inFlight <= window, "\(processor.inFlight) in flight")
        let waiting = processor.inFlight + processor.queuedCount + processor.joinedCount
        require(processor.waitingCount == waiting, "the counts differ")
        require(processor.orphans.byteCount <= 500, "\(processor.orphans.byteCount) bytes of orphans")
    }
    func receive(_ text: [UInt8]) {
        text.withSlack { processor.received(UnsafeRawBufferPointer($0), now: now, actions: &actions) }
    }

    for _ in 0..<500 where !input.isEmpty {
        let dialects: [SubscriptionMethods] = [.ethereum, .ethereum.sharing]
        switch input.byte() % 12 {
        case 0:
            let id = ids.take()
            asked.append(id)
            let text = RequestMessage.encode(id: id, method: "test_call") { _ in }
            let deadline = now + UInt64(input.byte())
            processor.submit(id, text: text, now: now, deadline: deadline, waiter: waiter(), actions: &actions)
        case 1:
            let count = 1 + input.byte() % 9
            let first = ids.take(count)
            for index in 0..<count { asked.append(first.advanced(by: index)) }
            let text = RequestMessage.encodeBatch(
                firstID: first,
                tails: Array(repeating: RequestMessage.tail(method: "test_call") { _ in }, count: count)
            )
            let deadline = now + UInt64(input.byte())
            let all = (0..<count).map { _ in waiter() }
            processor.submitBatch(first, text: text, now: now, deadline: deadline, waiters: all, actions: &actions)
        case 2:
            let methods = dialects[input.byte() & 1]
            let id = ids.take(kind: ids.kind(of: methods))
            asked.append(id)
            let policies: [BufferPolicy] = [.fail, .dropOldest, .dropNewest, .coalesce, .suspendReading]
            let buffer = SubscriptionBuffer(limit: 200 + input.byte(), policy: policies[input.byte() % 5])
            buffers.append(buffer)
            let text = RequestMessage.encode(id: id, method: methods.subscribe) { _ in }
            let kind = input.byte() % 3
            processor.subscribe(
                LocalSubscriptionID(rawValue: UInt64(buffers.count)),
                methods,
                key: kind == 0 ? nil : SubscriptionKey(methods, request: [UInt8(truncatingIfNeeded: kind)]),
                id: id,
                text: text,
                buffer: buffer,
                now: now,
                deadline: now + UInt64(input.byte()),
                waiter: waiter(),
                actions: &actions
            )
        case 3:
            let local = LocalSubscriptionID(rawValue: UInt64(input.byte() % (buffers.count + 1)))
            if input.byte() % 8 == 0 {
                processor.forget(local, now: now, actions: &actions)
            } else {
                processor.unsubscribe(local, now: now, waiter: waiter(), actions: &actions)
            }
        case 4, 5:
            // An answer, perhaps for the second time: a server's id, an error, or nothing.
            guard !written.isEmpty else { continue }
            let id = written[written.count - 1 - min(written.count - 1, input.byte() % 16)].rawValue
            let count = UInt64(1 + input.byte() % 3)
            let answers = (0..<count).map { index in
                let choices = [
                    #""result":"0x\#(input.byte() % 6)""#, #""result":"0x\#(input.byte() % 6)""#,
                    #""error":{"code":-32000,"message":"no"}"#, #""result":true"#, #""x":1"#,
                ]
                return #"{"id":\#(id + index),\#(choices[input.byte() % choices.count])}"#
            }
            receive(Array((count == 1 ? answers[0] : "[" + answers.joined(separator: ",") + "]").utf8))
        case 6, 7:
            let filler = String(repeating: "x", count: input.byte())
            let id = input.byte() % 6
            receive(
                Array(
                    #"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x\#(id)","result":"\#(filler)"}}"#
                        .utf8
                )
            )
        case 8:
            if !asked.isEmpty { processor.cancelled(asked[input.byte() % asked.count], actions: &actions) }
        case 9:
            now += UInt64(input.byte())
            processor.deadlineReached(now: now, actions: &actions)
        case 10:
            if input.byte() & 1 == 0, let id = written.last {
                processor.writeRefused(id, RPCError(.sendBufferFull, "full"), actions: &actions)
            } else if !buffers.isEmpty {
                var arena = Arena()
                _ = buffers[input.byte() % buffers.count].refill(&arena)
                _ = processor.mayResumeReading()
            }
        default:
            receive(input.take(input.byte()))
        }
        perform()
    }
    processor.connectionLost(RPCError(.connectionClosed, "closed"), actions: &actions)
    perform()
    require(told.counts.count == waiters, "\(waiters - told.counts.count) waiters were not told")
    require(told.counts.values.allSatisfy { $0 == 1 }, "a waiter was told twice")
    require(processor.waitingCount == 0 && processor.subscriptionCount == 0, "something is left")
    require(processor.sharing.isEmpty, "something is left to join")
    require(processor.nextDeadline == nil, "a deadline is left")
    require(Set(written).count == written.count, "a message was written twice")
}

/// `@unchecked Sendable`: of one run, on one thread.
private final class Told: @unchecked Sendable {
    var counts: [Int: Int] = [:]
}

extension RequestProcessor {
    /// Those that wait for another's answer.
    fileprivate var joinedCount: Int {
        self.sharing.values.reduce(0) { count, sharing in
            guard case .asked(_, let joined) = sharing else { return count }
            return count + joined.count
        }
    }
}

extension SubscriptionMethods {
    /// The same with ids that equal requests share.
    fileprivate var sharing: SubscriptionMethods {
        var methods = self
        methods.sharesIDs = true
        return methods
    }
}

/// What can be read is written and read again as the same.
@Sendable func fuzzTranscript(_ input: FuzzInput) {
    guard let transcript = try? Transcript(parsing: input.bytes) else { return }
    let written = transcript.text
    guard let again = try? Transcript(parsing: written) else {
        fatalError("what was written cannot be read: \(String(decoding: written, as: UTF8.self))")
    }
    require(again.entries == transcript.entries, "it differs: \(String(decoding: written, as: UTF8.self))")
}
