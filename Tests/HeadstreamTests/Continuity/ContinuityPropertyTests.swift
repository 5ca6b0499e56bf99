import EthereumTypes
import Foundation
import HeadstreamTesting
import Testing

@testable import Headstream

@Suite("Continuity: the promise, at every moment")
struct ContinuityPropertyTests {
    static var seeds: UInt64 {
        ProcessInfo.processInfo.environment["HEADSTREAM_SEEDS"].flatMap { UInt64($0) } ?? 300
    }

    @Test(
        "Random chains, reorganisations, quirks, lost connections: what was told is a chain the node has shown, and in the end the node's own"
    )
    func promise() {
        let first = ProcessInfo.processInfo.environment["HEADSTREAM_FIRST_SEED"].flatMap { UInt64($0) } ?? 1
        var failures = 0
        for seed in first..<(first + Self.seeds) {
            let problems = SeededContinuity.run(seed: seed)
            guard !problems.isEmpty else { continue }
            failures += 1
            Issue.record("seed \(seed): \(problems.prefix(3).joined(separator: "; "))")
            if failures >= 5 { break }
        }
    }

    /// HEADSTREAM_JOURNAL=SEED prints what happens in the run of that seed.
    @Test(
        "The journal of one seed",
        .enabled(if: ProcessInfo.processInfo.environment["HEADSTREAM_JOURNAL"] != nil)
    )
    func journal() {
        guard let seed = ProcessInfo.processInfo.environment["HEADSTREAM_JOURNAL"].flatMap({ UInt64($0) }) else {
            return
        }
        let problems = SeededContinuity.run(seed: seed) { print($0) }
        print(problems.joined(separator: "\n"))
    }
}
