/// A transcript made ready for playing: every request with its answer, every notification with its subscription.
struct Recording {
    /// What stands at a place of the recording.
    enum Item {
        /// The connection stands, or stands again.
        case open
        /// A message of the client: its calls.
        case calls(Range<Int>)
        /// An answer, which goes out when its request comes, or a remark: nothing to play.
        case passive
        /// Notifications of one message, each with its lane, or nil where no subscription is recorded for it.
        case notifications([Notification], isBatch: Bool)
        /// A message of the node that answers nothing.
        case spontaneous([UInt8])
        /// The end of a connection: `close`, `drop` or `error`.
        case end(Transcript.Event)
        /// After the last line.
        case finish

        /// Whether playing stops here, until it is this item's turn.
        var isPlayed: Bool {
            switch self {
            case .calls, .passive: false
            case .open, .notifications, .spontaneous, .end, .finish: true
            }
        }
    }

    struct Notification {
        var bytes: [UInt8]
        /// Where the subscription's id stands in the bytes.
        var id: Range<Int>
        var lane: Int?
        /// The call it came before the answer of (edge case 25: a notification may overtake its subscription's answer).
        var earlyFor: Int?
    }

    /// One recorded request.
    struct Call {
        /// Method and parameters, canonically; of a message that is no proper request, its whole text.
        var key: String
        var method: String
        var params: String
        var line: Int
        /// The item it stands at.
        var item: Int
        var connection: Int
        /// The recorded answer; nil if there was none.
        var answer: Answer?
        /// Whether the answer is sent as it was, without another id.
        var isVerbatim = false
        /// The lane of the subscription that it made.
        var lane: Int?
        /// The lane of the subscription that it ended, or tried to end again.
        var endedLane: Int?
    }

    struct Answer {
        var bytes: [UInt8]
        var id: Range<Int>?
        var result: Range<Int>?
        var item: Int
    }

    /// Subscriptions with equal method and parameters that followed one another; several lanes of one key were open
    /// at the same time.
    struct Lane {
        var key: String
        /// Whether several of them had one id.
        var isShared = false
    }

    let name: String
    var items: [Item] = []
    /// The time of each item, carried on where the transcript gives none.
    var times: [Duration] = []
    /// The connection each item belongs to, counted from 0.
    var connections: [Int] = []
    var calls: [Call] = []
    /// Every key that occurs.
    var keys: Set<String> = []
    /// For each key its calls that have an answer, in order.
    var answeredByKey: [String: [Int]] = [:]
    /// Every method that occurs.
    var methods: Set<String> = []
    var lanes: [Lane] = []
    var lanesByKey: [String: [Int]] = [:]
    /// For each place the first item from there on that is played.
    var nextPlayed: [Int] = []
    /// For each connection its calls.
    var callsOfConnection: [[Int]] = []

    init(_ transcript: Transcript) {
        self.name = transcript.name
        var builder = RecordingBuilder()
        for entry in transcript.entries { builder.add(entry, to: &self) }
        builder.finish(&self)

        self.callsOfConnection = Array(repeating: [], count: (self.connections.last ?? 0) + 1)
        for (index, call) in self.calls.enumerated() {
            self.keys.insert(call.key)
            self.methods.insert(call.method)
            if call.answer != nil { self.answeredByKey[call.key, default: []].append(index) }
            self.callsOfConnection[call.connection].append(index)
        }
        self.nextPlayed = Array(repeating: self.items.count - 1, count: self.items.count + 1)
        for index in self.items.indices.reversed() {
            self.nextPlayed[index] = self.items[index].isPlayed ? index : self.nextPlayed[index + 1]
        }
    }
}

/// Reads a transcript's entries in order.
struct RecordingBuilder {
    private var time = Duration.zero
    private var connection = -1
    private var isOpen = false
    /// Calls of this connection without an answer so far, by message; a refused batch is answered as a whole.
    private var pending: [PendingMessage] = []
    /// The subscriptions of this connection: recorded id (its JSON text) to call, the last one winning.
    private var subscriptions: [String: Int] = [:]
    private var openLanes: Set<Int> = []
    /// Notifications of this connection whose subscription was not known yet.
    private var unresolved: [(item: Int, part: Int, id: String)] = []

    private struct PendingMessage {
        var calls: [(call: Int, id: String?)]
        /// The call that stands for the whole message: a message that is no request, or a batch.
        var whole: Int?
        /// Ids of what is no proper request.
        var foreignIDs: [String] = []
    }

    mutating func add(_ entry: Transcript.Entry, to recording: inout Recording) {
        if let time = entry.time { self.time = time }
        switch entry.event {
        case .remark: break
        case .open:
            // A connection that begins before the last one ended: the last one vanished without a word.
            if self.isOpen { self.end(.drop, &recording) }
            self.open(&recording)
        case .close, .drop, .error:
            if !self.isOpen { self.open(&recording) }
            self.end(entry.event, &recording)
        case .fromClient(let bytes):
            if !self.isOpen { self.open(&recording) }
            self.addRequest(WireMessage(bytes), line: entry.line, &recording)
        case .fromNode(let bytes):
            if !self.isOpen { self.open(&recording) }
            self.addNodeMessage(WireMessage(bytes), &recording)
        }
    }

    mutating func finish(_ recording: inout Recording) {
        self.closeConnection(&recording)
        if self.connection < 0 { self.connection = 0 }
        self.append(.finish, &recording)
    }

    private mutating func append(_ item: Recording.Item, _ recording: inout Recording) {
        recording.items.append(item)
        recording.times.append(self.time)
        recording.connections.append(self.connection)
    }

    private mutating func open(_ recording: inout Recording) {
        self.connection += 1
        self.isOpen = true
        self.append(.open, &recording)
    }

    private mutating func end(_ event: Transcript.Event, _ recording: inout Recording) {
        self.append(.end(event), &recording)
        self.closeConnection(&recording)
    }

    private mutating func closeConnection(_ recording: inout Recording) {
        for (item, part, id) in self.unresolved {
            guard let call = self.subscriptions[id], case .notifications(var parts, let isBatch) = recording.items[item]
            else { continue }
            parts[part].lane = recording.calls[call].lane
            if let answer = recording.calls[call].answer, answer.item > item { parts[part].earlyFor = call }
            recording.items[item] = .notifications(parts, isBatch: isBatch)
        }
        self.isOpen = false
        self.pending = []
        self.subscriptions = [:]
        self.openLanes = []
        self.unresolved = []
    }

    // MARK: The client's messages

    private mutating func addRequest(_ message: WireMessage, line: Int, _ recording: inout Recording) {
        let first = recording.calls.count
        let item = recording.items.count
        func append(_ key: String, method: String = "", params: String = "", isVerbatim: Bool = false) -> Int {
            recording.calls.append(
                .init(
                    key: key,
                    method: method,
                    params: params,
                    line: line,
                    item: item,
                    connection: self.connection,
                    isVerbatim: isVerbatim
                )
            )
            return recording.calls.count - 1
        }

        var pending = PendingMessage(calls: [])
        if let elements = message.elements, !elements.isEmpty, elements.allSatisfy({ $0.isCall(in: message) }) {
            var keys: [String] = []
            for element in elements {
                let params = CanonicalParameters.text(element.params.map { message[$0] })
                let method = element.method ?? ""
                let key = method + "\u{0}" + params
                let call = append(key, method: method, params: params)
                if SubscriptionVerb(method) == .unsubscribe {
                    let id = CanonicalParameters.onlyText(element.params.map { message[$0] })
                    recording.calls[call].endedLane = self.subscriptions[id].flatMap { recording.calls[$0].lane }
                }
                keys.append(key)
                pending.calls.append((call, element.id.map { message.text($0) }))
            }
            if message.isBatch { pending.whole = append(Recording.batchKey(keys), isVerbatim: true) }
        } else {
            pending.whole = append(Recording.foreignKey(message.bytes), isVerbatim: true)
            pending.foreignIDs = (message.elements ?? []).compactMap { $0.id.map { message.text($0) } }
        }
        self.pending.append(pending)
        self.append(.calls(first..<recording.calls.count), &recording)
    }

    // MARK: The node's messages

    private mutating func addNodeMessage(_ message: WireMessage, _ recording: inout Recording) {
        let item = recording.items.count
        var notifications: [Recording.Notification] = []
        var matched = false
        for element in message.elements ?? [] {
            if let subscription = element.subscription, element.method != nil, element.id == nil {
                let start = element.range.lowerBound
                let id = message.text(subscription)
                notifications.append(
                    .init(
                        bytes: Array(message[element.range]),
                        id: subscription.lowerBound - start..<subscription.upperBound - start,
                        lane: self.subscriptions[id].flatMap { recording.calls[$0].lane }
                    )
                )
                if self.subscriptions[id] == nil {
                    self.unresolved.append((item, notifications.count - 1, id))
                }
            } else if self.answer(element, of: message, item: item, &recording) {
                matched = true
            }
        }
        if !notifications.isEmpty {
            self.append(.notifications(notifications, isBatch: message.isBatch), &recording)
        } else if matched || self.answerWhole(message, item: item, &recording) {
            self.append(.passive, &recording)
        } else {
            self.append(.spontaneous(message.bytes), &recording)
        }
    }

    /// Gives an answer to the oldest request that waits for its id.
    private mutating func answer(
        _ element: WireMessage.Element,
        of message: WireMessage,
        item: Int,
        _ recording: inout Recording
    ) -> Bool {
        guard let idRange = element.id, element.result != nil || element.hasError else { return false }
        let id = message.text(idRange)
        for place in self.pending.indices {
            guard let index = self.pending[place].calls.firstIndex(where: { $0.id == id }) else { continue }
            let call = self.pending[place].calls.remove(at: index).call
            // A batch that is answered element by element is not answered as a whole.
            self.pending[place].whole = nil
            if self.pending[place].calls.isEmpty { self.pending.remove(at: place) }
            let start = element.range.lowerBound
            recording.calls[call].answer = .init(
                bytes: Array(message[element.range]),
                id: idRange.lowerBound - start..<idRange.upperBound - start,
                result: element.result.map { $0.lowerBound - start..<$0.upperBound - start },
                item: item
            )
            if let result = element.result, !element.hasError {
                self.noteSubscription(call, id: message.text(result), &recording)
            }
            return true
        }
        return false
    }

    /// Gives an answer that names no request to the oldest message that can only be answered so.
    private mutating func answerWhole(_ message: WireMessage, item: Int, _ recording: inout Recording) -> Bool {
        let ids = (message.elements ?? []).compactMap { $0.id.map { message.text($0) } }
        let answersNobody = ids.allSatisfy { $0 == "null" }
        guard
            let place = self.pending.firstIndex(where: { pending in
                pending.whole != nil && (answersNobody || ids.contains { pending.foreignIDs.contains($0) })
            }), let whole = self.pending[place].whole
        else { return false }
        self.pending.remove(at: place)
        recording.calls[whole].answer = .init(bytes: message.bytes, id: nil, result: nil, item: item)
        return true
    }

    private mutating func noteSubscription(_ call: Int, id: String, _ recording: inout Recording) {
        guard let verb = SubscriptionVerb(recording.calls[call].method), let first = id.utf8.first else { return }
        if verb == .unsubscribe {
            if id == "true", let lane = recording.calls[call].endedLane { self.openLanes.remove(lane) }
        } else if first == UInt8(ascii: "\"") || UInt8(ascii: "0")...UInt8(ascii: "9") ~= first {
            let key = recording.calls[call].key
            // An id that an equal request was given and still has: both share it, as Solana's nodes do.
            if let earlier = self.subscriptions[id], recording.calls[earlier].key == key,
                let lane = recording.calls[earlier].lane, self.openLanes.contains(lane)
            {
                recording.lanes[lane].isShared = true
                recording.calls[call].lane = lane
                return
            }
            let known = recording.lanesByKey[key] ?? []
            let lane: Int
            if let free = known.first(where: { !self.openLanes.contains($0) }) {
                lane = free
            } else {
                lane = recording.lanes.count
                recording.lanes.append(.init(key: key))
                recording.lanesByKey[key, default: []].append(lane)
            }
            self.openLanes.insert(lane)
            recording.calls[call].lane = lane
            self.subscriptions[id] = call
        }
    }
}

extension Recording {
    /// The key of a batch as a whole. No method begins with a zero byte.
    static func batchKey(_ keys: [String]) -> String { "\u{0}batch\u{0}" + keys.joined(separator: "\u{0}\u{0}") }

    /// The key of a message that is no request.
    static func foreignKey(_ bytes: [UInt8]) -> String {
        "\u{0}foreign\u{0}" + CanonicalParameters.text(ofMessage: bytes)
    }
}

extension WireMessage {
    func text(_ range: Range<Int>) -> String { String(decoding: self[range], as: UTF8.self) }
}
