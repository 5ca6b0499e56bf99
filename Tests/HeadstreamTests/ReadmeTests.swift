import Foundation
import Testing

@Suite("README.md")
struct ReadmeTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static func text(_ path: String) throws -> String {
        try String(contentsOf: Self.root.appendingPathComponent(path), encoding: .utf8)
    }

    /// The lines of each block of Swift code.
    private static func samples(of markdown: String) -> [[Substring]] {
        var samples: [[Substring]] = []
        var open: [Substring]?
        for line in markdown.split(separator: "\n", omittingEmptySubsequences: false) {
            if line == "```swift" {
                open = []
            } else if line == "```", let sample = open {
                samples.append(sample)
                open = nil
            } else {
                open?.append(line)
            }
        }
        return samples
    }

    /// Without the indentation that all lines have.
    private static func flush(_ lines: ArraySlice<Substring>) -> [Substring] {
        let indentation = lines.filter { !$0.isEmpty }.map { $0.prefix { $0 == " " }.count }.min() ?? 0
        return lines.map { $0.dropFirst(indentation) }
    }

    @Test("Every Swift sample stands in ReadmeSamples.swift, which is compiled")
    func samplesAreCompiled() throws {
        // A manifest is compiled by `make dependent`.
        let samples = Self.samples(of: try Self.text("README.md")).filter { $0.first != "// Package.swift" }
        let code = try Self.text("Tests/HeadstreamTests/ReadmeSamples.swift")
            .split(separator: "\n", omittingEmptySubsequences: false)
        #expect(samples.count >= 10)
        for sample in samples {
            let wanted = Self.flush(sample[...])
            let isThere = code.indices.contains { start in
                start + wanted.count <= code.count && Self.flush(code[start..<start + wanted.count]) == wanted
            }
            #expect(isThere, "not in ReadmeSamples.swift:\n\(sample.joined(separator: "\n"))")
        }
    }

    @Test("Every error code of Web3Error is in the table of errors")
    func errorCodesAreTold() throws {
        let readme = try Self.text("README.md")
        let source = try Self.text("Sources/Headstream/Web3Error.swift")
        let codes = source.matches(of: /public static let (\w+) = Code\(/).map(\.1)
        #expect(codes.count >= 17)
        for code in codes { #expect(readme.contains("| `\(code)` |"), "\(code) is not told") }
    }
}
