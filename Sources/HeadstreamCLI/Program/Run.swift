import Glibc
import Headstream
import HeadstreamSockets
import HeadstreamTesting

/// One run of a subcommand, on the event loop.
struct Run: Sendable {
    /// The subcommand's name.
    let name: String
    let arguments: Arguments
    let terminal: Terminal
    let stop: StopSignal

    /// Runs the subcommand.
    ///
    /// - Returns: the exit code.
    func perform() async -> Int32 {
        do {
            switch self.name {
            case "heads": try await HeadsCommand.run(self)
            case "logs": try await LogsCommand.run(self)
            case "pending": try await PendingCommand.run(self)
            case "syncing": try await SyncingCommand.run(self)
            case "subscribe": try await SubscribeCommand.run(self)
            case "call": try await CallCommand.run(self)
            case "doctor": try await DoctorCommand.run(self)
            case "record": try await RecordCommand.run(self)
            default: try await ReplayCommand.run(self)
            }
        } catch {
            // What was cancelled ends with an error too; then the reason for it counts.
            guard self.stop.reason == nil else { return self.interrupted() }
            if let told = error as? ToldError { return told.code }
            let (code, text) = ExitCode.outcome(of: error)
            self.terminal.report(error is UsageError ? text : "headstream \(self.name): \(text)")
            return code
        }
        return self.interrupted()
    }

    private func interrupted() -> Int32 {
        switch self.stop.reason {
        case .signal(let number): ExitCode.signal(number)
        case .outputFailed(let number): Self.outputFailed(number, self.name)
        case .cursorFailed(let number): Self.cursorFailed(number, self.name)
        case nil, .durationReached, .outputClosed: ExitCode.success
        }
    }

    /// Tells why the output cannot be written.
    static func outputFailed(_ number: Int32, _ name: String) -> Int32 {
        Program.complain("headstream \(name): the output cannot be written: \(String(cString: strerror(number)))")
        return ExitCode.outputFailed
    }

    /// Tells why the file of `--resume` cannot be kept.
    static func cursorFailed(_ number: Int32, _ name: String) -> Int32 {
        Program.complain("headstream \(name): the cursor cannot be kept: \(String(cString: strerror(number)))")
        return ExitCode.outputFailed
    }

    // MARK: The node

    /// Connects to the node that the command line names, or to one that plays a transcript, and closes behind `body`.
    func withWeb3(_ following: Following? = nil, _ body: (Web3) async throws -> Void) async throws {
        var configuration = try self.configuration()
        // What is missed while there is no connection is lost: a listing with a hole ends with an error instead.
        if following?.reconnects != true { configuration.reconnect = .never }
        if following?.gapless?.races == true { configuration.endpointPolicy = .firstArrival }
        if let file = self.arguments[SharedOptions.replay] {
            // Behind its end there is nothing to connect to.
            configuration.reconnect = .never
            let transcript = try Transcript(contentsOf: file)
            let options = ReplayOptions(speed: self.arguments[SharedOptions.speed] ?? .max)
            try await withReplay(of: transcript, options: options, configuration: configuration) { web3, node in
                self.terminal.status?.connected(to: "replay on \(node.endpoint)", unit: self.name)
                self.scheduleEnd()
                try await body(web3)
            }
        } else {
            let endpoints = try self.arguments.all(SharedOptions.urls).map { try Self.endpoint($0) }
            guard !endpoints.isEmpty else { throw self.nodeIsMissing(", or play a transcript with --replay") }
            try await Web3.withConnection(to: endpoints, configuration: configuration) { web3 in
                self.terminal.status?.connected(to: TerminalText.line("\(web3.endpoint)"), unit: self.name)
                self.scheduleEnd()
                try await body(web3)
            }
        }
    }

    /// What the command line says of the connection, and of buffers.
    func configuration() throws -> Configuration {
        var configuration = Configuration()
        // Ctrl-C is not to wait long for a node that does not answer.
        configuration.closeTimeout = .seconds(1)
        configuration.whenFull = self.arguments[SharedOptions.whenFull] ?? .suspendReading
        if let bytes = self.arguments[SharedOptions.buffer] { configuration.bufferLimit = bytes }
        configuration.userAgent = "headstream-cli/\(Web3.version)"
        self.arguments.apply(to: &configuration)
        try TLSOptions.apply(self.arguments, of: self.name, to: &configuration)
        return configuration
    }

    /// - Parameter otherwise: what else the command takes.
    func nodeIsMissing(_ otherwise: String = "") -> UsageError {
        UsageError(
            command: "headstream \(self.name)",
            message: "the node is missing: give --url or set HEADSTREAM_URL\(otherwise)"
        )
    }

    /// The node's endpoint; also `~/`, which a shell would have made absolute, but not behind `--url=`.
    static func endpoint(_ text: String, home: String? = Run.home) throws(Web3Error) -> Endpoint {
        if text.hasPrefix("~/"), let home { return .ipc(home + text.dropFirst()) }
        return try Endpoint(text)
    }

    private static var home: String? { getenv("HOME").map { String(cString: $0) } }

    /// `--for`, counted from the connection on: how long that takes is the node's matter.
    func scheduleEnd() {
        guard let duration = self.arguments[SharedOptions.duration] else { return }
        let loop = EventLoop.shared
        loop.execute {
            _ = loop.schedule(at: loop.now.advanced(by: duration)) { self.stop.stop(.durationReached) }
        }
    }
}

/// Ends the run with a code for what was told already.
struct ToldError: Error {
    let code: Int32
}
