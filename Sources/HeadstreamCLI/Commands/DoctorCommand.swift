import Headstream

/// `headstream doctor`.
enum DoctorCommand {
    static let seconds = Option(
        "seconds",
        "N",
        .int(1...3600),
        default: ("30", 30),
        help: "Take at most so long; what has not been found out by then is said."
    )
    static let json = Flag("json", help: "One JSON object, with a verdict for each check: good, note, bad, unknown.")

    static let declaration = Command(
        "doctor",
        summary: "Find out how a node behaves, and print a report.",
        discussion: """
            Probes what a node's subscriptions and answers can be relied on for: which kinds of subscription it has, \
            whether notifications come before the answer that names them, pings, batches, latency, block time, how many \
            blocks eth_getLogs takes at once and what it says of blocks that it does not have, whether blooms hold the \
            logs, finality. Some sixty requests, and two connections.

            It waits for two new heads, so on a slow chain most of the time goes there. The exit code is 0 whatever is \
            found.
            """,
        options: [SharedOptions.url] + SharedOptions.connection + [seconds, json],
        footer: SharedOptions.footer
    )

    static func run(_ run: Run) async throws {
        guard let url = run.arguments[SharedOptions.url] else { throw run.nodeIsMissing() }
        let configuration = try run.configuration()
        let doctor = Doctor(
            endpoint: try Run.endpoint(url),
            configuration: configuration,
            duration: .seconds(run.arguments[self.seconds] ?? 30)
        )
        let report = try await doctor.examine()
        run.terminal.print { lines in
            if run.arguments[self.json] {
                JSONLine.append(Array("\(report.json)".utf8), to: &lines)
            } else {
                lines += Array(report.text.utf8)
            }
        }
    }
}
