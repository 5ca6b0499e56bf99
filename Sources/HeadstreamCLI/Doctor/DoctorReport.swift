import Headstream

/// What one probe found out about a node.
struct Finding: Sendable, Hashable {
    enum Verdict: String, Sendable {
        /// As it should be.
        case good
        /// Worth knowing; the library copes.
        case note
        /// Something will be missing, or cost more.
        case bad
        /// Not found out.
        case unknown
    }

    /// The name in JSON, and what to call it to people.
    let check: String
    let title: String
    var verdict: Verdict
    /// One line for people, clean.
    var text: String
    /// The same for programs.
    var values: JSONObject = [:]

    init(_ probe: Probe, _ verdict: Verdict, _ text: String, _ values: JSONObject = [:]) {
        self.check = probe.rawValue
        self.title = probe.title
        self.verdict = verdict
        self.text = TerminalText.line(text)
        self.values = values
    }
}

/// The probes, in the order of the report.
enum Probe: String, CaseIterable, Sendable {
    case latency, batch, newHeads, logs, newPendingTransactions, syncing, earlyNotifications, ping, blockTime, heads
    case blockHash, finality, getLogsRange, getLogsBeyondHead, getLogsUnknownBlock, bloom

    var title: String {
        switch self {
        case .latency: "latency"
        case .batch: "batches"
        case .newHeads, .logs, .newPendingTransactions, .syncing: "subscribe \(self.rawValue)"
        case .earlyNotifications: "early notifications"
        case .ping: "ping"
        case .blockTime: "block time"
        case .heads: "pushed heads"
        case .blockHash: "block hashes"
        case .finality: "safe, finalized"
        case .getLogsRange: "eth_getLogs range"
        case .getLogsBeyondHead: "eth_getLogs beyond head"
        case .getLogsUnknownBlock: "eth_getLogs unknown hash"
        case .bloom: "blooms"
        }
    }
}

/// What `headstream doctor` prints.
struct DoctorReport: Sendable {
    let endpoint: String
    /// What the node calls itself; nil where it does not say.
    var client: String?
    var chainID: UInt64?
    /// How many requests all of it took.
    var requests: UInt64 = 0
    /// One for each probe, in their order.
    var findings: [Finding] = []

    /// A table; probes that found something bad stand out by their word.
    var text: String {
        let names = [self.endpoint, self.client ?? "", self.chainID.map { "chain \($0)" } ?? ""]
        var lines = [names.filter { !$0.isEmpty }.map { TerminalText.line($0) }.joined(separator: " · "), ""]
        let width = (self.findings.map(\.title.count).max() ?? 0) + 2
        for finding in self.findings {
            lines.append(
                "  \(TableText.left(finding.verdict.word, 5))\(TableText.left(finding.title, width))\(finding.text)"
            )
        }
        return (lines + ["", "\(TableText.grouped(self.requests)) requests", ""]).joined(separator: "\n")
    }

    /// One object; each check has its `verdict`, its `text` and values of its own.
    var json: JSONValue {
        var checks: JSONObject = [:]
        for finding in self.findings {
            var object: JSONObject = ["verdict": .string(finding.verdict.rawValue), "text": .string(finding.text)]
            for (key, value) in finding.values { object[key] = value }
            checks[finding.check] = .object(object)
        }
        return [
            "endpoint": .string(self.endpoint), "client": self.client.map { .string($0) } ?? .null,
            "chainId": self.chainID.map { .number(JSONNumber($0)) } ?? .null,
            "requests": .number(JSONNumber(self.requests)), "checks": .object(checks),
        ]
    }
}

extension Finding.Verdict {
    fileprivate var word: String {
        switch self {
        case .good: "ok"
        case .note: "note"
        case .bad: "BAD"
        case .unknown: "?"
        }
    }
}
