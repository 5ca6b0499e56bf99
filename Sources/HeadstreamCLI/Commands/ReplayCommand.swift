import Glibc
import Headstream
import HeadstreamTesting

/// `headstream replay`.
enum ReplayCommand {
    static let file = Positional("FILE", .file, help: "The transcript.")
    static let port = Option(
        "port",
        short: "p",
        "PORT",
        .int(0...65_535),
        default: ("8546", 8546),
        help: "The port for WebSocket on loopback; 0 takes a free one."
    )
    static let ipc = Option("ipc", "PATH", .file, help: "Serve on this Unix socket too.")
    static let tls = Option(
        "tls",
        "CAFILE",
        .file,
        help: "Serve wss:// with a throw-away certificate, and write its authority there for --cacert."
    )
    static let strict = Flag("strict", help: "Answer only the recorded requests, in the recorded order.")
    static let once = Flag("once", help: "End when a client was played the recording to its end.")

    static let declaration = Command(
        "replay",
        summary: "Serve a recorded session to any client, as the node did.",
        discussion: """
            Listens on loopback and plays the node's side of a transcript. Requests are matched by method and \
            parameters; a request that was not recorded is answered with an error that names the nearest ones.

            The endpoints go to stdout, a line each, once clients can connect.
            """,
        options: [port, ipc, tls, SharedOptions.speed, strict, once],
        arguments: [file],
        footer: SharedOptions.footer
    )

    static func run(_ run: Run) async throws {
        let transcript = try Transcript(contentsOf: run.arguments[self.file] ?? "")
        let options = ReplayOptions(
            speed: run.arguments[SharedOptions.speed] ?? .max,
            isStrict: run.arguments[self.strict]
        )
        var transports: [TestNode.Transport] = [try self.webSocket(run.arguments)]
        if let path = run.arguments[self.ipc] { transports.append(.ipc(path: path)) }
        var nodes: [TestNode] = []
        do {
            for transport in transports {
                nodes.append(try await TestNode(replaying: transcript, options: options, on: transport))
            }
            let endpoints = nodes.map { "\($0.endpoint)\n" }.joined()
            run.terminal.print { $0 += Array(endpoints.utf8) }
            await self.serve(nodes, endsByItself: run.arguments[self.once])
        } catch {
            for node in nodes { await node.close() }
            throw error
        }
        for node in nodes { await node.close() }
        for node in nodes {
            for problem in await node.problems {
                run.terminal.report("headstream replay: \(TerminalText.line(problem))")
            }
        }
    }

    /// WebSocket, plain or over TLS.
    private static func webSocket(_ arguments: Arguments) throws -> TestNode.Transport {
        let port = UInt16(clamping: arguments[self.port] ?? 0)
        guard let file = arguments[self.tls] else { return .webSocket(port: port) }
        let authority = try TestAuthority()
        let certificate = try authority.certificate(for: ["127.0.0.1", "localhost"])
        try self.write(certificate.authorityPEM, to: file)
        return .secureWebSocket(port: port, certificate: certificate)
    }

    private static func write(_ text: String, to path: String) throws {
        let failed = { OutputFileError(description: "\(path) cannot be written: \(String(cString: strerror(errno)))") }
        guard let file = fopen(path, "we") else { throw failed() }
        let isWritten = fputs(text, file) >= 0
        guard fclose(file) == 0, isWritten else { throw failed() }
    }

    /// Returns when the task is cancelled, or when a recording was played to its end.
    private static func serve(_ nodes: [TestNode], endsByItself: Bool) async {
        let (ends, end) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        await withDiscardingTaskGroup { group in
            if endsByItself {
                for node in nodes {
                    group.addTask {
                        // Also returns when the node is closed.
                        await node.finished()
                        end.yield()
                    }
                }
            }
            // Ends when the task is cancelled.
            for await _ in ends { break }
            for node in nodes { await node.close() }
        }
    }
}
