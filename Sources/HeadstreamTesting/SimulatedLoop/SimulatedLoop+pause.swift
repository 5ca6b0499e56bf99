import HeadstreamSockets

extension SimulatedLoop {
    /// The machine sleeps, or its process stands still: time goes on at once, and every deadline that passed meanwhile
    /// comes afterwards, late. On the loop.
    public func pause(for duration: Duration) {
        guard self.schedule.admits("pause(for:) was called from another thread") else { return }
        self.schedule.now = self.now.advanced(by: duration).nanoseconds
        self.horizon = max(self.horizon, self.schedule.now)
        self.schedule.wake(self.schedule.deadlines)
    }
}
