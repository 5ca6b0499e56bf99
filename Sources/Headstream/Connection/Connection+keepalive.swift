import HeadstreamRPC
import HeadstreamSockets
import HeadstreamWebSocket

// Asking at intervals whether the other side lives. An idle connection wakes for nothing else.
extension Connection {
    /// The connection stands.
    func startKeepalive() {
        guard let times = self.configuration.keepalive.times(overIPC: self.endpoint.isIPC) else { return }
        self.keepalive = KeepaliveStateMachine(
            interval: times.interval.nanoseconds,
            timeout: times.timeout.nanoseconds,
            now: self.loop.now.nanoseconds
        )
        self.scheduleKeepalive()
    }

    func stopKeepalive() {
        self.keepalive = nil
        if let deadline = self.keepaliveDeadline { self.loop.cancel(deadline) }
        self.keepaliveDeadline = nil
    }

    /// Reads again after a consumer held it up.
    func readOn() {
        self.channel?.isReading = true
        if self.drainsWhenReading {
            self.drainsWhenReading = false
            self.enqueue { $0.drain() }
        }
        // What was not heard meanwhile says nothing.
        self.hasHeard = true
        guard self.keepalive != nil, self.keepaliveDeadline == nil else { return }
        self.keepalive?.resumed(now: self.loop.now.nanoseconds)
        self.scheduleKeepalive()
    }

    private func scheduleKeepalive() {
        guard let instant = self.keepalive?.nextLook else { return }
        self.keepaliveDeadline = self.loop.schedule(at: LoopInstant(nanoseconds: instant)) { [weak self] in
            self?.assumeIsolated { $0.lookForLife() }
        }
    }

    private func lookForLife() {
        self.keepaliveDeadline = nil
        guard case .open = self.phase, let channel = self.channel else { return }
        // Without reading nothing can be heard: `readOn` goes on with this.
        guard channel.isReading else { return }
        let action = self.keepalive?.deadlineReached(now: self.loop.now.nanoseconds, hasHeard: self.hasHeard)
        self.hasHeard = false
        switch action {
        case .ask: self.askForLife(channel)
        case .dead: return self.endForSilence()
        case .wait, nil: break
        }
        self.scheduleKeepalive()
    }

    private func askForLife(_ channel: any Channel) {
        switch self.configuration.keepalive {
        case .ping:
            // What the node does not read grows by one ping an interval, and no further than everything else.
            if channel.queuedBytes < self.configuration.maxUnsentBytes {
                self.write(.ping, UnsafeRawBufferPointer(start: nil, count: 0))
            }
        case .request(_, let timeout):
            let id = self.ids.take()
            let now = self.loop.now
            self.inbound.processor.ask(
                id,
                text: Self.question(id),
                now: now.nanoseconds,
                deadline: now.advanced(by: timeout).nanoseconds,
                actions: &self.actions
            )
            self.perform()
        case .off:
            break
        }
    }

    private func endForSilence() {
        let (question, timeout) =
            switch self.configuration.keepalive {
            case .ping(_, let timeout): ("ping", timeout)
            case .request(_, let timeout): ("request", timeout)
            case .off: ("question", .zero)
            }
        var error = Web3Error(
            .connectionClosed,
            "\(self.endpoint): no byte within \(timeout.formatted) of a \(question); the connection is dead"
        )
        if !self.endpoint.isIPC { error.closeCode = CloseCode.abnormal }
        error.endedInSilence = true
        self.end(error)
    }
}

extension Keepalive {
    /// Below this a keepalive would be a load.
    private static let shortest = Duration.milliseconds(100)

    /// How often, and how long to wait; nil where nothing is asked.
    func times(overIPC isIPC: Bool) -> (interval: Duration, timeout: Duration)? {
        switch self {
        case .ping(let interval, let timeout):
            isIPC ? nil : (max(interval, Self.shortest), max(timeout, Self.shortest))
        case .request(let interval, let timeout):
            (max(interval, Self.shortest), max(timeout, Self.shortest))
        case .off: nil
        }
    }
}

extension Duration {
    /// `20 s`, `0.25 s`.
    fileprivate var formatted: String {
        let (seconds, attoseconds) = self.components
        return attoseconds == 0 ? "\(seconds) s" : "\(self)"
    }
}
