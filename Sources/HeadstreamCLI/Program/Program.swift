import Glibc
import Headstream
import HeadstreamLocks

/// The command from its words to its exit code.
///
/// Four threads: this one waits for the end; one waits for signals; one writes (``Terminal``), since a reader that does
/// not read must not stop the event loop; and the event loop, which runs everything else.
enum Program {
    /// How long output that nobody takes is waited for after Ctrl-C, in milliseconds.
    private static let patience: Int32 = 1000

    /// - Parameter words: the command line without the program's name.
    static func run(_ words: [String]) -> Int32 {
        let path: [String]
        let arguments: Arguments
        do throws(UsageError) {
            switch try CommandLineParser(root: RootCommand.declaration, environment: Self.environment()).parse(words) {
            case .help(let text):
                return Self.print(text)
            case .run(let name, let parsed):
                path = name
                arguments = parsed
            }
        } catch {
            Self.complain("\(error)")
            return UsageError.exitCode
        }
        guard let name = path.first else { return Self.print("headstream \(Web3.version)\n") }
        return Self.run(name, arguments)
    }

    private static func run(_ name: String, _ arguments: Arguments) -> Int32 {
        let stop = StopSignal()
        let isEnding = Locked(false)
        guard
            Signals.watch({ number in
                // The second one ends at once, and so does the first where only output is still to be written.
                if !stop.stop(.signal(number)) || isEnding.withLock({ $0 }) { _exit(ExitCode.signal(number)) }
            }),
            let terminal = Terminal(stop: stop), let done = SelfPipe()
        else {
            Self.complain("headstream: the system has no threads or descriptors left")
            return ExitCode.tryLater
        }
        let run = Run(name: name, arguments: arguments, terminal: terminal, stop: stop)
        let code = Locked(ExitCode.success)
        let task = Task(executorPreference: EventLoop.shared.taskExecutor) {
            let result = await run.perform()
            code.withLock { $0 = result }
            done.wake()
        }
        stop.watch(task)
        done.wait()
        isEnding.withLock { $0 = true }
        let isInterrupted = if case .signal = stop.reason { true } else { false }
        terminal.finish(milliseconds: isInterrupted ? Self.patience : nil)
        // What was written last can have failed after the run had ended.
        let result = code.withLock { $0 }
        switch stop.reason {
        case .outputFailed(let number) where result == ExitCode.success: return Run.outputFailed(number, name)
        case .cursorFailed(let number) where result == ExitCode.success: return Run.cursorFailed(number, name)
        default: return result
        }
    }

    /// Writes to stdout where no run has begun.
    private static func print(_ text: String) -> Int32 {
        signal(SIGPIPE, SIG_IGN)
        let error = Descriptor.write(Array(text.utf8), to: STDOUT_FILENO)
        return error == 0 || error == EPIPE ? ExitCode.success : ExitCode.outputFailed
    }

    /// Writes to stderr where no run has begun, or all has ended.
    static func complain(_ text: String) {
        _ = Descriptor.write(Array((text + "\n").utf8), to: STDERR_FILENO)
    }

    private static func environment() -> [String: String] {
        var result: [String: String] = [:]
        for name in ["HEADSTREAM_URL"] {
            if let value = getenv(name) { result[name] = String(cString: value) }
        }
        return result
    }
}
