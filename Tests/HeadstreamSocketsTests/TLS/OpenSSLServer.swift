import Foundation
@preconcurrency import Glibc
import HeadstreamTesting

@testable import HeadstreamSockets

/// OpenSSL's own server, as a process: what others speak, and not what we think of it. It is killed with its object.
final class OpenSSLServer: Sendable {
    let port: UInt16
    private let process: pid_t

    struct NotStarted: Error {
        var output: String
    }

    /// - Parameter options: of `openssl s_server`, which here turns each line round (`-rev`).
    init(_ certificate: TestCertificate, _ options: String...) throws {
        let files = try TemporaryFiles()
        defer { files.remove() }
        let chain = try files.write(certificate.pem)
        let key = try files.write(certificate.privateKeyPEM)
        let output = try files.write("")
        let arguments =
            [
                "openssl", "s_server", "-rev", "-accept", "127.0.0.1:0", "-cert", chain, "-cert_chain", chain, "-key",
                key,
            ]
            + options
        // Into a file, which cannot fill up as a pipe can.
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_APPEND, 0)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var process: pid_t = 0
        let words = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        guard posix_spawnp(&process, "openssl", &actions, nil, words, environ) == 0 else {
            throw NotStarted(output: "openssl cannot be started")
        }
        self.process = process
        self.port = try Self.port(of: process, in: output)
    }

    /// The server says where it listens, or ends. It offers nothing to wait for but its file.
    private static func port(of process: pid_t, in path: String) throws -> UInt16 {
        for _ in 0..<5000 {
            let text = try String(contentsOfFile: path, encoding: .utf8)
            if let match = text.firstMatch(of: /ACCEPT .*:(\d+)\n/), let port = UInt16(match.1) { return port }
            var status: Int32 = 0
            if waitpid(process, &status, WNOHANG) == process { throw NotStarted(output: text) }
            usleep(2000)
        }
        throw NotStarted(output: "openssl says nothing")
    }

    deinit {
        kill(self.process, SIGKILL)
        var status: Int32 = 0
        waitpid(self.process, &status, 0)
    }
}

/// Files of one test, in a folder of their own.
final class TemporaryFiles {
    let folder: URL
    var path: String { self.folder.path }
    private var count = 0

    init() throws {
        self.folder = FileManager.default.temporaryDirectory.appendingPathComponent("headstream-\(UUID())")
        try FileManager.default.createDirectory(at: self.folder, withIntermediateDirectories: true)
    }

    func write(_ text: String, named name: String? = nil) throws -> String {
        self.count += 1
        let file = self.folder.appendingPathComponent(name ?? "\(self.count).pem")
        try Data(text.utf8).write(to: file)
        return file.path
    }

    func remove() {
        try? FileManager.default.removeItem(at: self.folder)
    }

    deinit {
        self.remove()
    }
}
