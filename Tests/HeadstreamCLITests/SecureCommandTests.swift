import Foundation
import Headstream
import HeadstreamTesting
import Testing

@testable import HeadstreamCLI

/// The built command against a node over TLS.
@Suite(
    "Command over TLS",
    .enabled(if: BuiltCommand.path != nil, "the command is not built beside the tests"),
    .timeLimit(.minutes(15))
)
struct SecureCommandTests {
    /// A node over TLS, its authority's certificate in a file, and a folder for others.
    private func withNode(
        _ transcript: Transcript? = nil,
        _ body: (TestNode, _ authority: String, _ folder: URL) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("headstream-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let certificate = try TestAuthority().certificate()
        let authority = folder.appendingPathComponent("ca.pem")
        try Data(certificate.authorityPEM.utf8).write(to: authority)
        let node = try await TestNode(
            replaying: transcript ?? Transcript(contentsOf: BuiltCommand.mainnet),
            options: ReplayOptions(playsFinalEvent: false),
            on: .secureWebSocket(certificate: certificate)
        )
        try await body(node, authority.path, folder)
        await node.close()
    }

    @Test("heads over wss:// with --cacert, and with SSL_CERT_FILE")
    func heads() async throws {
        for isOption in [true, false] {
            try await self.withNode { node, authority, _ in
                let result = try await BuiltCommand.run(
                    ["heads", "--url", "\(node.endpoint)", "--json", "--count", "3"]
                        + (isOption ? ["--cacert", authority] : []),
                    environment: isOption ? [:] : ["SSL_CERT_FILE": authority]
                )
                #expect(result.code == 0, "\(result.errors)")
                #expect(result.lines.count == 3)
            }
        }
    }

    @Test("What fails is told with what to do, and the exit code says that there was no connection")
    func failures() async throws {
        try await self.withNode { node, authority, folder in
            let words = ["heads", "--url", "\(node.endpoint)", "--count", "1"]
            let other = folder.appendingPathComponent("other.pem")
            try Data(TestAuthority().certificatePEM.utf8).write(to: other)
            for (more, code, text) in [
                (["--cacert", other.path], 69, "certificateRejected"),
                (["--cacert", "/no/such/ca.pem"], 69, "/no/such/ca.pem, cannot be read"),
                (["--cacert", authority, "--cert", authority], 69, "holds no private key"),
                (["--cacert", authority, "--key", authority], 64, "--key goes with --cert"),
            ] as [([String], Int32, String)] {
                let result = try await BuiltCommand.run(words + more)
                #expect(result.code == code, "\(more): \(result.errors)")
                #expect(result.errors.contains(text), "\(more): \(result.errors)")
            }
        }
    }

    @Test("Edge case 104: exit() while the loop is inside OpenSSL does not crash")
    func exits() async throws {
        // Megabytes of heads come in while the command ends.
        let recorded = try String(contentsOfFile: BuiltCommand.mainnet, encoding: .utf8).split(separator: "\n")
        let isHead = { (line: Substring) in line.hasPrefix("<< ") && line.contains("\"parentHash\"") }
        let head = try #require(recorded.first(where: isHead))
        let beginning = recorded.prefix { !isHead($0) }
        let lines = beginning + Array(repeating: head, count: 5000)
        let flood = try Transcript(parsing: lines.joined(separator: "\n") + "\n")
        for count in 1...24 {
            try await self.withNode(flood) { node, authority, _ in
                let words = [
                    "heads", "--live", "--url", "\(node.endpoint)", "--json", "--count", "\(count)",
                    "--cacert", authority,
                ]
                // What is alive when a process ends is no leak.
                let environment = ["ASAN_OPTIONS": "detect_leaks=0"]
                let result = try await BuiltCommand.run(words, environment: environment)
                #expect(result.code == 0, "\(result.errors)")
                #expect(result.lines.count == count)
            }
        }
    }
}
