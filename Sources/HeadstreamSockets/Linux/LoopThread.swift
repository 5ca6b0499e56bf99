#if os(Linux)
internal import CHeadstreamLinux
internal import Glibc

/// Threads of our own: a loop, a resolver. They block in system calls, which the concurrency pool's threads must not.
enum LoopThread {
    private final class Start {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }
    }

    /// The calling thread; never 0.
    static var current: UInt {
        UInt(pthread_self())
    }

    /// Starts a thread with every signal blocked, so that the user's handlers run on the user's threads.
    /// A detached one cannot be joined. Returns its identity, or nil where the system has no thread left.
    @discardableResult
    static func start(name: String, detached: Bool, _ body: @escaping @Sendable () -> Void) -> UInt? {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        if detached { pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED)) }

        var all = sigset_t()
        var old = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &old)
        defer { pthread_sigmask(SIG_SETMASK, &old, nil) }

        let start = Unmanaged.passRetained(Start(body))
        var thread = pthread_t()
        let status = pthread_create(
            &thread,
            &attributes,
            { argument in
                if let argument { Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body() }
                return nil
            },
            start.toOpaque()
        )
        guard status == 0 else {
            start.release()
            return nil
        }
        if !detached { headstream_name_thread(thread, String(decoding: name.utf8.prefix(15), as: UTF8.self)) }
        return UInt(thread)
    }

    /// Waits until a thread that is not detached has ended.
    static func join(_ thread: UInt) {
        pthread_join(pthread_t(thread), nil)
    }
}
#endif
