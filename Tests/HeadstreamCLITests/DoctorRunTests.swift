import Foundation
import Headstream
import HeadstreamTesting
import Testing

@testable import HeadstreamCLI

@Suite("Doctor", .timeLimit(.minutes(15)))
struct DoctorTests {
    /// A node examined on a simulated loop, blocks coming every second.
    private static func examine(
        seed: UInt64,
        _ quirks: SimulatedQuirks = SimulatedQuirks(),
        events: Int = 3,
        blocks: Bool = true
    ) async throws -> DoctorReport {
        try await SimulatedLoop.run(seed: seed) { loop in
            var chain = SimulatedChain(seed: seed, quirks: quirks, number: 100)
            for _ in 0..<300 { chain.mine(chain.randomEvents(events)) }
            let node = try await TestNode(chain: chain, loop: loop)
            let doctor = Doctor(
                endpoint: node.endpoint,
                configuration: loop.configuration,
                duration: .seconds(30)
            )
            let report = try await withThrowingTaskGroup(of: DoctorReport?.self) { group in
                group.addTask { try await doctor.examine() }
                if blocks {
                    group.addTask {
                        try? await node.change(every: .seconds(1)) { $0.mine($0.randomEvents(events)) }
                        return nil
                    }
                }
                let report = try await group.next() ?? nil
                group.cancelAll()
                return report
            }
            await node.close()
            return try #require(report)
        }
    }

    private static func verdict(_ report: DoctorReport, _ probe: Probe) -> Finding.Verdict? {
        report.findings.first { $0.check == probe.rawValue }?.verdict
    }

    @Test("A node that does all well; every probe has found out something, in some sixty requests")
    func good() async throws {
        let report = try await Self.examine(seed: 1)
        for finding in report.findings where finding.check != "newPendingTransactions" && finding.check != "syncing" {
            let expected: Finding.Verdict = finding.check == "getLogsBeyondHead" ? .note : .good
            #expect(finding.verdict == expected, "\(finding.check): \(finding.text)")
        }
        #expect(report.findings.count == Probe.allCases.count && report.requests <= 70)
        #expect(report.client == "HeadstreamTesting" && report.chainID == 31337)
        let time = report.json["checks"]?["blockTime"]?["seconds"]?.doubleValue
        #expect(time == 1)
    }

    @Test("What a node does otherwise is found")
    func quirks() async throws {
        var quirks = SimulatedQuirks()
        quirks.maxRange = 50
        quirks.zeroBlooms = true
        quirks.emptyForUnknownBlocks = true
        quirks.pushesOtherHashes = true
        let report = try await Self.examine(seed: 2, quirks)
        #expect(Self.verdict(report, .bloom) == .bad)
        #expect(Self.verdict(report, .getLogsUnknownBlock) == .note)
        #expect(Self.verdict(report, .heads) == .note)
        let range = report.json["checks"]?["getLogsRange"]
        #expect(range?["accepted"]?.intValue == 10 && range?["refused"]?.intValue == 100)
        var late = SimulatedQuirks()
        late.lateBlooms = true
        #expect(Self.verdict(try await Self.examine(seed: 3, late), .heads) == .note)
        var wrong = SimulatedQuirks()
        wrong.wrongBlooms = 100
        #expect(Self.verdict(try await Self.examine(seed: 4, wrong), .bloom) == .bad)
    }

    @Test("A chain that stands still: the report comes when the time is up, and says what it could not find out")
    func standing() async throws {
        let report = try await Self.examine(seed: 5, events: 0, blocks: false)
        #expect(Self.verdict(report, .heads) == .unknown)
        #expect(Self.verdict(report, .bloom) == .unknown)
        #expect(Self.verdict(report, .getLogsRange) == .good)
    }

    @Test(
        "The built command prints the report, and an object with --json",
        .enabled(if: BuiltCommand.path != nil, "the command is not built beside the tests")
    )
    func command() async throws {
        var chain = SimulatedChain(seed: 6, number: 100)
        for _ in 0..<20 { chain.mine(chain.randomEvents(2)) }
        let node = try await TestNode(chain: chain)
        let words = ["doctor", "--url", "\(node.endpoint)"]
        let mining = Task { try? await node.change(every: .milliseconds(200)) { $0.mine($0.randomEvents(2)) } }
        defer { mining.cancel() }
        let text = try await BuiltCommand.run(words)
        #expect(text.code == 0 && text.lines.first?.contains("HeadstreamTesting") == true, "\(text.errors)")
        #expect(text.lines.contains { $0.hasPrefix("  ok   batches") })
        let json = try await BuiltCommand.run(words + ["--json"])
        #expect(json.code == 0 && json.lines.count == 1)
        let report = try JSONValue(parsing: json.lines.first ?? "")
        #expect(report["checks"]?["batch"]?["verdict"] == "good")
        await node.close()
        let gone = try await BuiltCommand.run(words)
        #expect(gone.code == 69)
        let missing = try await BuiltCommand.run(["doctor"])
        #expect(missing.code == 64 && missing.errors.contains("the node is missing"))
    }
}
