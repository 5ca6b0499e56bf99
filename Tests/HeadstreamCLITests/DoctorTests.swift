import Headstream
import Testing

@testable import HeadstreamCLI

@Suite("Doctor's report")
struct DoctorReportTests {
    @Test("Every probe is in the report, by name in JSON and in a line of text, also what was not found out")
    func report() throws {
        var report = DoctorReport(endpoint: "ws://node", client: "geth/1", chainID: 1, requests: 1234)
        report.findings = Probe.allCases.map { Finding($0, .unknown, "the time\u{1B} was up") }
        report.findings[0] = Finding(.latency, .good, "fast", ["p50Milliseconds": 1])
        let lines = report.text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.first == "ws://node · geth/1 · chain 1")
        #expect(lines.count == Probe.allCases.count + 5)
        #expect(lines[2].hasPrefix("  ok   latency ") && lines[2].hasSuffix("  fast"))
        #expect(lines[3].hasPrefix("  ?    batches "))
        #expect(!report.text.contains("\u{1B}"))
        #expect(report.json["checks"]?.objectValue?.keys.sorted() == Probe.allCases.map(\.rawValue).sorted())
        #expect(report.json["checks"]?["latency"]?["p50Milliseconds"]?.intValue == 1)
        #expect(report.json["checks"]?["ping"]?["verdict"] == "unknown")
        #expect(report.json["chainId"]?.intValue == 1 && report.json["requests"]?.intValue == 1234)
    }
}
