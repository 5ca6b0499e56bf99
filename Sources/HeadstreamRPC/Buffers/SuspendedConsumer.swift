package import HeadstreamLocks
import Synchronization

/// A task that waits until there is something for it, behind a lock: see ``AwaitedState``.
///
/// An object, because the standard library does not tell a continuation's layout, and state that holds one directly costs
/// each lock operation dear. Not a checked one: it is resumed by whoever takes the object out of the state, which happens
/// once, and the check makes another object at each wake-up. Debug builds check it here.
package final class SuspendedConsumer: Sendable {
    private let continuation: UnsafeContinuation<Void, Never>
    #if DEBUG
    private let wasResumed = Atomic(false)

    deinit {
        assert(self.wasResumed.load(ordering: .relaxed), "a consumer was forgotten")
    }
    #endif

    fileprivate init(_ continuation: UnsafeContinuation<Void, Never>) {
        self.continuation = continuation
    }

    /// Without the lock; whoever took it out of the state calls it, once.
    package func resume() {
        #if DEBUG
        assert(!self.wasResumed.exchange(true, ordering: .relaxed), "a consumer was resumed twice")
        #endif
        self.continuation.resume()
    }
}

/// What is behind a lock where one task at a time waits for a change.
package protocol AwaitedState: ~Copyable, SendableMetatype {
    /// Who waits. Whoever makes the state ready takes it out (``takeConsumer()``) and resumes it.
    var consumer: SuspendedConsumer? { get set }
    /// Whether there is something to go on with: an item, or the end.
    var isReady: Bool { get }
}

extension AwaitedState where Self: ~Copyable {
    package mutating func takeConsumer() -> SuspendedConsumer? {
        let consumer = self.consumer
        self.consumer = nil
        return consumer
    }
}

extension Locked where State: AwaitedState & ~Copyable {
    /// Suspends until the state is ready or the task is cancelled.
    ///
    /// One consumer may wait at a time; a second one makes the first return.
    package borrowing func waitUntilReady() async {
        // The standard library's older forms, which switch to no executor; the closure does, and the caller behind it:
        // Docs/Runtime.md.
        await _unsafeInheritExecutor_withTaskCancellationHandler {
            await _unsafeInheritExecutor_withUnsafeContinuation { continuation in
                let consumer = SuspendedConsumer(continuation)
                let resumed: SuspendedConsumer? = self.withLock { state in
                    // Asked under the lock: the handler below may have run before, with nobody to resume.
                    if Task.isCancelled || state.isReady { return consumer }
                    let earlier = state.takeConsumer()
                    state.consumer = consumer
                    return earlier
                }
                resumed?.resume()
            }
        } onCancel: {
            self.withLock { $0.takeConsumer() }?.resume()
        }
    }
}
