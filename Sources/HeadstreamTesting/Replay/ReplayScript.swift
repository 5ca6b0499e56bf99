package import HeadstreamSockets

/// What a replaying node does next.
package enum ReplayAction: Sendable, Hashable {
    /// Send this message.
    case send([UInt8])
    /// Close the connection in order.
    case close(code: UInt16, reason: String)
    /// Let the connection vanish without a closing handshake.
    case drop
    /// The recording told of a failure here: let the connection break.
    case error(String)
    /// Nothing before this time, unless the client does something.
    case wait(until: LoopInstant)
    /// Nothing until the client does something: connects, subscribes, asks.
    case idle
    /// Everything was played. Requests are answered all the same.
    case finished
}

/// The node's side of a transcript as a state machine, without I/O: who serves it tells what the client did and asks
/// for the next action whenever the connection can take one more message.
///
/// ```swift
/// var script = ReplayScript(transcript)
/// script.opened(now: now)
/// for answer in script.received(message, now: now) { send(answer) }
/// while case .send(let message) = script.nextAction(now: now) { send(message) }
/// ```
///
/// A request is matched by method and canonical parameters, not by id or place. Asked for several times in the
/// recording, it gets the next answer up to the next thing the node does by itself, else the last one before the
/// current point, else the first. Blocks and logs that the recorded client did not ask for, a client that has subscribed to
/// heads is told from what was pushed (``RecordedChain``), and `latest` as it was then: what gapless streams ask for. Notifications are played in the recorded order, under the ids that this client's
/// subscriptions were given:
///
/// - one whose subscription the client holds is sent; where the recorded client had asked for `latest` before it, as gapless
///   streams do, when this one has too or has been quiet for the settle time;
/// - one whose subscription the client has ended is skipped;
/// - one whose subscription the client has not made is held: without limit while it holds none at all, and until it
///   has been quiet for ``ReplayOptions/settleTime`` while it holds others; then it is skipped, and so are those that
///   follow, until the client subscribes after all.
///
/// The end of a connection is played when every request recorded before it was made, or the client has subscribed to
/// something, and all has been quiet for the settle time. One script serves one client with one connection at a
/// time; after a reconnect it goes on where it was.
package struct ReplayScript: Sendable {
    let recording: Recording
    package let options: ReplayOptions

    /// The item that is played next, or one of those before it that only answer.
    var cursor = 0
    private var outbox: [[UInt8]] = []
    private var outboxHead = 0
    private var isConnected = false
    private var isFinished = false
    /// When the client last did something.
    private var lastActivity = LoopInstant(nanoseconds: 0)
    /// When the node last sent something by itself.
    private var lastSent = LoopInstant(nanoseconds: 0)
    /// The client made a request on this connection.
    private var wasAsked = false
    /// The client subscribed on this connection.
    var hasSubscribed = false
    /// The keys asked for while the recording stood in its present connection.
    var asked: Set<String> = []
    /// How many of that connection's calls, from its first, are known to be among them.
    private var askedCount = 0
    /// Which real time stands for which recorded time.
    private var anchor: (instant: LoopInstant, time: Duration)?
    /// Whether the item at the cursor waited for the client, so that it is due at once when it may go.
    private var wasHeld = false

    /// The client's subscriptions on this connection.
    var subscriptions: [Subscription] = []
    /// Lanes that the client has subscribed to on this connection, also if it ended them.
    var subscribedLanes: Set<Int> = []
    /// Lanes that are played past because the client did not subscribe to them in time.
    private var absentLanes: Set<Int> = []
    /// Ids handed out so far, over all connections.
    var handedOut: UInt64 = 0
    /// Early notifications that went out in front of their subscription's answer.
    var playedEarly: Set<Int> = []
    /// The recorded chain, read when the client first asks for something of it.
    var chain: RecordedChain?
    /// Where the recording subscribes to heads as the client did last on this connection, and whether the client has asked
    /// for `latest` since.
    var headsSubscribed: Int?
    var hasAskedForLatest = false
    /// It was waited for in vain that the client asks for `latest` on this connection, as the recorded one did.
    private var asksForNoLatest = false
    /// For strict matching: the call that must come next.
    var nextCall = 0

    /// What the client asked for and the recording does not hold, for the messages of tests; the first hundred.
    package internal(set) var problems: [String] = []

    struct Subscription: Sendable {
        /// The id as JSON.
        var id: String
        var lane: Int
        var isActive = true
    }

    package init(_ transcript: Transcript, options: ReplayOptions = ReplayOptions()) {
        self.recording = Recording(transcript)
        self.options = options
    }

    /// How many subscriptions the client holds.
    package var activeSubscriptions: Int { self.subscriptions.count { $0.isActive } }

    // MARK: Facts

    /// The client's connection stands. A connection that was not told as closed is over.
    package mutating func opened(now: LoopInstant) {
        self.closed()
        self.isConnected = true
        self.lastActivity = now
        let next = self.recording.nextPlayed[self.cursor]
        if case .open = self.recording.items[next] {
            self.cursor = next + 1
            self.asked = []
            self.askedCount = 0
            self.anchor = (now, self.recording.times[next])
            self.nextCall = self.recording.calls.firstIndex { $0.item > next } ?? self.recording.calls.count
        } else {
            self.anchor = (now, self.recording.times[min(self.cursor, self.recording.times.count - 1)])
        }
    }

    /// The client's connection is over, by whoever's act.
    package mutating func closed() {
        self.isConnected = false
        self.wasAsked = false
        self.hasSubscribed = false
        self.headsSubscribed = nil
        self.asksForNoLatest = false
        self.subscriptions = []
        self.subscribedLanes = []
        self.absentLanes = []
        self.outbox = []
        self.outboxHead = 0
        self.wasHeld = false
    }

    /// The client sent a message. Returns what goes out in answer, before anything else: mostly one message, none for
    /// a request without an id or one whose answer was never recorded.
    package mutating func received(_ message: [UInt8], now: LoopInstant) -> [[UInt8]] {
        self.received(WireMessage(message), now: now)
    }

    /// The same for a message that was looked at.
    mutating func received(_ message: WireMessage, now: LoopInstant) -> [[UInt8]] {
        self.lastActivity = now
        self.wasAsked = true
        return self.answers(to: message)
    }

    /// What to do now. Ask again after each message sent, after each fact, and when the time of a
    /// ``ReplayAction/wait(until:)`` has come.
    package mutating func nextAction(now: LoopInstant) -> ReplayAction {
        // Each round sends, stops, or moves the cursor on, so this ends.
        while true {
            if self.outboxHead < self.outbox.count {
                self.outboxHead += 1
                self.lastSent = now
                return .send(self.outbox[self.outboxHead - 1])
            }
            self.outbox.removeAll(keepingCapacity: true)
            self.outboxHead = 0
            if self.isFinished { return .finished }
            let place = self.recording.nextPlayed[self.cursor]
            switch self.gate(at: place, now: now) {
            case .held:
                self.wasHeld = true
                return .idle
            case .settling(let instant):
                self.wasHeld = true
                return .wait(until: instant)
            case .passing:
                self.cursor = place + 1
                continue
            case .open: break
            }
            if let due = self.due(at: place, now: now), due > now { return .wait(until: due) }
            self.wasHeld = false
            switch self.recording.items[place] {
            case .notifications(let parts, let isBatch):
                self.cursor = place + 1
                self.play(parts, at: place, isBatch: isBatch)
            case .spontaneous(let bytes):
                self.cursor = place + 1
                self.lastSent = now
                return .send(bytes)
            case .end(let event):
                return self.end(with: event, at: place)
            case .finish:
                self.isFinished = true
            case .open, .calls, .passive:
                return .idle
            }
        }
    }
}

// MARK: - Ends of streams

extension ReplayScript {
    /// Ends the client's subscriptions and returns what tells it so: for each a notification with an error in place of
    /// a result, as servers write it that end subscriptions by themselves.
    package mutating func endSubscriptions() -> [[UInt8]] {
        var notices: [[UInt8]] = []
        for index in self.subscriptions.indices where self.subscriptions[index].isActive {
            self.subscriptions[index].isActive = false
            let id = self.subscriptions[index].id
            let text = #"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":\#(id),"#
            notices.append(Array((text + #""error":{"code":0,"message":"the recording is over"}}}"#).utf8))
        }
        return notices
    }
}

// MARK: - Playing

extension ReplayScript {
    /// Whether an item may be played.
    private enum Gate {
        case open
        /// There is nobody to play it to.
        case passing
        /// The client must do something first.
        case held
        /// The client may do something until then.
        case settling(LoopInstant)
    }

    private mutating func gate(at place: Int, now: LoopInstant) -> Gate {
        switch self.recording.items[place] {
        case .open: return .held
        case .finish where self.isOver(place): return .open
        case _ where !self.isConnected: return .held
        case _ where self.options.isStrict: return self.hasMadeCalls(before: place) ? self.strictGate(at: place) : .held
        case .notifications(let parts, _): return self.gate(for: parts, at: place, now: now)
        case .spontaneous:
            if self.hasAskedEverything(before: place) { return .open }
            return self.wasAsked ? self.settled(now) : .held
        case .end, .finish:
            if !self.hasAwaitedSubscriptions(at: place) { return .held }
            let isOver = self.hasAskedEverything(before: place)
            guard isOver || self.hasSubscribed else { return .held }
            // The recorded client had the time between the last message and the end to react; give some to this one.
            if self.options.speed.factor == nil {
                return self.settled(now, since: max(self.lastActivity, self.lastSent))
            }
            return isOver ? .open : self.settled(now)
        case .calls, .passive: return .passing
        }
    }

    /// Whether the end of the recording lies behind an end of a connection that was played.
    private func isOver(_ place: Int) -> Bool {
        guard place > 0, case .end = self.recording.items[place - 1] else { return false }
        return self.cursor == place
    }

    private mutating func gate(for parts: [Recording.Notification], at place: Int, now: LoopInstant) -> Gate {
        var isPlayed = false
        var isHeld = false
        for part in parts {
            guard let lane = part.lane else {
                isPlayed = true
                continue
            }
            if self.subscriptions.contains(where: { $0.isActive && $0.lane == lane }) {
                isPlayed = true
            } else if !self.subscribedLanes.contains(lane), !self.absentLanes.contains(lane) {
                isHeld = true
            }
        }
        if self.options.awaitedSubscriptions > 0 {
            guard self.hasAwaitedSubscriptions(at: place) else { return .held }
            return isPlayed ? .open : .passing
        }
        if isHeld, self.activeSubscriptions == 0 { return .held }
        let lacksLatest = isPlayed && self.lacksLatest(before: place)
        if isHeld || lacksLatest {
            let settled = self.settled(now)
            guard case .open = settled else { return settled }
            if lacksLatest { self.asksForNoLatest = true }
        }
        return isPlayed || isHeld ? .open : .passing
    }

    /// Whether the recorded client had asked for `latest` before this place, as gapless streams do when they have subscribed,
    /// and this one may still: it takes what it was pushed before the answer for older than its beginning.
    private func lacksLatest(before place: Int) -> Bool {
        guard !self.asksForNoLatest, !self.asked.contains(RecordedChain.latestKey) else { return false }
        let connection = self.recording.connections[place]
        let calls = self.recording.answeredByKey[RecordedChain.latestKey] ?? []
        // In the recording's order: those behind the place are not gone through.
        let earlier = calls.lazy.map { self.recording.calls[$0].item }.prefix { $0 < place }
        return earlier.contains { self.recording.connections[$0] == connection }
    }

    /// Whether the client has made as many subscriptions as ``ReplayOptions/awaitedSubscriptions`` asks for here.
    private func hasAwaitedSubscriptions(at place: Int) -> Bool {
        let wanted = self.options.awaitedSubscriptions
        if self.subscriptions.count >= wanted { return true }
        let calls = self.recording.callsOfConnection[self.recording.connections[place]]
        let recorded = Set(calls.compactMap { self.recording.calls[$0].lane })
        return self.subscribedLanes.count >= min(wanted, recorded.count)
    }

    private func strictGate(at place: Int) -> Gate {
        guard case .notifications(let parts, _) = self.recording.items[place] else { return .open }
        let isPlayed = parts.contains { part in
            part.lane.map { lane in self.subscriptions.contains { $0.isActive && $0.lane == lane } } ?? true
        }
        return isPlayed ? .open : .passing
    }

    private func settled(_ now: LoopInstant, since start: LoopInstant? = nil) -> Gate {
        let instant = (start ?? self.lastActivity).advanced(by: self.options.settleTime)
        return now >= instant ? .open : .settling(instant)
    }

    private func hasMadeCalls(before place: Int) -> Bool {
        self.nextCall >= self.recording.calls.count || self.recording.calls[self.nextCall].item > place
    }

    /// Whether every request recorded in this connection before `place` was made, in whatever order.
    private mutating func hasAskedEverything(before place: Int) -> Bool {
        let calls = self.recording.callsOfConnection[self.recording.connections[place]]
        while self.askedCount < calls.count {
            let call = self.recording.calls[calls[self.askedCount]]
            guard call.item < place, call.isBatch || self.asked.contains(call.key) else { return call.item > place }
            self.askedCount += 1
        }
        return true
    }

    /// When an item is due; nil for at once. What waited for the client is due when it may go, and the recording's
    /// times count from there.
    private mutating func due(at place: Int, now: LoopInstant) -> LoopInstant? {
        guard let factor = self.options.speed.factor else { return nil }
        let time = self.recording.times[place]
        guard let anchor = self.anchor else {
            self.anchor = (now, time)
            return nil
        }
        let due = anchor.instant.advanced(by: (time - anchor.time) / factor)
        if self.wasHeld, due < now {
            self.anchor = (now, time)
            return nil
        }
        return due
    }

    private mutating func play(_ parts: [Recording.Notification], at place: Int, isBatch: Bool) {
        var messages: [[UInt8]] = []
        for part in parts {
            guard let lane = part.lane else {
                messages.append(part.bytes)
                continue
            }
            if part.earlyFor != nil, self.playedEarly.contains(place) { continue }
            let holders = self.subscriptions.filter { $0.isActive && $0.lane == lane }
            if holders.isEmpty, !self.subscribedLanes.contains(lane) { self.absentLanes.insert(lane) }
            for holder in holders {
                messages.append(part.bytes.replacing([(part.id, Array(holder.id.utf8))]))
            }
        }
        guard !messages.isEmpty else { return }
        if isBatch { self.outbox.append(messages.joinedAsBatch()) } else { self.outbox += messages }
    }

    private mutating func end(with event: Transcript.Event, at place: Int) -> ReplayAction {
        let isLast: Bool
        if case .finish = self.recording.items[self.recording.nextPlayed[place + 1]] {
            isLast = true
        } else {
            isLast = false
        }
        self.cursor = place + 1
        if isLast, !self.options.playsFinalEvent {
            self.isFinished = true
            return .finished
        }
        self.closed()
        switch event {
        case .close(let code, let reason): return .close(code: code, reason: reason)
        case .error(let text): return .error(text)
        default: return .drop
        }
    }

    /// A subscription is made: the lane is played from here on, if it had been given up.
    mutating func subscribed(to lane: Int, id: String) {
        // What has ended is kept for a second unsubscribing, but not for ever.
        if self.subscriptions.count >= 4096 { self.subscriptions.removeAll { !$0.isActive } }
        self.subscriptions.append(.init(id: id, lane: lane))
        self.subscribedLanes.insert(lane)
        self.absentLanes.remove(lane)
        self.hasSubscribed = true
    }
}

extension Recording.Call {
    /// Whether it stands for a batch as a whole, beside the batch's own calls.
    var isBatch: Bool { self.key.hasPrefix("\u{0}batch\u{0}") }
}

extension [UInt8] {
    /// The bytes with ranges of them replaced.
    func replacing(_ replacements: [(range: Range<Int>, bytes: [UInt8])]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(self.count + 64)
        var offset = 0
        for (range, bytes) in replacements.sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) {
            result += self[offset..<range.lowerBound]
            result += bytes
            offset = range.upperBound
        }
        result += self[offset...]
        return result
    }
}

extension [[UInt8]] {
    /// The messages as one JSON array.
    func joinedAsBatch() -> [UInt8] {
        var bytes = [UInt8(ascii: "[")]
        for (index, message) in self.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes += message
        }
        bytes.append(UInt8(ascii: "]"))
        return bytes
    }
}
