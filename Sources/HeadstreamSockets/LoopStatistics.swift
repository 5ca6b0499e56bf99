/// What an ``EventLoop`` has done since it started; all counts.
package struct LoopStatistics: Hashable, Sendable {
    /// Returns from a wait that blocked.
    package var wakeUps = 0
    /// Turns, with or without a wait.
    package var turns = 0
    /// Jobs of actors and tasks that were enqueued and have run.
    package var jobs = 0
    /// Bodies of ``Loop/execute(_:)`` that have run.
    package var bodies = 0
    /// Deadlines that were reached.
    package var deadlines = 0
    /// Times the timer was set.
    package var timerArms = 0
    /// Calls of `recv`.
    package var reads = 0
    package var bytesRead = 0
    /// Calls of `send`.
    package var writes = 0
    package var bytesWritten = 0
    /// Changes of the set of descriptors that are waited for.
    package var interestChanges = 0
    /// Open channels, connecting ones included, and listeners: now, not since the start.
    package var openSockets = 0
}
