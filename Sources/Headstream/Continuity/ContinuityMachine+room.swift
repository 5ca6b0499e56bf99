// What the books hold, and what they let go of.
extension ContinuityMachine {
    /// Keeps the whole logs of each book within its limit: those that everyone was told of go first and early, then those
    /// that will be read last. Of blocks that are being told they stay.
    mutating func makeRoom() {
        for index in self.books.indices {
            while let number = self.leastWanted(index) {
                let isTold = self.isTold(number, index)
                self.books[index].entries[number]?.forget(isTold: isTold)
                self.noteLag(index, from: number)
            }
        }
    }

    /// A block's logs were let go. Who could have been told of them lags; who holds blocks back by its own wish does not.
    private mutating func noteLag(_ book: Int, from number: UInt64) {
        for index in self.consumers.indices where self.consumers[index].options.filter == self.books[book].id {
            guard self.consumers[index].state == .running, self.consumers[index].validNext <= number,
                number <= self.ceiling(self.consumers[index].options.finality) ?? 0
            else { continue }
            self.consumers[index].lagsFrom = min(self.consumers[index].lagsFrom ?? .max, number)
        }
    }

    /// Whether a consumer of this filter is about to begin.
    private func isAwaited(_ id: FilterID) -> Bool {
        self.consumers.contains { $0.options.filter == id && $0.state == .starting }
    }

    /// The block whose logs are to go; nil where there is room, or none can go.
    private mutating func leastWanted(_ index: Int) -> UInt64? {
        let (id, bytes) = (self.books[index].id, self.books[index].entries.bytes)
        // Those that are about to begin will want logs that everyone else was told of.
        guard bytes > self.books[index].toldLimit, bytes > self.books[index].limit || !self.isAwaited(id) else {
            return nil
        }
        let numbers = self.books[index].entries.numbersFromFirstWhole()
        let nexts = self.numbers(ofRunning: id) { $0.validNext }
        let lowest = nexts.min() ?? .max
        let entries = self.books[index].entries
        func canGo(_ number: UInt64) -> Bool {
            entries.bytes(of: number) > 0 && !nexts.contains(number)
        }
        if let told = numbers.prefix(while: { $0 < lowest }).first(where: canGo) { return told }
        guard bytes > self.books[index].limit else { return nil }
        // What only those wait for that do not read.
        let reading = self.lowestNext(of: id, includingPaused: false) ?? .max
        return numbers.reversed().first { $0 > lowest && $0 < reading && canGo($0) }
            ?? numbers.reversed().first(where: canGo)
    }

    /// Forgets the logs of blocks that are audited, but for those that are kept for who is to be told of them.
    mutating func seal(_ index: Int) {
        guard let unaudited = self.lowestUnaudited(of: self.books[index].id),
            let next = self.lowestNext(of: self.books[index].id, includingPaused: true)
        else { return }
        for number in self.books[index].entries.numbers.prefix(while: { $0 < unaudited }) {
            guard let entry = self.books[index].entries[number], entry.state == .closed else { continue }
            guard number < next || !entry.isWhole else { continue }
            self.books[index].entries[number] = entry.sealed
        }
    }
}
