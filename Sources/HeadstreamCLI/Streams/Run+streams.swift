import Headstream
import HeadstreamJSON

extension Run {
    /// Lists what a subscription brings until `--count`, `--for`, its end, or Ctrl-C: with `--json` the notifications as
    /// the node wrote them, else lines of `line`.
    func list<Request: SubscriptionRequest>(
        _ request: Request,
        of web3: Web3,
        _ line: @escaping (Request.Notification, inout [UInt8]) -> Void
    ) async throws {
        if self.arguments[SharedOptions.json] {
            try await self.listRaw(RawRequest(request), of: web3)
        } else {
            try await self.list(web3.notifications(request).updates, of: web3, line)
        }
    }

    /// Lists the notifications of a subscription as JSON lines, as the node wrote them.
    func listRaw(_ request: RawRequest, of web3: Web3) async throws {
        try await self.list(web3.notifications(request).updates, of: web3) {
            JSONLine.append($0.bytes, to: &$1)
        }
    }

    private func list<Item: Sendable, Updates: AsyncSequence>(
        _ updates: Updates,
        of web3: Web3,
        _ line: @escaping (Item, inout [UInt8]) -> Void
    ) async throws where Updates.Element: StreamUpdate<Item> {
        var listing = Listing(self, web3, line)
        for try await update in updates {
            switch update.event {
            case .item(let item): await listing.print(item)
            case .notice(let notice): listing.tell(notice)
            case .block, .progress: continue
            }
            if listing.isFull { break }
            if !self.terminal.isReady { await self.terminal.ready() }
        }
        try listing.end()
    }

    /// Lists a gapless stream, and keeps its cursor behind what was written.
    ///
    /// - Parameter plain: what an update is where only items are told: none, one, or logs that are removed.
    func listGapless<Item: Sendable & JSONWritable>(
        _ updates: GaplessUpdates<Item>,
        of web3: Web3,
        _ gapless: Following.Gapless,
        _ line: @escaping (Item, inout [UInt8]) -> Void,
        plain: (StreamEvent<Item>) throws(PlainStreamFailure) -> [Item]
    ) async throws {
        let isJSON = self.arguments[SharedOptions.json]
        let tellsUpdates = self.arguments[ContinuityOptions.updates]
        var listing = Listing<Item>(self, web3, isGapless: true) { item, lines in
            guard isJSON else { return line(item, &lines) }
            var writer = JSONWriter()
            item.write(to: &writer)
            JSONLine.append(writer.bytes, to: &lines)
        }
        // A head is followed by its cursor, which is waited for; what comes behind a log may be long in coming.
        let endsWithCursor = gapless.file != nil && Item.self == BlockHeader.self
        updates: for try await update in updates {
            let event = update.event
            if listing.isFull, case .item = event { break updates }
            if tellsUpdates, case .item(let item) = event {
                await listing.print(item)
            } else if !tellsUpdates {
                let items: [Item]
                do throws(PlainStreamFailure) { items = try plain(event) } catch { throw Web3Error(error) }
                for item in items where !listing.isFull { await listing.print(item) }
            }
            switch event {
            case .item, .block: break
            case .notice(let notice): listing.tell(notice)
            case .progress(let cursor):
                if let file = gapless.file { self.terminal.keep { file.write(cursor) } }
            }
            if listing.isFull {
                guard endsWithCursor else { break updates }
                if case .progress = event { break updates }
            }
            if !self.terminal.isReady { await self.terminal.ready() }
        }
        try listing.end()
    }
}

/// A stream on its way to the output.
private struct Listing<Item: Sendable> {
    private let run: Run
    private let limit: UInt64
    private let line: (Item, inout [UInt8]) -> Void
    private let isJSON: Bool
    private let tellsUpdates: Bool
    private let isGapless: Bool
    private var meter: StreamMeter
    private var taken: UInt64 = 0
    private var failure: ToldError?

    init(_ run: Run, _ web3: Web3, isGapless: Bool = false, _ line: @escaping (Item, inout [UInt8]) -> Void) {
        self.run = run
        self.limit = run.arguments[SharedOptions.count].map { UInt64($0) } ?? .max
        self.line = line
        self.isJSON = run.arguments[SharedOptions.json]
        self.tellsUpdates = run.arguments[ContinuityOptions.updates]
        self.isGapless = isGapless
        self.meter = StreamMeter(run.terminal.status, web3, isGapless: isGapless)
    }

    /// Whether `--count` is reached.
    var isFull: Bool { self.taken >= self.limit }

    mutating func print(_ item: Item) async {
        self.run.terminal.print { self.line(item, &$0) }
        self.taken += 1
        await self.meter.took(item)
    }

    /// Tells what happened between items: in the output with `--updates`, else on stderr what the reader must know.
    mutating func tell(_ notice: StreamNotice) {
        self.meter.noticed(notice)
        if case .undecodable(let error) = notice {
            // The others are as good as before; the exit code tells that one was not.
            self.failure = ToldError(code: ExitCode.outcome(of: error).code)
        }
        if self.tellsUpdates {
            let bytes = self.isJSON ? JSONLine.cleaned("\(notice.json)") : Array("· \(notice.text)".utf8)
            return self.run.terminal.print { lines in
                lines += bytes
                lines.append(0x0A)
            }
        }
        guard let text = self.text(of: notice) else { return }
        self.run.terminal.report("headstream \(self.run.name): \(text)")
    }

    private func text(of notice: StreamNotice) -> String? {
        switch notice {
        case .disconnected(let error), .refused(let error): "\(ExitCode.outcome(of: error).text); trying again"
        case .reconnected:
            self.isGapless
                ? "connected again; what was missed is fetched" : "connected again; what happened meanwhile is missing"
        case .undecodable(let error): ExitCode.outcome(of: error).text
        case .lagged, .isBehind, .unverified, .stalled, .diverged: notice.text
        // The items say it, or the end does.
        case .rollback, .gap, .caughtUp, .finalized: nil
        }
    }

    func end() throws {
        if let failure, self.run.stop.reason == nil { throw failure }
    }
}
