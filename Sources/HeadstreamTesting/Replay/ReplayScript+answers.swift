import HeadstreamJSON

extension ReplayScript {
    /// What goes out for one message of the client.
    mutating func answers(to message: WireMessage) -> [[UInt8]] {
        guard let elements = message.elements, !elements.isEmpty, elements.allSatisfy({ $0.isCall(in: message) }) else {
            return self.answersToForeign(message)
        }
        if message.isBatch, let refused = self.answerToBatch(elements, of: message) { return [refused] }
        var before: [[UInt8]] = []
        var answers: [[UInt8]] = []
        for element in elements {
            if let answer = self.answer(to: element, of: message, before: &before) { answers.append(answer) }
        }
        guard !answers.isEmpty else { return before }
        return before + (message.isBatch ? [answers.joinedAsBatch()] : answers)
    }

    /// A message that no node takes for a request, or not every node: it is answered as recorded, to the byte.
    private mutating func answersToForeign(_ message: WireMessage) -> [[UInt8]] {
        let key = Recording.foreignKey(message.bytes)
        self.asked.insert(key)
        if let call = self.take(key) { return self.recording.calls[call].answer.map { [$0.bytes] } ?? [] }
        if !self.options.isStrict, self.recording.keys.contains(key) { return [] }
        guard let elements = message.elements else {
            return [
                Self.error(id: "null", code: -32700, "the message is not JSON-RPC, and the transcript does not hold it")
            ]
        }
        guard !elements.isEmpty else { return [Self.error(id: "null", code: -32600, "an empty batch")] }
        // Requests after all, only not quite version 2.0, which the recorded client did not send so.
        let answers = elements.map { element -> [UInt8] in
            guard element.method != nil else {
                return Self.error(id: element.id.map { message.text($0) } ?? "null", code: -32600, "no method")
            }
            var before: [[UInt8]] = []
            return self.answer(to: element, of: message, before: &before) ?? []
        }
        let some = answers.filter { !$0.isEmpty }
        return some.isEmpty ? [] : message.isBatch ? [some.joinedAsBatch()] : some
    }

    /// The one answer to a batch that the recorded node refused as a whole.
    private mutating func answerToBatch(_ elements: [WireMessage.Element], of message: WireMessage) -> [UInt8]? {
        guard !self.options.isStrict else { return nil }
        let keys = elements.map { Self.key(of: $0, in: message) }
        let batch = Recording.batchKey(keys)
        guard let call = self.take(batch) else { return nil }
        for key in keys { self.asked.insert(key) }
        return self.recording.calls[call].answer?.bytes
    }

    /// The answer to one request, with its id; nil where none goes out.
    private mutating func answer(
        to element: WireMessage.Element,
        of message: WireMessage,
        before: inout [[UInt8]]
    ) -> [UInt8]? {
        let id = element.id.map { message.text($0) }
        let method = element.method ?? ""
        let key = Self.key(of: element, in: message)
        self.asked.insert(key)

        if self.options.isStrict, !self.isNext(key, method: method) {
            let refusal = self.refuse(element, in: message)
            return id.map { Self.error(id: $0, code: -32600, refusal) }
        }
        if SubscriptionVerb(method) == .unsubscribe,
            let place = self.subscriptions.lastIndex(where: { Self.isOnly($0.id, in: element, of: message) })
        {
            return self.unsubscribe(place, method: method, id: id, recorded: self.passNext())
        }
        if let id, let result = self.answerFromChain(element, of: message, key) {
            return Array("{\"jsonrpc\":\"2.0\",\"id\":\(id),\"result\":".utf8) + result + [UInt8(ascii: "}")]
        }
        guard let call = self.take(key) else {
            // Asked for in the recording too, and never answered there.
            if !self.options.isStrict, self.recording.keys.contains(key) { return nil }
            let text = self.missing(method, CanonicalParameters.text(element.params.map { message[$0] }))
            // Which chain it is, a client asks by itself, before it connects again.
            if self.problems.count < 100, method != "eth_chainId" { self.problems.append(text) }
            let isKnown = self.recording.methods.contains(method)
            return id.map { Self.error(id: $0, code: isKnown ? -32602 : -32601, text) }
        }
        guard let answer = self.recording.calls[call].answer else { return nil }
        guard let lane = self.recording.calls[call].lane.map({ self.lane(for: key, recorded: $0) }) else {
            return id.map { Self.splice(answer, id: $0, result: nil) }
        }
        return self.subscribe(call, lane: lane, answer: answer, id: id, before: &before)
    }

    // MARK: The chain

    /// What a client that has subscribed to heads is told of blocks that the recorded client did not ask for, and of
    /// `latest`, which must not be a block that it is still to hear of. Nil where the recording itself is to answer.
    private mutating func answerFromChain(
        _ element: WireMessage.Element,
        of message: WireMessage,
        _ key: String
    ) -> [UInt8]? {
        guard !self.options.isStrict, let subscribed = self.headsSubscribed, let params = element.params else {
            return nil
        }
        let isLatest = RecordedChain.asksForLatest(key)
        guard isLatest || self.recording.answeredByKey[key] == nil else { return nil }
        if self.chain == nil { self.chain = RecordedChain(self.recording) }
        defer { if isLatest { self.hasAskedForLatest = true } }
        return self.chain?.answer(
            element.method ?? "",
            Array(message[params]),
            of: self.recording,
            before: self.recording.nextPlayed[self.cursor],
            subscribed: self.hasAskedForLatest ? nil : subscribed
        )
    }

    // MARK: Matching

    private static func key(of element: WireMessage.Element, in message: WireMessage) -> String {
        CanonicalParameters.key(method: element.method ?? "", params: element.params.map { message[$0] })
    }

    /// Which of the recorded requests with a key is meant now, and moves the point past it if it lies ahead.
    ///
    /// The next one that was made before the node does something by itself; else the last one that lies behind; else
    /// the first. nil if none was recorded with an answer.
    private mutating func take(_ key: String) -> Int? {
        if self.options.isStrict {
            guard self.nextCall < self.recording.calls.count, self.recording.calls[self.nextCall].key == key else {
                return nil
            }
            return self.passNext()
        }
        guard let answered = self.recording.answeredByKey[key] else { return nil }
        // The first that does not lie behind the point, by bisection: a session may poll a method ten thousand times.
        var (low, high) = (0, answered.count)
        while low < high {
            let middle = (low + high) / 2
            if self.recording.calls[answered[middle]].item < self.cursor { low = middle + 1 } else { high = middle }
        }
        if low < answered.count {
            let next = answered[low]
            let item = self.recording.calls[next].item
            if item < self.recording.nextPlayed[self.cursor] {
                // A batch is one item with several calls: the point stays on it until another item is asked for.
                self.cursor = max(self.cursor, item + (self.isAlone(next) ? 1 : 0))
                return next
            }
        }
        return low > 0 ? answered[low - 1] : answered.first
    }

    private func isAlone(_ call: Int) -> Bool {
        guard case .calls(let range) = self.recording.items[self.recording.calls[call].item] else { return true }
        return range.count == 1
    }

    // MARK: Strict matching

    /// Whether a request is the next recorded one. An unsubscribing is known by its method: its id is another.
    private func isNext(_ key: String, method: String) -> Bool {
        guard self.nextCall < self.recording.calls.count else { return false }
        let next = self.recording.calls[self.nextCall]
        return next.key == key || (next.method == method && SubscriptionVerb(method) == .unsubscribe)
    }

    /// With strict matching, goes on to the next recorded request and returns the one that was next.
    @discardableResult
    private mutating func passNext() -> Int? {
        guard self.options.isStrict, self.nextCall < self.recording.calls.count else { return nil }
        let call = self.nextCall
        repeat {
            self.nextCall += 1
        } while self.nextCall < self.recording.calls.count && self.recording.calls[self.nextCall].isBatch
        return call
    }

    /// What a client is told whose request is not the next recorded one.
    private mutating func refuse(_ element: WireMessage.Element, in message: WireMessage) -> String {
        let params = CanonicalParameters.text(element.params.map { message[$0] })
        var text =
            "strict replay of \(self.recording.name): \(Self.show(element.method ?? "", params)) was not expected; "
        if self.nextCall < self.recording.calls.count {
            let next = self.recording.calls[self.nextCall]
            text += "line \(next.line) comes next: \(Self.show(next))"
        } else {
            text += "the recording holds no more requests"
        }
        if self.problems.count < 100 { self.problems.append(text) }
        return text
    }

    // MARK: Subscriptions

    /// The lane of the client's next subscription with a key: the first that it does not hold, and the last one for
    /// more subscriptions than were recorded at a time, so that each of them is served.
    private func lane(for key: String, recorded: Int) -> Int {
        let lanes = self.recording.lanesByKey[key] ?? [recorded]
        if let shared = lanes.last, self.recording.lanes[shared].isShared { return shared }
        let free = lanes.first { lane in !self.subscriptions.contains { $0.isActive && $0.lane == lane } }
        return free ?? lanes.last ?? recorded
    }

    private mutating func subscribe(
        _ call: Int,
        lane: Int,
        answer: Recording.Answer,
        id: String?,
        before: inout [[UInt8]]
    ) -> [UInt8]? {
        if self.recording.lanes[lane].isShared,
            let holder = self.subscriptions.first(where: { $0.isActive && $0.lane == lane })
        {
            return id.map { Self.splice(answer, id: $0, result: holder.id) }
        }
        let isText = answer.result.flatMap { answer.bytes[$0].first } == UInt8(ascii: "\"")
        let recorded = answer.result.map { String(decoding: answer.bytes[$0], as: UTF8.self) } ?? ""
        let handed = self.handOut(isText: isText, recorded: recorded)
        before += self.earlyNotifications(for: call, answer: answer, handed: handed)
        self.subscribed(to: lane, id: handed)
        if self.recording.lanes[lane].key == RecordedChain.headsKey {
            self.headsSubscribed = self.recording.calls[call].item
            self.hasAskedForLatest = false
        }
        return id.map { Self.splice(answer, id: $0, result: handed) }
    }

    /// An id that no subscription of the recording has, of the same kind: text or a number, which may be beyond
    /// `Int64.max` (edge case 11).
    private mutating func handOut(isText: Bool, recorded: String) -> String {
        self.handedOut &+= 1
        guard isText else {
            let isLarge = UInt64(recorded).map { $0 > UInt64(Int64.max) } ?? false
            return String(self.handedOut &+ (isLarge ? 0xA000_0000_0000_0000 : 1_000_000))
        }
        var state = self.handedOut
        let words = [SeededGenerator.splitMix(&state), SeededGenerator.splitMix(&state)]
        let digits = words.map { word in
            let text = String(word, radix: 16)
            return String(repeating: "0", count: 16 - text.utf8.count) + text
        }
        return "\"0x" + digits.joined() + "\""
    }

    /// Notifications that the recorded node sent in front of the subscription's answer go out in front of it again.
    private mutating func earlyNotifications(for call: Int, answer: Recording.Answer, handed: String) -> [[UInt8]] {
        var early: [[UInt8]] = []
        for place in self.recording.calls[call].item..<answer.item where !self.playedEarly.contains(place) {
            guard case .notifications(let parts, _) = self.recording.items[place], place >= self.cursor else {
                continue
            }
            for part in parts where part.earlyFor == call {
                early.append(part.bytes.replacing([(part.id, Array(handed.utf8))]))
                self.playedEarly.insert(place)
            }
        }
        return early
    }

    /// Ends a subscription: answered true, recorded or not. A second time it is answered as the recorded node did to
    /// such a thing, and with an error if none was recorded.
    private mutating func unsubscribe(_ place: Int, method: String, id: String?, recorded: Int?) -> [UInt8]? {
        let subscription = self.subscriptions[place]
        self.subscriptions[place].isActive = false
        // The recorded client's own unsubscribing counts as made: the ids differ, and one end is like another.
        for call in self.recording.calls where call.method == method { self.asked.insert(call.key) }
        guard let id else { return nil }
        if subscription.isActive { return Array("{\"jsonrpc\":\"2.0\",\"id\":\(id),\"result\":true}".utf8) }
        let again =
            recorded
            ?? self.recording.calls.firstIndex { call in
                guard call.endedLane == subscription.lane, let answer = call.answer else { return false }
                return answer.result.map { !answer.bytes[$0].elementsEqual("true".utf8) } ?? true
            }
        if let answer = again.flatMap({ self.recording.calls[$0].answer }) {
            return Self.splice(answer, id: id, result: nil)
        }
        return Self.error(id: id, code: -32000, "subscription not found")
    }

    /// Whether the only parameter is this id.
    private static func isOnly(_ id: String, in element: WireMessage.Element, of message: WireMessage) -> Bool {
        CanonicalParameters.onlyText(element.params.map { message[$0] }) == id
    }

    // MARK: Texts

    private static func splice(_ answer: Recording.Answer, id: String, result: String?) -> [UInt8] {
        var replacements: [(range: Range<Int>, bytes: [UInt8])] = []
        if let range = answer.id { replacements.append((range, Array(id.utf8))) }
        if let range = answer.result, let result { replacements.append((range, Array(result.utf8))) }
        return answer.bytes.replacing(replacements)
    }

    private static func error(id: String, code: Int, _ message: String) -> [UInt8] {
        let text = JSONValue.string(message).description
        return Array("{\"jsonrpc\":\"2.0\",\"id\":\(id),\"error\":{\"code\":\(code),\"message\":\(text)}}".utf8)
    }

    /// What the client is told about a request that the transcript does not hold.
    private func missing(_ method: String, _ params: String) -> String {
        var text = "the transcript \(self.recording.name) does not hold \(Self.show(method, params))"
        let near = self.nearest(to: method, params)
        text += near.isEmpty ? "; it holds no requests" : "; nearest: " + near.joined(separator: ", ")
        return text
    }

    /// Up to three recorded requests: of the same method those whose parameters agree longest, else of the methods
    /// that are spelt most alike.
    private func nearest(to method: String, _ params: String) -> [String] {
        var seen: Set<String> = []
        let all = self.recording.calls.filter { !$0.method.isEmpty && seen.insert($0.key).inserted }
        let same = all.filter { $0.method == method }
        let ranked: [(rank: Int, call: Recording.Call)]
        if same.isEmpty {
            var methods: Set<String> = []
            ranked = all.filter { methods.insert($0.method).inserted }
                .map { (EditDistance.between(method, $0.method), $0) }
        } else {
            ranked = same.map { (-Self.agreement(params, $0.params), $0) }
        }
        return ranked.sorted { ($0.rank, $0.call.line) < ($1.rank, $1.call.line) }.prefix(3)
            .map { "line \($0.call.line) \(Self.show($0.call))" }
    }

    /// How many bytes two texts have in common at their beginnings and ends.
    private static func agreement(_ left: String, _ right: String) -> Int {
        let front = zip(left.utf8, right.utf8).prefix { $0 == $1 }.count
        let back = zip(left.utf8.reversed(), right.utf8.reversed()).prefix { $0 == $1 }.count
        return front + back
    }

    private static func show(_ call: Recording.Call) -> String { self.show(call.method, call.params) }

    private static func show(_ method: String, _ params: String) -> String {
        let name = Transcript.excerpt(of: method.utf8)
        return params.isEmpty ? name : "\(name) \(Transcript.excerpt(of: params.utf8, limit: 120))"
    }
}
