import Headstream
import HeadstreamSockets

// How the node answers, pushes and pings.
extension Doctor {
    private static let samples = 9

    func latency(_ web3: Web3, _ chart: Chart) async {
        var times: [UInt64] = []
        do {
            for _ in 0..<Self.samples {
                let began = self.loop.now
                _ = try await web3.eth.blockNumber()
                times.append(self.loop.now.nanoseconds - began.nanoseconds)
            }
        } catch {
            return self.failed(.latency, "eth_blockNumber", error, chart)
        }
        times.sort()
        let (median, most) = (times[times.count / 2], times[times.count - 1])
        chart.note(
            .latency,
            median < 500_000_000 ? .good : .note,
            "half of \(times.count) requests within \(Self.milliseconds(median)) ms, the slowest "
                + "\(Self.milliseconds(most)) ms",
            [
                "p50Milliseconds": Self.number(median), "maxMilliseconds": Self.number(most),
                "samples": .number(JSONNumber(times.count)),
            ]
        )
    }

    func batch(_ web3: Web3, _ chart: Chart) async {
        var batch = BatchRequest()
        batch.add("eth_blockNumber")
        batch.add("eth_getBlockByNumber", BlockTag.latest, false)
        batch.add("eth_chainId")
        do {
            let answers = try await web3.batch(batch)
            for index in 0..<answers.count { _ = try answers.result(index, as: JSONValue.self) }
            chart.note(.batch, .good, "answered", ["isSupported": true])
        } catch {
            if error.code == .cancelled { return }
            let text = "refused, so that answers of one moment cannot be had: \(Self.text(error))"
            chart.note(.batch, .bad, text, ["isSupported": false])
        }
    }

    /// The subscription of heads, kept to the end of the examination.
    func subscribeHeads(_ web3: Web3, _ chart: Chart, _ group: inout TaskGroup<Void>) async {
        do {
            let heads = try await web3.eth.subscribe(NewHeadsRequest())
            chart.note(.newHeads, .good, "accepted", ["isSupported": true])
            group.addTask {
                do {
                    for try await head in heads { chart.pushed(head) }
                } catch {
                    // The connection's end, which every probe meets by itself.
                }
            }
        } catch {
            self.refused(.newHeads, error, .bad, chart)
            chart.note(.heads, .unknown, "there is no subscription of heads")
        }
    }

    func subscriptions(_ web3: Web3, _ chart: Chart) async {
        await self.subscribe(web3, LogsRequest(LogFilter()), .logs, else: .bad, chart)
        await self.subscribe(web3, NewPendingTransactionsRequest(), .newPendingTransactions, else: .note, chart)
        await self.subscribe(web3, SyncingRequest(), .syncing, else: .note, chart)
        guard !Task.isCancelled else { return }
        let early = await web3.metrics.notificationsEarly
        chart.note(
            .earlyNotifications,
            early == 0 ? .good : .note,
            early == 0 ? "none seen" : "\(early) came before the answer that told their subscription",
            ["count": .number(JSONNumber(early))]
        )
    }

    private func subscribe(
        _ web3: Web3,
        _ request: some SubscriptionRequest,
        _ probe: Probe,
        else verdict: Finding.Verdict,
        _ chart: Chart
    ) async {
        do {
            let subscription = try await web3.subscribe(request)
            chart.note(probe, .good, "accepted", ["isSupported": true])
            await subscription.unsubscribe()
        } catch {
            self.refused(probe, error, verdict, chart)
        }
    }

    private func refused(_ probe: Probe, _ error: Web3Error, _ verdict: Finding.Verdict, _ chart: Chart) {
        if error.code == .cancelled { return }
        chart.note(probe, verdict, "refused: \(Self.text(error))", ["isSupported": false])
    }

    /// On a connection of its own, where nothing else is sent: what comes in answers the pings.
    func ping(_ chart: Chart) async {
        guard !self.endpoint.isIPC else {
            return chart.note(.ping, .good, "not needed on a Unix socket", ["isAnswered": .null])
        }
        var configuration = self.configuration
        configuration.reconnect = .never
        // Far more than any latency; a node that answers later does not keep a connection alive in time. The keepalive ends
        // the connection of one that does not.
        configuration.keepalive = .ping(every: .milliseconds(250), timeout: .seconds(2))
        do {
            let isAnswered = try await Web3.withConnection(to: self.endpoint, configuration: configuration) { web3 in
                let before = await web3.metrics.bytesReceived
                try await self.loop.sleep(until: self.loop.now.advanced(by: .seconds(3)))
                return await web3.metrics.bytesReceived > before
            }
            if isAnswered {
                chart.note(.ping, .good, "answered", ["isAnswered": true])
            } else {
                let text = "not answered within 2 s: use a keepalive by request (Keepalive.request)"
                chart.note(.ping, .bad, text, ["isAnswered": false])
            }
        } catch {
            guard !Task.isCancelled else { return }
            chart.note(.ping, .unknown, "a second connection: \(ExitCode.outcome(of: error).text)")
        }
    }

    // MARK: Texts

    func failed(_ probe: Probe, _ method: String, _ error: any Error, _ chart: Chart) {
        if (error as? Web3Error)?.code == .cancelled || error is CancellationError { return }
        chart.note(probe, .unknown, "\(method): \(ExitCode.outcome(of: error).text)")
    }

    static func text(_ error: Web3Error) -> String {
        if let message = error.rpcMessage, let code = error.rpcCode { return "\(message) (code \(code))" }
        return error.description
    }

    private static func milliseconds(_ nanoseconds: UInt64) -> String {
        TableText.decimal(Double(nanoseconds) / 1e6, nanoseconds < 10_000_000 ? 1 : 0)
    }

    private static func number(_ nanoseconds: UInt64) -> JSONValue {
        JSONNumber((Double(nanoseconds) / 1e4).rounded() / 100).map { .number($0) } ?? .null
    }
}
