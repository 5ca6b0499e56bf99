import EthereumTypes

/// Logs of one block in the pieces in which they came.
///
/// A piece is not changed once it is here, so those who are told of it share it: on its way to a consumer no log is copied.
struct LogRuns: Sendable {
    private(set) var runs: [ArraySlice<Log>] = []
    private(set) var count = 0
    /// What they take, in bytes.
    private(set) var weight = 0

    init() {}

    init(_ run: ArraySlice<Log>) {
        self.append(run)
    }

    /// - Parameter weight: what they take, where that is known.
    mutating func append(_ run: ArraySlice<Log>, weight: Int? = nil) {
        guard !run.isEmpty else { return }
        self.runs.append(run)
        self.count += run.count
        self.weight += weight ?? ContinuityEvent.weight(of: run)
    }

    mutating func append(_ logs: LogRuns) {
        self.runs += logs.runs
        self.count += logs.count
        self.weight += logs.weight
    }

    /// Puts a log before that of a place. Rare: it divides a piece.
    mutating func insert(_ log: Log, at place: Int) {
        var rest = place
        var index = 0
        while index < self.runs.count, rest >= self.runs[index].count {
            rest -= self.runs[index].count
            index += 1
        }
        let run = index < self.runs.count ? self.runs[index] : []
        let middle = run.startIndex + min(rest, run.count)
        let pieces = [run[..<middle], [log], run[middle...]].filter { !$0.isEmpty }
        self.runs.replaceSubrange(index..<min(index + 1, self.runs.count), with: pieces)
        self.count += 1
        self.weight += ContinuityEvent.weight(of: log)
    }

    /// The pieces from the log of a place on. Those that are wanted are mostly the last.
    func suffix(from place: Int) -> [ArraySlice<Log>] {
        var first = self.runs.count
        var begin = self.count
        while first > 0, begin > place {
            first -= 1
            begin -= self.runs[first].count
        }
        var suffix = Array(self.runs[first...])
        if begin < place, !suffix.isEmpty { suffix[0] = suffix[0].dropFirst(place - begin) }
        return suffix
    }

    /// All of them in one array.
    var joined: [Log] { Array(self.runs.joined()) }
}
