import Glibc
import Headstream
import HeadstreamSockets

extension Run {
    /// Prints the notifications of a subscription as JSON lines, as the node wrote them.
    func printRaw(_ request: some SubscriptionRequest, of web3: Web3) async throws {
        try await self.printRaw(RawRequest(request), of: web3)
    }

    /// The same for one that is raw already.
    func printRaw(_ request: RawRequest, of web3: Web3) async throws {
        try await self.printStream(web3.notifications(request).updates, of: web3) {
            JSONLine.append($0.bytes, to: &$1)
        }
    }

    /// Prints a stream's items until `--count`, `--for`, its end, or Ctrl-C.
    ///
    /// - Parameter line: appends an item's line.
    func printStream<Item: Sendable, Updates: AsyncSequence>(
        _ updates: Updates,
        of web3: Web3,
        _ line: @escaping (Item, inout [UInt8]) -> Void
    ) async throws where Updates.Element == SubscriptionUpdate<Item> {
        let limit = self.arguments[SharedOptions.count].map { UInt64($0) } ?? .max
        var meter = StreamMeter(self.terminal.status, web3)
        var taken: UInt64 = 0
        var failure: ToldError?
        items: for try await update in updates {
            switch update {
            case .item(let item):
                self.terminal.print { line(item, &$0) }
                taken += 1
                await meter.took(taken)
                if taken >= limit { break items }
            case .lagged(let count, let blocks):
                meter.dropped(count)
                let place = blocks.map { blocks in
                    blocks.count == 1
                        ? " (block \(blocks.lowerBound))" : " (blocks \(blocks.lowerBound) to \(blocks.upperBound))"
                }
                self.terminal.report(
                    "headstream \(self.name): \(count) dropped here\(place ?? ""): the output is slower than the node"
                )
            case .disconnected(let error), .refused(let error):
                self.terminal.report("headstream \(self.name): \(ExitCode.outcome(of: error).text); trying again")
            case .reconnected:
                self.terminal.report("headstream \(self.name): connected again; what happened meanwhile is missing")
            case .undecodable(let error):
                // The others are as good as before; the exit code tells that one was not.
                let (code, text) = ExitCode.outcome(of: error)
                failure = ToldError(code: code)
                self.terminal.report("headstream \(self.name): \(text)")
            }
            if !self.terminal.isReady { await self.terminal.ready() }
        }
        if let failure, self.stop.reason == nil { throw failure }
    }
}

/// Tells the status line how a stream goes, if there is one; asks the client at most a few times a second.
private struct StreamMeter {
    private let status: StatusLine?
    private let web3: Web3
    private var asked: UInt64 = 0
    private var received: UInt64 = 0
    private var lost: UInt64 = 0

    init(_ status: StatusLine?, _ web3: Web3) {
        self.status = status
        self.web3 = web3
    }

    mutating func took(_ count: UInt64) async {
        guard let status = self.status else { return }
        let now = StatusLine.milliseconds()
        if now &- self.asked >= 200 {
            self.asked = now
            self.received = await self.web3.metrics.notifications
        }
        let gone = count &+ self.lost
        let waiting = self.received > gone ? self.received - gone : 0
        status.update { counts in
            counts.taken = count
            counts.buffered = waiting
        }
    }

    mutating func dropped(_ count: UInt64) {
        self.lost &+= count
        let lost = self.lost
        self.status?.update { $0.dropped = lost }
    }
}
