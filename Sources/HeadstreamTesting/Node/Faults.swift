/// Which ``Fault`` meets which message of a node: at places that are named, or drawn from a seed.
///
/// ```swift
/// // One message of a hundred cuts the connection, one of fifty is lost; every tenth connection is refused.
/// let node = try await TestNode(chain: chain, faults: Faults(seed: 7, [.cut: 1, .drop: 2, .refuse: 10]))
/// // The twelfth message breaks off in its middle.
/// let other = try await TestNode(chain: chain, faults: Faults(at: [12: .tear]))
/// ```
///
/// Messages are counted over all connections, answers and notifications alike. On a ``SimulatedLoop`` a run is a function
/// of its seeds, so a failing schedule is one number.
public struct Faults: Sendable {
    private var random = SeededGenerator(seed: 0)
    private var chances: [(fault: Fault, percent: Double)] = []
    private var places: [Int: Fault] = [:]
    private var messages = 0
    private var connections = 0
    /// Of the test's own: they meet the next messages.
    private var next: [Fault] = []

    /// None.
    public init() {}

    /// Faults at random.
    /// - Parameter percent: the chance of each for a message, or for a connection in the case of ``Fault/refuse``. They add
    ///   up; a message meets one fault at most.
    public init(seed: UInt64, _ percent: KeyValuePairs<Fault, Double>) {
        self.random = SeededGenerator(seed: seed)
        self.chances = percent.map { ($0.key, $0.value) }
    }

    /// Faults at places.
    /// - Parameter places: by the number of the message, or of the connection for ``Fault/refuse``, from 1.
    public init(at places: [Int: Fault]) {
        self.places = places
    }

    /// The next message, or for ``Fault/refuse`` the next connection, meets this one.
    mutating func append(_ fault: Fault) {
        self.next.append(fault)
    }

    /// What meets the next message.
    mutating func forMessage() -> Fault? {
        self.messages += 1
        return self.take(at: self.messages) { $0 != .refuse }
    }

    /// Whether the next connection is refused.
    mutating func refusesConnection() -> Bool {
        self.connections += 1
        return self.take(at: self.connections) { $0 == .refuse } != nil
    }

    private mutating func take(at number: Int, _ isMeant: (Fault) -> Bool) -> Fault? {
        if let place = self.next.firstIndex(where: isMeant) { return self.next.remove(at: place) }
        if let fault = self.places[number], isMeant(fault) { return fault }
        guard self.chances.contains(where: { isMeant($0.fault) }) else { return nil }
        var drawn = Double(self.random.below(1 << 32)) / Double(1 << 32) * 100
        for (fault, percent) in self.chances where isMeant(fault) {
            if drawn < percent { return fault }
            drawn -= percent
        }
        return nil
    }

    /// Where in a frame the connection breaks: behind its first byte, and in front of its last.
    mutating func tearing(_ count: Int) -> Int { 1 + self.random.below(count - 1) }

    /// How much later a message comes.
    mutating func drawDelay(upTo limit: Duration) -> Duration {
        limit * self.random.below(1 << 20) / (1 << 20)
    }
}
