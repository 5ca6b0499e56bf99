import Headstream
import HeadstreamLocks
import HeadstreamSockets

/// Finds out how a node behaves, in a bounded time and with a bounded number of requests, some sixty.
struct Doctor: Sendable {
    let endpoint: Endpoint
    let configuration: Configuration
    /// All of it, connecting left out.
    let duration: Duration

    /// What is known so far; what is missing when the time is up was not found out.
    final class Chart: Sendable {
        struct State: Sendable {
            var report: DoctorReport
            var findings: [Probe: Finding] = [:]
            /// Heads that were pushed meanwhile.
            var heads: [BlockHeader] = []
            /// Where `until` waits for so many.
            var waiter: (count: Int, continuation: CheckedContinuation<Void, Never>)?
        }

        let state: Locked<State>

        init(_ report: DoctorReport) {
            self.state = Locked(State(report: report))
        }

        func note(_ probe: Probe, _ verdict: Finding.Verdict, _ text: String, _ values: JSONObject = [:]) {
            self.state.withLock { $0.findings[probe] = Finding(probe, verdict, text, values) }
        }

        func pushed(_ head: BlockHeader) {
            let waiter = self.state.withLock { state -> CheckedContinuation<Void, Never>? in
                if state.heads.count < 64 { state.heads.append(head) }
                guard let waiter = state.waiter, state.heads.count >= waiter.count else { return nil }
                state.waiter = nil
                return waiter.continuation
            }
            waiter?.resume()
        }

        /// Waits until so many heads were pushed, or the task is cancelled.
        func until(heads count: Int) async {
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isOver = self.state.withLock { state in
                        // Asked under the lock: a cancellation before this point found nobody to resume.
                        if state.heads.count >= count || Task.isCancelled { return true }
                        state.waiter = (count, continuation)
                        return false
                    }
                    if isOver { continuation.resume() }
                }
            } onCancel: {
                let waiter = self.state.withLock { state in
                    defer { state.waiter = nil }
                    return state.waiter
                }
                waiter?.continuation.resume()
            }
        }
    }

    var loop: any Loop { self.configuration.loop ?? EventLoop.shared }

    /// Examines the node.
    ///
    /// - Throws: where no connection comes about.
    func examine() async throws -> DoctorReport {
        var configuration = self.configuration
        configuration.reconnect = .never
        configuration.whenFull = .dropOldest
        let chart = Chart(DoctorReport(endpoint: TerminalText.line("\(self.endpoint)")))
        try await Web3.withConnection(to: self.endpoint, configuration: configuration) { web3 in
            let (loop, duration) = (self.loop, self.duration)
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.probe(web3, chart) }
                group.addTask { try? await loop.sleep(until: loop.now.advanced(by: duration)) }
                // Whichever comes first; the other one ends with it.
                _ = await group.next()
                group.cancelAll()
            }
            let requests = await web3.metrics.requests
            chart.state.withLock { $0.report.requests += requests }
        }
        return chart.state.withLock { state in
            state.report.findings = Probe.allCases.map { probe in
                state.findings[probe] ?? Finding(probe, .unknown, "the time was up: try a longer --seconds")
            }
            return state.report
        }
    }

    private func probe(_ web3: Web3, _ chart: Chart) async {
        let client = try? await web3.web3.clientVersion()
        let chainID = try? await web3.eth.chainID()
        chart.state.withLock { state in
            state.report.client = client.map { TerminalText.line($0, limit: 120) }
            state.report.chainID = chainID
        }
        async let pinged: Void = self.ping(chart)
        await withTaskGroup(of: Void.self) { group in
            // Heads come in while all else is asked.
            await self.subscribeHeads(web3, chart, &group)
            await self.latency(web3, chart)
            await self.batch(web3, chart)
            await self.subscriptions(web3, chart)
            await self.chain(web3, chart)
            await self.logs(web3, chart)
            await self.blooms(web3, chart)
            await self.heads(web3, chart)
            group.cancelAll()
        }
        await pinged
    }
}
