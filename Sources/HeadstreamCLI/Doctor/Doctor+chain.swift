import Headstream
import HeadstreamLocks
import HeadstreamSockets

// What the node says of its chain.
extension Doctor {
    /// Blocks looked at for the block time.
    private static let stretch: UInt64 = 64
    /// Ranges asked for, in blocks.
    private static let ranges: [UInt64] = [1, 10, 100, 1000, 2000, 5000, 10_000, 100_000]
    /// A contract that emits nothing, so that ranges are refused for their length alone: «headstream doctor» in ASCII.
    private static let nobody = LogFilter(
        address: Address(w0: 0x6865_6164, w1: 0x7374_7265_616d_2064, w2: 0x6f63_746f)
    )

    func header(_ web3: Web3, _ tag: BlockTag) async throws(Web3Error) -> BlockHeader? {
        try await web3.request("eth_getBlockByNumber", tag, false, as: BlockHeader?.self)
    }

    /// Block time, the rule of the hash, finality.
    func chain(_ web3: Web3, _ chart: Chart) async {
        do {
            guard let latest = try await self.header(web3, .latest) else {
                return chart.note(.blockTime, .bad, "the node has no latest block")
            }
            let count = min(Self.stretch, latest.number)
            if count > 0, let before = try await self.header(web3, .number(latest.number - count)),
                latest.timestamp >= before.timestamp
            {
                let seconds = Double(latest.timestamp - before.timestamp) / Double(count)
                let text = "\(TableText.decimal(seconds, 2)) s, over \(count) blocks"
                chart.note(.blockTime, .good, text, ["seconds": JSONNumber(seconds).map { .number($0) } ?? .null])
            } else {
                chart.note(.blockTime, .unknown, "the chain has too few blocks")
            }
            self.hashRule(latest, chart)
        } catch {
            return self.failed(.blockTime, "eth_getBlockByNumber", error, chart)
        }
        await self.finality(web3, chart)
    }

    private func hashRule(_ header: BlockHeader, _ chart: Chart) {
        switch header.computedHash() {
        case let hash? where hash == header.hash:
            chart.note(.blockHash, .good, "follow from the headers by Ethereum's rule", ["isVerifiable": true])
        case nil:
            let text = "cannot be verified: fields of the header are missing"
            chart.note(.blockHash, .note, text, ["isVerifiable": false])
        default:
            chart.note(.blockHash, .note, "cannot be verified: a rule of the chain's own", ["isVerifiable": false])
        }
    }

    private func finality(_ web3: Web3, _ chart: Chart) async {
        do {
            let safe = try await self.header(web3, .safe)
            let final = try await self.header(web3, .finalized)
            guard let latest = try await self.header(web3, .latest), let safe, let final else {
                return chart.note(.finality, .note, "not known to this node", ["isSupported": false])
            }
            func distance(_ header: BlockHeader) -> UInt64 {
                latest.number > header.number ? latest.number - header.number : 0
            }
            chart.note(
                .finality,
                .good,
                "\(distance(safe)) and \(distance(final)) blocks below the newest",
                [
                    "isSupported": true, "safeDistance": .number(JSONNumber(distance(safe))),
                    "finalizedDistance": .number(JSONNumber(distance(final))),
                ]
            )
        } catch {
            guard error.rpcCode != nil else { return self.failed(.finality, "eth_getBlockByNumber", error, chart) }
            chart.note(.finality, .note, "refused: \(Self.text(error))", ["isSupported": false])
        }
    }

    // MARK: Logs

    func logs(_ web3: Web3, _ chart: Chart) async {
        do {
            let head = try await web3.eth.blockNumber()
            try await self.range(web3, head, chart)
            try await self.beyondHead(web3, head, chart)
            try await self.unknownBlock(web3, chart)
        } catch {
            self.failed(.getLogsRange, "eth_getLogs", error, chart)
        }
    }

    private func range(_ web3: Web3, _ head: UInt64, _ chart: Chart) async throws(Web3Error) {
        var most: UInt64 = 0
        for count in Self.ranges where count <= head &+ 1 {
            var filter = Self.nobody
            filter.blocks = .range(from: .number(head + 1 - count), to: .number(head))
            do throws(Web3Error) {
                _ = try await web3.eth.getLogs(filter)
                most = count
            } catch {
                guard error.rpcCode != nil || error.code == .timedOut else { throw error }
                chart.note(
                    .getLogsRange,
                    most >= 100 ? .good : .note,
                    "\(TableText.grouped(most)) blocks at once, but not \(TableText.grouped(count)): "
                        + Self.text(error),
                    ["accepted": .number(JSONNumber(most)), "refused": .number(JSONNumber(count))]
                )
                return
            }
        }
        let text = "\(TableText.grouped(most)) block\(most == 1 ? "" : "s") at once, and no limit met"
        chart.note(.getLogsRange, .good, text, ["accepted": .number(JSONNumber(most)), "refused": .null])
    }

    /// A range that the backend does not have: an error is honest, an answer is silently partial.
    private func beyondHead(_ web3: Web3, _ head: UInt64, _ chart: Chart) async throws(Web3Error) {
        var filter = Self.nobody
        let beyond = head.addingReportingOverflow(64)
        filter.blocks = .range(from: .number(head), to: .number(beyond.overflow ? head : beyond.partialValue))
        try await self.honesty(.getLogsBeyondHead, web3, filter, chart) { _ in
            "answered as if it had the blocks: ranges near the head count only with a header as witness"
        }
    }

    private func unknownBlock(_ web3: Web3, _ chart: Chart) async throws(Web3Error) {
        var filter = Self.nobody
        filter.blocks = .hash(Hash32(w0: 0x6865_6164, w1: 0x7374_7265, w2: 0x616d_0064, w3: 0x6f63_746f))
        try await self.honesty(.getLogsUnknownBlock, web3, filter, chart) { logs in
            "answered with \(logs.count) logs: an empty answer for a fresh block proves nothing"
        }
    }

    /// Asks for logs that the node cannot have: to refuse is what is right.
    private func honesty(
        _ probe: Probe,
        _ web3: Web3,
        _ filter: LogFilter,
        _ chart: Chart,
        answered: ([Log]) -> String
    ) async throws(Web3Error) {
        do throws(Web3Error) {
            let logs = try await web3.eth.getLogs(filter)
            chart.note(probe, .note, answered(logs), ["isRefused": false])
        } catch {
            guard error.rpcCode != nil else { throw error }
            chart.note(probe, .good, "refused: \(Self.text(error))", ["isRefused": true])
        }
    }

    // MARK: Blooms

    /// Compares the blooms of recent blocks with their logs.
    func blooms(_ web3: Web3, _ chart: Chart) async {
        /// Blocks looked at, and of those with logs.
        let (most, wanted) = (12, 3)
        var examined = 0
        do {
            guard let latest = try await self.header(web3, .latest) else { return }
            // The newest may not be indexed yet.
            var number = latest.number
            for _ in 0..<most where examined < wanted && number > 0 {
                number -= 1
                guard let header = try await self.header(web3, .number(number)), header.hasHash else { continue }
                var filter = LogFilter()
                filter.blocks = .hash(header.hash)
                let logs = try await web3.eth.getLogs(filter)
                guard !logs.isEmpty else { continue }
                examined += 1
                guard header.logsBloom.isSuperset(of: Bloom(of: logs)) else {
                    let kind = header.logsBloom.isEmpty ? "is zero" : "excludes one"
                    chart.note(
                        .bloom,
                        .bad,
                        "block \(number) has \(logs.count) logs, and its bloom \(kind): blooms cannot be relied on",
                        ["isHonest": false, "block": .number(JSONNumber(number))]
                    )
                    return
                }
            }
            guard examined > 0 else { return chart.note(.bloom, .unknown, "the newest blocks have no logs") }
            chart.note(
                .bloom,
                .good,
                "hold the logs of \(examined) block\(examined == 1 ? "" : "s")",
                ["isHonest": true, "blocks": .number(JSONNumber(examined))]
            )
        } catch {
            self.failed(.bloom, "eth_getLogs", error, chart)
        }
    }

    // MARK: Heads

    /// Compares heads that were pushed with what the node answers for them.
    func heads(_ web3: Web3, _ chart: Chart) async {
        guard chart.state.withLock({ $0.findings[.heads] }) == nil else { return }
        await chart.until(heads: 2)
        let heads = chart.state.withLock { $0.heads }
        guard let head = heads.first else {
            let text = "none came meanwhile: a chain that stands still, or --seconds is too short"
            return chart.note(.heads, .unknown, text, ["count": 0])
        }
        let values: JSONObject = ["count": .number(JSONNumber(heads.count))]
        do {
            let answer = try await web3.request("eth_getBlockByHash", head.hash, false, as: BlockHeader?.self)
            guard let answer else {
                let text = "the node does not know block \(head.number) by the hash that it pushed"
                return chart.note(.heads, .note, text, values)
            }
            guard answer.logsBloom == head.logsBloom else {
                return chart.note(.heads, .note, "their bloom is not the one that is answered later", values)
            }
            chart.note(.heads, .good, "come, \(heads.count) so far, and are what the node answers", values)
        } catch {
            self.failed(.heads, "eth_getBlockByHash", error, chart)
        }
    }
}
