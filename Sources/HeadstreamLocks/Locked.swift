#if HEADSTREAM_TSAN
import Glibc
#else
public import Synchronization
#endif

/// A value behind a lock.
///
/// It is the standard library's `Mutex`, except under the thread sanitizer (`-D HEADSTREAM_TSAN`, which
/// `make sanitize` sets): the sanitizer cannot see `Mutex`'s slow path on Linux and reports races that are none,
/// so there it is a `pthread_mutex_t`, which it knows.
///
/// Nothing that can block, resume a continuation or release a foreign object belongs into `withLock`.
public struct Locked<State: ~Copyable>: ~Copyable, Sendable {
    #if HEADSTREAM_TSAN
    private let storage: Storage

    /// `@unchecked Sendable`: `state` is touched between `pthread_mutex_lock` and `pthread_mutex_unlock` only.
    private final class Storage: @unchecked Sendable {
        let mutex: UnsafeMutablePointer<pthread_mutex_t>
        var state: State

        init(_ state: consuming sending State) {
            self.mutex = .allocate(capacity: 1)
            self.mutex.initialize(to: pthread_mutex_t())
            pthread_mutex_init(self.mutex, nil)
            self.state = state
        }

        deinit {
            pthread_mutex_destroy(self.mutex)
            self.mutex.deallocate()
        }
    }

    public init(_ state: consuming sending State) {
        self.storage = Storage(state)
    }

    public borrowing func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout sending State) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        pthread_mutex_lock(self.storage.mutex)
        defer { pthread_mutex_unlock(self.storage.mutex) }
        return try body(&self.storage.state)
    }
    #else
    @usableFromInline
    let mutex: Mutex<State>

    @inlinable
    public init(_ state: consuming sending State) {
        self.mutex = Mutex(state)
    }

    @inlinable
    public borrowing func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout sending State) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        try self.mutex.withLock(body)
    }
    #endif
}
