import Headstream
import HeadstreamJSON
import HeadstreamSockets
import HeadstreamWebSocket

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The transcript that a recorder writes: times, the remarks about where it comes from, and no secrets.
struct RecordingFile {
    private let writer: TranscriptWriter
    private let secrets: Secrets
    /// When the first event came: times count from there.
    private var start: LoopInstant?
    /// The id of the client's `web3_clientVersion`, as JSON, until its answer comes.
    private var versionRequest: String?
    private var isVersionKnown = false

    /// Creates the file, or empties it, and writes the remark at its head.
    init(path: String, recording endpoint: Endpoint, secrets: Secrets) throws(TranscriptError) {
        self.writer = try TranscriptWriter(path: path)
        self.secrets = secrets
        // Of a socket's path only the name: the rest tells where a user's home is.
        let source: String =
            switch endpoint.target {
            case .ipc(let path): "IPC (\(path.split(separator: "/").last ?? "socket"))"
            default: "\(endpoint)"
            }
        try self.writer.write(.remark(" recorded from \(CleanText.line(source)), \(Self.date())"))
    }

    /// Appends an event in one piece. What is thrown is final: the file ends with the last event that fitted whole.
    mutating func write(_ event: Transcript.Event, now: LoopInstant) throws(TranscriptError) {
        let start = self.start ?? now
        self.start = start
        // Milliseconds, as in all transcripts of this project.
        let time = Duration.milliseconds(now.since(start) / .milliseconds(1))
        switch event {
        case .fromClient(let bytes):
            try self.writer.write(.fromClient(self.secrets.cleaned(bytes)), at: time)
            self.noteVersionRequest(bytes)
        case .fromNode(let bytes):
            try self.writer.write(.fromNode(self.secrets.cleaned(bytes)), at: time)
            try self.noteVersion(bytes)
        case .open:
            self.versionRequest = nil
            try self.writer.write(.open, at: time)
        case .close(let code, let reason):
            try self.writer.write(.close(code: code, reason: self.secrets.cleaned(reason)), at: time)
        case .error(let text):
            try self.writer.write(.error(self.secrets.cleaned(CleanText.line(text))), at: time)
        case .remark(let text):
            try self.writer.write(.remark(" " + self.secrets.cleaned(CleanText.line(text))))
        case .drop:
            try self.writer.write(.drop, at: time)
        }
    }

    func close() throws(TranscriptError) {
        try self.writer.close()
    }

    // MARK: The node's version

    private static let versionMethod = "web3_clientVersion"

    private mutating func noteVersionRequest(_ bytes: [UInt8]) {
        guard !self.isVersionKnown, self.versionRequest == nil,
            Secrets.find(Array(Self.versionMethod.utf8), in: bytes) != nil
        else { return }
        let message = WireMessage(bytes)
        let request = message.elements?.first { $0.method == Self.versionMethod }
        self.versionRequest = request?.id.map { message.text($0) }
    }

    /// A client that asks for the node's version has it told in a remark, once.
    private mutating func noteVersion(_ bytes: [UInt8]) throws(TranscriptError) {
        guard let id = self.versionRequest else { return }
        let message = WireMessage(bytes)
        let answer = message.elements?.first { element in element.id.map { message.text($0) } == id }
        guard let answer, answer.method == nil else { return }
        self.versionRequest = nil
        guard !answer.hasError, let result = answer.result else { return }
        let text = message.text(result)
        guard text.hasPrefix("\""), text.hasSuffix("\""), text.utf8.count > 2 else { return }
        self.isVersionKnown = true
        let version = CleanText.line(String(text.dropFirst().dropLast()), limit: 200)
        try self.writer.write(.remark(" the node is \(self.secrets.cleaned(version))"))
    }

    /// Today in UTC, `2026-11-21`.
    private static func date() -> String {
        var now = time(nil)
        var parts = tm()
        guard gmtime_r(&now, &parts) != nil else { return "" }
        func padded(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(Int(parts.tm_year) + 1900)-\(padded(parts.tm_mon + 1))-\(padded(parts.tm_mday))"
    }
}
