import HeadstreamJSON
import HeadstreamRPC
import HeadstreamSockets

/// A subscription whose notifications are read on the loop, by the session itself: what gapless streams stand on.
///
/// It has a buffer as every subscription has; what a read brought is taken from it at the end of the turn.
///
/// `@unchecked Sendable`: touched on the session's loop alone.
final class PushedStream<Decoder: InPlaceDecoder>: @unchecked Sendable {
    let local: LocalSubscriptionID
    /// How it is asked for; nil for a request that does not encode.
    private(set) var kept: KeptSubscription?
    private let loop: any Loop
    private var reader: SubscriptionReader
    private var decoder: Decoder
    private let body: ([Decoder.Element]) -> Void
    /// Called where something was missed.
    private let lost: () -> Void
    private var isScheduled = false
    /// It is emptied at each turn's end. What one turn brings is no more than half of this, but for a single message.
    private static var leastLimit: Int { 4 << 20 }
    /// So many items are handed on at once.
    private static var batch: Int { 256 }

    init(
        _ session: Session,
        _ request: some SubscriptionRequest,
        _ decoder: Decoder,
        _ body: @escaping ([Decoder.Element]) -> Void,
        lost: @escaping () -> Void = {}
    ) {
        let signal = LoopSignal()
        let buffer = SubscriptionBuffer(
            limit: max(session.configuration.bufferLimit, Self.leastLimit),
            policy: .dropOldest,
            priority: .high,
            kind: request.kind,
            budget: session.bufferBudget,
            observer: { signal.fire() }
        )
        self.local = session.newLocalID()
        self.loop = session.loop
        self.reader = SubscriptionReader(buffer)
        self.decoder = decoder
        self.body = body
        self.lost = lost
        if let encoded = try? EncodedRequest(request.methods.subscribe, request.parameters) {
            self.kept = KeptSubscription(
                local: self.local,
                methods: request.methods,
                buffer: buffer,
                request: encoded,
                isShared: true
            )
        }
        signal.body = { [weak self] in self?.filled() }
    }

    /// Something was published. The processor is at work: what came is taken at the end of the turn.
    private func filled() {
        guard !self.isScheduled else { return }
        self.isScheduled = true
        self.loop.atTurnEnd { self.take() }
    }

    /// Takes what has come, now rather than at the end of the turn. Behind that nothing is left to be taken there.
    func take() {
        self.isScheduled = false
        var isComplete = true
        while case .filled = self.reader.refill() {
            if self.reader.takeLoss() != nil { isComplete = false }
            while true {
                let items = Self.read(&self.reader, &self.decoder, &isComplete)
                if !items.isEmpty { self.body(items) }
                guard items.count == Self.batch else { break }
            }
        }
        if !isComplete { self.lost() }
    }

    /// Reads a batch of what is there.
    private static func read(
        _ reader: inout SubscriptionReader,
        _ decoder: inout Decoder,
        _ isComplete: inout Bool
    ) -> [Decoder.Element] {
        // Each is decoded where it stays.
        Array(unsafeUninitializedCapacity: min(reader.count, Self.batch)) { items, count in
            guard let first = items.baseAddress else { return }
            while count < items.count, let record = reader.next() {
                (first + count).initialize(to: Decoder.blank.value)
                do {
                    try decoder.decode(record, into: &first[count])
                    count += 1
                } catch {
                    (first + count).deinitialize(count: 1)
                    if StreamMarker(record) == nil { isComplete = false }
                }
            }
        }
    }
}

/// Something to be called on the loop, which is known later than the place that calls it.
///
/// `@unchecked Sendable`: set and called on one loop alone.
private final class LoopSignal: @unchecked Sendable {
    var body: (() -> Void)?

    func fire() { self.body?() }
}
