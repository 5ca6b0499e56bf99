import Glibc

/// Ctrl-C and its kin, waited for by a thread of their own: nothing runs inside a signal handler.
enum Signals {
    /// Blocks the signals that end the command and waits for them. Call it first: threads made later inherit the mask.
    ///
    /// A signal that whoever started the command has ignored (`nohup`, a shell's background job) stays ignored.
    ///
    /// - Parameter received: called on the waiting thread with each signal.
    /// - Returns: whether there was a thread for it.
    static func watch(_ received: @escaping @Sendable (Int32) -> Void) -> Bool {
        // A closed pipe is told by the write that fails, so that the subscription can be ended before the process.
        signal(SIGPIPE, SIG_IGN)
        var set = sigset_t()
        sigemptyset(&set)
        var count = 0
        for number in [SIGINT, SIGTERM, SIGHUP] where !self.isIgnored(number) {
            sigaddset(&set, number)
            count += 1
        }
        guard count > 0 else { return true }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        let watched = set
        return Threads.start {
            var set = watched
            while true {
                var number: Int32 = 0
                guard sigwait(&set, &number) == 0 else { return }
                received(number)
            }
        }
    }

    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        guard sigaction(number, nil, &action) == 0 else { return false }
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1  // SIG_IGN
    }
}
