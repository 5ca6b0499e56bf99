import HeadstreamJSON
import HeadstreamRPC
import Synchronization

/// What the waiters were told, by a name the test chose.
final class Outcomes: Sendable {
    private let told = Mutex<[String: [Waiter.Outcome]]>([:])

    func waiter(_ name: String) -> Waiter {
        .callback { outcome in self.told.withLock { $0[name, default: []].append(outcome) } }
    }

    subscript(_ name: String) -> [Waiter.Outcome] {
        self.told.withLock { $0[name] ?? [] }
    }

    var all: [String: [Waiter.Outcome]] {
        self.told.withLock { $0 }
    }

    /// The result of the one outcome.
    func result(_ name: String) -> String? {
        let outcomes = self[name]
        guard outcomes.count == 1, case .success(let bytes) = outcomes[0] else { return nil }
        return bytes.text
    }

    /// The error of the one outcome.
    func error(_ name: String) -> RPCError? {
        let outcomes = self[name]
        guard outcomes.count == 1, case .failure(let error) = outcomes[0] else { return nil }
        return error
    }
}

/// A processor and the shell around it that a connection would be, without sockets.
final class ProcessorHarness {
    var processor: RequestProcessor
    let ids = RequestIDs()
    let outcomes = Outcomes()
    var now: UInt64 = 1_000
    /// Messages written, in order.
    private(set) var sent: [(id: RequestID, text: String)] = []
    private(set) var notices: [RPCNotice] = []
    private(set) var ended: [LocalSubscriptionID] = []
    private(set) var isSuspended = false
    private(set) var wokenConsumers = 0
    private var actions = RequestProcessorActions()

    init(seed: UInt64 = 1, _ configure: (inout RequestProcessor.Limits) -> Void = { _ in }) {
        var limits = RequestProcessor.Limits()
        configure(&limits)
        self.processor = RequestProcessor(limits: limits, ids: self.ids, seed: seed)
    }

    // MARK: Facts

    @discardableResult
    func call(_ name: String, timeout: UInt64 = 30_000, method: String = "eth_call") -> RequestID {
        let id = self.ids.take()
        let text = RequestMessage.encode(id: id, method: method) { _ in }
        let waiter = self.outcomes.waiter(name)
        self.act { processor, actions in
            processor.submit(
                id,
                text: text,
                now: self.now,
                deadline: self.now + timeout,
                waiter: waiter,
                actions: &actions
            )
        }
        return id
    }

    @discardableResult
    func batch(_ names: [String], timeout: UInt64 = 30_000) -> RequestID {
        let first = self.ids.take(names.count)
        let text = RequestMessage.encodeBatch(
            firstID: first,
            tails: names.map { _ in RequestMessage.tail(method: "eth_call") { _ in } }
        )
        let waiters = names.map { self.outcomes.waiter($0) }
        self.act { processor, actions in
            processor.submitBatch(
                first,
                text: text,
                now: self.now,
                deadline: self.now + timeout,
                waiters: waiters,
                actions: &actions
            )
        }
        return first
    }

    @discardableResult
    func subscribe(
        _ local: UInt64,
        _ buffer: SubscriptionBuffer,
        timeout: UInt64 = 30_000,
        methods: SubscriptionMethods = .ethereum,
        sharing kind: String? = nil
    ) -> RequestID {
        let id = self.ids.take(kind: self.ids.kind(of: methods))
        let text = RequestMessage.encode(id: id, method: methods.subscribe) { $0.write(kind ?? "newHeads") }
        let waiter = self.outcomes.waiter("subscribe \(local)")
        self.act { processor, actions in
            processor.subscribe(
                LocalSubscriptionID(rawValue: local),
                methods,
                key: kind.map { SubscriptionKey(methods, request: Array($0.utf8)) },
                id: id,
                text: text,
                buffer: buffer,
                now: self.now,
                deadline: self.now + timeout,
                waiter: waiter,
                actions: &actions
            )
        }
        return id
    }

    /// Subscribes and lets the node acknowledge with `serverID`, a JSON text.
    func activate(
        _ local: UInt64,
        _ serverID: String,
        limit: Int = 1 << 20,
        policy: BufferPolicy = .fail,
        methods: SubscriptionMethods = .ethereum
    ) -> TestConsumer {
        let buffer = SubscriptionBuffer(limit: limit, policy: policy)
        let id = self.subscribe(local, buffer, methods: methods)
        self.receive(#"{"jsonrpc":"2.0","id":\#(id.rawValue),"result":\#(serverID)}"#)
        return TestConsumer(buffer)
    }

    func unsubscribe(_ local: UInt64, _ name: String = "unsubscribe") {
        let waiter = self.outcomes.waiter(name)
        self.act { processor, actions in
            processor.unsubscribe(
                LocalSubscriptionID(rawValue: local),
                now: self.now,
                waiter: waiter,
                actions: &actions
            )
        }
    }

    func forget(_ local: LocalSubscriptionID) {
        self.act { $0.forget(local, now: self.now, actions: &$1) }
    }

    func cancel(_ id: RequestID) {
        self.act { $0.cancelled(id, actions: &$1) }
    }

    func writeRefused(_ id: RequestID) {
        self.act { $0.writeRefused(id, RPCError(.sendBufferFull, "full"), actions: &$1) }
    }

    func lose(_ error: RPCError = RPCError(.connectionClosed, "closed")) {
        self.act { $0.connectionLost(error, actions: &$1) }
    }

    func advance(to now: UInt64) {
        self.now = now
        self.act { $0.deadlineReached(now: now, actions: &$1) }
    }

    func receive(_ message: String, publishes: Bool = true) {
        self.receive(Array(message.utf8), publishes: publishes)
    }

    func receive(_ message: [UInt8], publishes: Bool = true) {
        withPadded(message) { bytes in
            self.act(publishes: publishes) { $0.received(bytes, now: self.now, actions: &$1) }
        }
    }

    /// The end of a read: what was received finds its consumers.
    func publish() {
        self.act { _, _ in }
    }

    func respond(_ id: RequestID, _ result: String = #""0x1""#) {
        self.receive(#"{"jsonrpc":"2.0","id":\#(id.rawValue),"result":\#(result)}"#)
    }

    func refuse(_ id: RequestID, code: Int, _ message: String) {
        self.receive(#"{"jsonrpc":"2.0","id":\#(id.rawValue),"error":{"code":\#(code),"message":"\#(message)"}}"#)
    }

    func mayResumeReading() -> Bool { self.processor.mayResumeReading() }

    // MARK: The shell

    private func act(
        publishes: Bool = true,
        _ fact: (inout RequestProcessor, inout RequestProcessorActions) -> Void
    ) {
        fact(&self.processor, &self.actions)
        if publishes { self.processor.publish(&self.actions) }
        self.sent += self.actions.messages.map { ($0.id, String(decoding: $0.text, as: UTF8.self)) }
        self.notices += self.actions.notices
        self.ended += self.actions.endedSubscriptions
        if self.actions.suspendsReading { self.isSuspended = true }
        if self.actions.resumesReading { self.isSuspended = false }
        let tasks = self.actions.tasks
        let resumptions = self.actions.resumptions
        let consumers = self.actions.consumers
        self.actions.messages = []
        self.actions.notices = []
        self.actions.endedSubscriptions = []
        self.actions.tasks = []
        self.actions.resumptions = []
        self.actions.consumers = []
        self.actions.suspendsReading = false
        self.actions.resumesReading = false
        for task in tasks { task.resume() }
        for resumption in resumptions { resumption.waiter.resume(with: resumption.outcome) }
        for consumer in consumers { consumer.resume() }
        self.wokenConsumers += consumers.count
    }

    /// Texts written for a method.
    func sent(_ method: String) -> [String] {
        self.sent.map(\.text).filter { $0.contains("\"\(method)\"") }
    }

    /// Nothing is left of any request.
    var isEmpty: Bool {
        self.processor.waitingCount == 0 && self.processor.inFlight == 0 && self.processor.nextDeadline == nil
    }
}

/// A notification as geth writes it.
func notification(_ subscription: String, _ result: String) -> String {
    """
    {"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":\(subscription),"result":\(result)}}
    """
}
