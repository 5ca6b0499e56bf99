/// The order in which the addresses of a name are tried (RFC 8305 §5): each a delay after the one before, the next at
/// once when one fails, until one stands or all have failed.
struct AddressRace {
    enum Action: Equatable {
        /// Start the attempt of this index; the next is due after the delay, anew from now.
        case start(Int)
        /// Every address failed; this is the error of the first, which the resolver prefers.
        case fail(SocketError)
        case wait
    }

    /// RFC 8305 §8 recommends 250 ms.
    static let delay = Duration.milliseconds(250)

    private let count: Int
    private var next = 0
    private var running = 0
    private var firstError: SocketError?

    init(count: Int) {
        self.count = count
    }

    /// Whether a delay is worth waiting for.
    var hasMore: Bool { self.next < self.count }

    mutating func delayPassed() -> Action {
        guard self.next < self.count else { return .wait }
        self.next += 1
        self.running += 1
        return .start(self.next - 1)
    }

    mutating func attemptFailed(_ error: SocketError) -> Action {
        self.running -= 1
        let first = self.firstError ?? error
        self.firstError = first
        if self.next < self.count { return self.delayPassed() }
        return self.running == 0 ? .fail(first) : .wait
    }

    /// Families in turn, beginning with the one that comes first; within a family the resolver's order (RFC 8305 §4).
    static func interleaved<Element>(_ elements: [Element], isFirstFamily: (Element) -> Bool) -> [Element] {
        let first = elements.filter(isFirstFamily)
        let second = elements.filter { !isFirstFamily($0) }
        var result: [Element] = []
        for index in 0..<max(first.count, second.count) {
            if index < first.count { result.append(first[index]) }
            if index < second.count { result.append(second[index]) }
        }
        return result
    }
}
