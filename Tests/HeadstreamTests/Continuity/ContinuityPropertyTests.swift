import EthereumTypes
import Foundation
import HeadstreamTesting
import Testing

@testable import Headstream

@Suite("Continuity: the promise, at every moment")
struct ContinuityPropertyTests {
    static var seeds: UInt64 {
        ProcessInfo.processInfo.environment["HEADSTREAM_SEEDS"].flatMap { UInt64($0) } ?? 1000
    }

    /// The seeds are shared out, so that all cores have some.
    static let parts: UInt64 = 4

    @Test(
        "Random chains, reorganisations, quirks, lost connections: what was told is a chain the node has shown, and in the end the node's own",
        arguments: 0..<Self.parts
    )
    func promise(part: UInt64) {
        let first = ProcessInfo.processInfo.environment["HEADSTREAM_FIRST_SEED"].flatMap { UInt64($0) } ?? 1
        var failures = 0
        for seed in stride(from: first + part, to: first + Self.seeds, by: Int(Self.parts)) {
            let problems = SeededContinuity.run(seed: seed)
            guard !problems.isEmpty else { continue }
            failures += 1
            Issue.record("seed \(seed): \(problems.prefix(3).joined(separator: "; "))")
            // Where many seeds are run, all that fail are wanted.
            if failures >= (Self.seeds > 10_000 ? 1000 : 5) { break }
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
