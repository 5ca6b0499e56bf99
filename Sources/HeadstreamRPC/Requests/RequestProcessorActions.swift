/// What a change of ``RequestProcessor``'s state asks its shell to do, after the change has returned.
///
/// One value is used again and again, so that the usual notification, which asks for nothing, costs nothing.
package struct RequestProcessorActions: ~Copyable {
    /// A message to write, with the first of its ids.
    package struct Message: Sendable {
        package var id: RequestID
        package var request: RequestText

        /// All of it.
        package var text: [UInt8] { self.request.bytes(for: self.id) }

        /// All of it, in `scratch` where it is not in one piece yet.
        package func withBytes(_ scratch: inout [UInt8], _ body: (UnsafeRawBufferPointer) -> Void) {
            switch self.request {
            case .whole(let bytes):
                bytes.withUnsafeBytes(body)
            case .tail(let tail):
                scratch.removeAll(keepingCapacity: scratch.capacity <= 1 << 18)
                RequestMessage.append(id: self.id, tail: tail, to: &scratch)
                scratch.withUnsafeBytes(body)
            }
        }
    }

    /// A waiter to resume, and with what.
    package struct Resumption: Sendable {
        package var waiter: Waiter
        package var outcome: Waiter.Outcome
    }

    package var messages: [Message] = []
    /// Tasks that have found their outcomes (``SuspendedRequest``), to be resumed.
    package var tasks: [UnsafeContinuation<Void, Never>] = []
    /// Others who wait.
    package var resumptions: [Resumption] = []
    /// Consumers that wait, to be resumed: their stream has ended or has new items.
    package var consumers: [SuspendedConsumer] = []
    /// Subscriptions that ended by no act of their consumer.
    package var endedSubscriptions: [LocalSubscriptionID] = []
    /// What a diagnostics handler would like to know.
    package var notices: [RPCNotice] = []
    /// A subscription that suspends reading is full.
    package var suspendsReading = false
    /// The last subscription that suspended reading has ended: read again.
    package var resumesReading = false
    /// Notifications were stored: publish at the end of the read that brought them.
    package var hasFilled = false

    package init() {}

    package var isEmpty: Bool {
        self.messages.isEmpty && self.tasks.isEmpty && self.resumptions.isEmpty && self.consumers.isEmpty
            && self.notices.isEmpty && self.endedSubscriptions.isEmpty && !self.suspendsReading && !self.resumesReading
            && !self.hasFilled
    }

    /// Takes over the memory of actions that were carried out, so that the next ones need none of their own.
    package mutating func takeStorage(of done: inout RequestProcessorActions) {
        guard self.isEmpty else { return }
        done.messages.removeAll(keepingCapacity: done.messages.capacity <= Self.keptCapacity)
        done.tasks.removeAll(keepingCapacity: done.tasks.capacity <= Self.keptCapacity)
        done.resumptions.removeAll(keepingCapacity: done.resumptions.capacity <= Self.keptCapacity)
        swap(&self.messages, &done.messages)
        swap(&self.tasks, &done.tasks)
        swap(&self.resumptions, &done.resumptions)
    }

    private static var keptCapacity: Int { 1024 }

    /// Adds a notice; a node that sends nonsense by the million is heard a few times a turn, the counters know the rest.
    mutating func note(_ notice: @autoclosure () -> RPCNotice) {
        guard self.notices.count < 32 else { return }
        self.notices.append(notice())
    }
}

/// Something a node sent that nobody asked for or nobody could read; harmless, and worth knowing.
package enum RPCNotice: Sendable, Equatable {
    /// A message that is no JSON-RPC.
    case malformedMessage(String)
    /// An error that belongs to no request of ours (`id` null, absent or unknown).
    case unattributedError(NodeError)
    /// An answer to no request that waits: late, doubled or invented.
    case unknownResponse(UInt64?)
    /// More than the threshold waits for a consumer; both counts are in bytes.
    case slowConsumer(LocalSubscriptionID, kind: String, bytes: Int, limit: Int)
}
