import Synchronization

/// Whether who waits for the next connection was cancelled before the session knew of it.
///
/// The cancellation handler sets it before it enqueues its own job, and the waiter's job looks at it: whichever of the two
/// comes first to the loop, the wait ends once.
final class CancellationFlag: Sendable {
    private let flag = Atomic(false)

    var isSet: Bool { self.flag.load(ordering: .acquiring) }

    func set() {
        self.flag.store(true, ordering: .releasing)
    }
}
