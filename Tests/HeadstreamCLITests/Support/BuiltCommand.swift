import Foundation
import Glibc

/// Runs the command as it was built, beside the tests.
enum BuiltCommand {
    struct Result: Sendable {
        var output: Data
        var errors: String
        var code: Int32

        var lines: [String] { String(decoding: self.output, as: UTF8.self).split(separator: "\n").map(String.init) }
    }

    /// The command's file; nil where only the tests were built.
    static let path: String? = {
        guard let tests = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") else {
            return nil
        }
        let path = URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("headstream").path
        return FileManager.default.isExecutableFile(atPath: path) ? path : nil
    }()

    static let mainnet = Self.fixture("sessions/mainnet-14000000-14000010.io")

    /// A file of the package's `Fixtures`.
    static func fixture(_ path: String) -> String {
        URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Fixtures/\(path)").path
    }

    /// What a sanitizer is told goes on to what is built with it.
    private static let sanitizers = ProcessInfo.processInfo.environment.filter {
        ["ASAN_OPTIONS", "TSAN_OPTIONS"].contains($0.key)
    }

    /// The command, not yet started, with every signal's default action: whoever started the tests may have ignored some
    /// (a shell ignores SIGINT in its background jobs), which the command would inherit and honour.
    ///
    /// - Parameter ignoring: a signal that it is to find ignored, by its name without `SIG`.
    static func process(_ words: [String], environment: [String: String] = [:], ignoring: String? = nil) -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        let signals = ["--default-signal"] + (ignoring.map { ["--ignore-signal=\($0)"] } ?? [])
        process.arguments = signals + [self.path ?? ""] + words
        process.environment = environment.merging(Self.sanitizers) { given, _ in given }
        process.standardInput = FileHandle.nullDevice
        return process
    }

    /// Runs it to its end, or until the task is cancelled, as by a test's time limit.
    ///
    /// - Parameter firstOutput: called once, with the process's number, when it has printed something.
    ///   Returns whether the rest is read; else its output is closed.
    static func run(
        _ words: [String],
        environment: [String: String] = [:],
        ignoring: String? = nil,
        firstOutput: (@Sendable (pid_t) -> Bool)? = nil
    ) async throws -> Result {
        let process = self.process(words, environment: environment, ignoring: ignoring)
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        return await self.killedWhenCancelled(process) { await self.end(of: process, output, errors, firstOutput) }
    }

    private static func killedWhenCancelled(_ process: Process, _ body: () async -> Result) async -> Result {
        await withTaskCancellationHandler(operation: body) {
            // Its number may be another's as soon as it has ended.
            if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        }
    }

    private static func end(
        of process: Process,
        _ output: Pipe,
        _ errors: Pipe,
        _ firstOutput: (@Sendable (pid_t) -> Bool)?
    ) async -> Result {
        let pid = process.processIdentifier
        async let errorText = self.blocking { errors.fileHandleForReading.readDataToEndOfFile() }
        let bytes = await self.blocking {
            var bytes = Data()
            if let firstOutput {
                bytes = output.fileHandleForReading.availableData
                guard firstOutput(pid) else {
                    try? output.fileHandleForReading.close()
                    return bytes
                }
            }
            return bytes + output.fileHandleForReading.readDataToEndOfFile()
        }
        await self.blocking { process.waitUntilExit() }
        return Result(
            output: bytes,
            errors: String(decoding: await errorText, as: UTF8.self),
            code: process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
        )
    }

    /// Runs it to its end with a terminal as stdout and stderr.
    static func runOnTerminal(_ words: [String], environment: [String: String]) async throws -> Result {
        // What posix_openpt, unlockpt and ptsname do, which are not visible here.
        let master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var unlocked: CInt = 0
        var number: CInt = 0
        let (setLock, getNumber): (UInt, UInt) = (0x4004_5431, 0x8004_5430)
        guard master >= 0, ioctl(master, setLock, &unlocked) == 0, ioctl(master, getNumber, &number) == 0 else {
            throw POSIXError(.ENOTTY)
        }
        let path = "/dev/pts/\(number)"
        let slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
        guard slave >= 0 else { throw POSIXError(.ENOTTY) }
        let process = self.process(words, environment: environment)
        process.standardOutput = FileHandle(fileDescriptor: slave, closeOnDealloc: false)
        process.standardError = FileHandle(fileDescriptor: slave, closeOnDealloc: false)
        try process.run()
        close(slave)
        return await self.killedWhenCancelled(process) {
            let output = await self.blocking {
                var output = Data()
                var chunk = [UInt8](repeating: 0, count: 65_536)
                // A terminal without writers left reads as an error.
                while case let count = read(master, &chunk, chunk.count), count > 0 { output += chunk[..<count] }
                return output
            }
            close(master)
            await self.blocking { process.waitUntilExit() }
            return Result(output: output, errors: "", code: process.terminationStatus)
        }
    }

    /// Runs what blocks where it may.
    private static func blocking<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            Thread { continuation.resume(returning: body()) }.start()
        }
    }
}
