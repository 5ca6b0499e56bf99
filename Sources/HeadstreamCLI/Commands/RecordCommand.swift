import Headstream
import HeadstreamTesting

/// `headstream record`.
enum RecordCommand {
    static let out = Option(
        "out",
        short: "o",
        "FILE",
        .file,
        help: "The transcript to write; what is there is replaced."
    )
    static let port = Option(
        "port",
        short: "p",
        "PORT",
        .int(0...65_535),
        default: ("0", 0),
        help: "The port for WebSocket on loopback; 0 takes a free one."
    )
    static let ipc = Option("ipc", "PATH", .file, help: "Listen on this Unix socket too.")

    static let declaration = Command(
        "record",
        summary: "Write down what any client and a node say to each other.",
        discussion: """
            Listens on loopback, passes every message on to the node and back, and writes each into a transcript before \
            the other side gets it. "headstream replay" plays it. One client at a time is recorded; those that follow it \
            go into the same file.

            The endpoints go to stdout, a line each, once clients can connect. Ctrl-C ends the recording in order. \
            Credentials of the URL and of headers are not written.
            """,
        options: [SharedOptions.url] + SharedOptions.connection + [out, port, ipc, SharedOptions.duration],
        footer: SharedOptions.footer
    )

    static func run(_ run: Run) async throws {
        guard let url = run.arguments[SharedOptions.url] else { throw run.nodeIsMissing() }
        guard let path = run.arguments[self.out] else {
            throw UsageError(command: "headstream record", message: "the file is missing: give --out FILE")
        }
        let configuration = try run.configuration()
        var transports: [TestNode.Transport] = [.webSocket(port: UInt16(clamping: run.arguments[self.port] ?? 0))]
        if let path = run.arguments[self.ipc] { transports.append(.ipc(path: path)) }
        do {
            let recorder = try await Recorder(
                recording: Endpoint(url),
                to: path,
                on: transports,
                configuration: configuration
            )
            let endpoints = recorder.endpoints.map { "\($0)\n" }.joined()
            run.terminal.print { $0 += Array(endpoints.utf8) }
            run.scheduleEnd()
            await self.wait(for: recorder)
            try await recorder.finished()
        } catch let error as TranscriptError {
            throw OutputFileError(description: error.description)
        }
    }

    /// Returns when the task is cancelled, or when the file cannot be written any more; the recorder is closed then.
    private static func wait(for recorder: Recorder) async {
        let (ends, end) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        await withDiscardingTaskGroup { group in
            group.addTask {
                // Also returns when the recorder is closed. What it throws is asked for again behind the group.
                try? await recorder.finished()
                end.yield()
            }
            // Ends when the task is cancelled.
            for await _ in ends { break }
            await recorder.close()
        }
    }
}

/// A file that the command was to write and cannot.
struct OutputFileError: Error, Hashable, CustomStringConvertible {
    let description: String
}
