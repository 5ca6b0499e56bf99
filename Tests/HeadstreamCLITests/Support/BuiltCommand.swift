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

    static let mainnet = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures/sessions/mainnet-14000000-14000010.io").path

    /// Runs it to its end.
    ///
    /// - Parameter firstOutput: called once, with the process's number, when it has printed something.
    ///   Returns whether the rest is read; else its output is closed.
    static func run(
        _ words: [String],
        environment: [String: String] = [:],
        firstOutput: (@Sendable (pid_t) -> Bool)? = nil
    ) async throws -> Result {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: self.path ?? "")
        process.arguments = words
        process.environment = environment
        let output = Pipe()
        let errors = Pipe()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = errors
        try process.run()
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

    /// Runs what blocks where it may.
    private static func blocking<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            Thread { continuation.resume(returning: body()) }.start()
        }
    }
}
