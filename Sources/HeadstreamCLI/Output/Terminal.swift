import Glibc
import HeadstreamLocks

/// stdout and stderr, written by a thread of their own.
///
/// Lines are collected while the thread writes, so that a burst goes out in few large writes and a single line at once:
/// nothing waits for a buffer to fill. A reader that does not read makes ``ready()`` wait and nothing else. The thread
/// sleeps in `poll` and also notices there that the reader of a pipe has gone, before the next line tells it.
final class Terminal: Sendable {
    /// How many bytes may wait to be written before ``ready()`` suspends.
    private static let highWater = 1 << 20

    private struct State {
        var lines: [UInt8] = []
        var messages: [UInt8] = []
        /// What is to be done once the lines are written.
        var keeping: (@Sendable () -> Int32)?
        var isAsleep = false
        var isFinished = false
        var hasFailed = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    /// Whether stderr is a terminal and shows the status line.
    let status: StatusLine?
    private let state = Locked(State())
    private let stop: StopSignal
    private let wakes: SelfPipe
    private let finished: SelfPipe

    /// Nil where the system has no threads or descriptors left.
    init?(stop: StopSignal) {
        guard let wakes = SelfPipe(), let finished = SelfPipe() else { return nil }
        self.stop = stop
        self.wakes = wakes
        self.finished = finished
        let isShown = Descriptor.isTerminal(STDERR_FILENO)
        self.status = isShown ? StatusLine(hasColor: Descriptor.wantsColor(STDERR_FILENO)) : nil
        guard Threads.start({ self.work() }) else { return nil }
    }

    // MARK: For the run

    /// Appends to stdout what `body` writes: whole lines.
    func print(_ body: (inout [UInt8]) -> Void) {
        let wakes = self.state.withLock { state in
            if !state.hasFailed { body(&state.lines) }
            defer { state.isAsleep = false }
            return state.isAsleep
        }
        if wakes { self.wakes.wake() }
    }

    /// Has `body` called on the writing thread once all lines so far are written; of several that wait only the last one.
    ///
    /// - Parameter body: returns 0, or the `errno` that ends the run.
    func keep(_ body: @escaping @Sendable () -> Int32) {
        let wakes = self.state.withLock { state in
            if !state.hasFailed { state.keeping = body }
            defer { state.isAsleep = false }
            return state.isAsleep
        }
        if wakes { self.wakes.wake() }
    }

    /// A line of its own on stderr.
    func report(_ text: String) {
        let wakes = self.state.withLock { state in
            state.messages += Array(text.utf8)
            state.messages.append(0x0A)
            defer { state.isAsleep = false }
            return state.isAsleep
        }
        if wakes { self.wakes.wake() }
    }

    /// Has the status line drawn anew, soon.
    func statusChanged() {
        let wakes = self.state.withLock { state in
            defer { state.isAsleep = false }
            return state.isAsleep
        }
        if wakes { self.wakes.wake() }
    }

    /// Whether ``ready()`` would return at once.
    var isReady: Bool { self.state.withLock { $0.lines.count < Self.highWater } }

    /// Suspends while much waits to be written; not in a task that is cancelled.
    func ready() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waits = self.state.withLock { state in
                    // Asked under the lock: a cancellation before this point found nobody to resume.
                    guard state.lines.count >= Self.highWater, !state.hasFailed, !Task.isCancelled else { return false }
                    state.waiter = continuation
                    return true
                }
                if !waits { continuation.resume() }
            }
        } onCancel: {
            self.takeWaiter()?.resume()
        }
    }

    private func takeWaiter() -> CheckedContinuation<Void, Never>? {
        self.state.withLock { state in
            defer { state.waiter = nil }
            return state.waiter
        }
    }

    /// Waits until all is written. Called once, at the end.
    ///
    /// - Parameter milliseconds: the longest wait; nil for no bound.
    func finish(milliseconds: Int32?) {
        let wakes = self.state.withLock { state in
            state.isFinished = true
            defer { state.isAsleep = false }
            return state.isAsleep
        }
        if wakes { self.wakes.wake() }
        self.finished.wait(milliseconds: milliseconds)
    }

    // MARK: On the thread

    private func work() {
        var lines: [UInt8] = []
        var messages: [UInt8] = []
        var isDrawn = false
        var isOpen = true
        while true {
            lines.removeAll(keepingCapacity: true)
            messages.removeAll(keepingCapacity: true)
            let (isFinished, waiter, keeping) = self.state.withLock { state in
                swap(&lines, &state.lines)
                swap(&messages, &state.messages)
                defer {
                    state.waiter = nil
                    state.keeping = nil
                }
                return (state.isFinished, state.waiter, state.keeping)
            }
            if isDrawn, !lines.isEmpty || !messages.isEmpty || isFinished {
                _ = Descriptor.write(StatusLine.erase, to: STDERR_FILENO)
                isDrawn = false
            }
            if !messages.isEmpty { _ = Descriptor.write(messages, to: STDERR_FILENO) }
            if !lines.isEmpty, isOpen {
                isOpen = self.outcome(Descriptor.write(lines, to: STDOUT_FILENO))
            }
            if let keeping, isOpen, case let error = keeping(), error != 0 { self.stop.stop(.cursorFailed(error)) }
            waiter?.resume()
            if lines.isEmpty, messages.isEmpty, keeping == nil, isFinished { return self.finished.wake() }
            if let status = self.status, !isFinished,
                let text = status.text(StatusLine.milliseconds(), isDrawn: isDrawn)
            {
                _ = Descriptor.write(text, to: STDERR_FILENO)
                isDrawn = true
            }
            self.sleep(isOpen: &isOpen)
        }
    }

    /// Sleeps until there is something to write, the status line is due, or the reader of stdout is gone.
    private func sleep(isOpen: inout Bool) {
        let sleeps = self.state.withLock { state in
            state.isAsleep =
                state.lines.isEmpty && state.messages.isEmpty && state.keeping == nil && !state.isFinished
            return state.isAsleep
        }
        guard sleeps else { return }
        // Asked after `isAsleep` is set: what changes from here on wakes this thread.
        let now = StatusLine.milliseconds()
        let timeout = self.status?.due.map { Int32(clamping: $0 > now ? $0 - now : 0) } ?? -1
        var entries = (
            pollfd(fd: self.wakes.readEnd, events: Int16(POLLIN), revents: 0),
            // No events asked for: an error or a hang-up is told all the same.
            pollfd(fd: isOpen ? STDOUT_FILENO : -1, events: 0, revents: 0)
        )
        let count = withUnsafeMutableBytes(of: &entries) { bytes in
            poll(bytes.assumingMemoryBound(to: pollfd.self).baseAddress, 2, timeout)
        }
        self.state.withLock { $0.isAsleep = false }
        guard count > 0 else { return }
        if entries.0.revents != 0 { self.wakes.drain() }
        if entries.1.revents & Int16(POLLERR | POLLHUP | POLLNVAL) != 0 { isOpen = self.outcome(EPIPE) }
    }

    /// What a write came to; after a failure the run ends, and what it prints yet is dropped.
    private func outcome(_ error: Int32) -> Bool {
        guard error != 0 else { return true }
        self.state.withLock { state in
            state.hasFailed = true
            state.lines = []
            state.keeping = nil
        }
        self.stop.stop(error == EPIPE ? .outputClosed : .outputFailed(error))
        return false
    }
}
