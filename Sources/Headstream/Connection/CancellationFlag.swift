import Synchronization

/// Whether a caller was cancelled, for a request that is still on its way to the loop.
///
/// The cancellation handler sets it before it enqueues its own job, and the request's job looks at it: whichever of the
/// two comes first to the loop, the request ends once.
final class CancellationFlag: Sendable {
    private let flag = Atomic(false)

    var isSet: Bool { self.flag.load(ordering: .acquiring) }

    func set() {
        self.flag.store(true, ordering: .releasing)
    }
}
