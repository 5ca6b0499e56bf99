import Glibc

/// Threads of the command's own, which block in system calls where the event loop must not.
enum Threads {
    private final class Start {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }
    }

    /// Starts a detached thread with the caller's signal mask.
    ///
    /// - Returns: whether the system had one left.
    static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
        let start = Unmanaged.passRetained(Start(body))
        var thread: pthread_t = 0
        let status = pthread_create(
            &thread,
            nil,
            { argument in
                if let argument { Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body() }
                return nil
            },
            start.toOpaque()
        )
        guard status == 0 else {
            start.release()
            return false
        }
        pthread_detach(thread)
        return true
    }
}
