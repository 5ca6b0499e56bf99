import Foundation

/// What is fuzzed, by the name in `HEADSTREAM_FUZZ_TARGET`.
private let targets: [String: @Sendable (FuzzInput) -> Void] = [
    "json": fuzzJSON,
    "frames": fuzzFrames,
    "inflater": fuzzInflater,
    "handshake": fuzzHandshake,
    "ipc": fuzzIPC,
    "envelope": fuzzEnvelope,
    "processor": fuzzProcessor,
    "transcript": fuzzTranscript,
]

private let target: @Sendable (FuzzInput) -> Void = {
    let name = ProcessInfo.processInfo.environment["HEADSTREAM_FUZZ_TARGET"] ?? ""
    guard let target = targets[name] else {
        fatalError("HEADSTREAM_FUZZ_TARGET must be one of \(targets.keys.sorted().joined(separator: ", "))")
    }
    return target
}()

/// libFuzzer's entry point, for its `main` (LLVM: LibFuzzer).
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    target(FuzzInput(Array(UnsafeBufferPointer(start: data, count: size))))
    return 0
}

/// Stops the fuzzer where something does not hold, with what it was.
func require(_ condition: Bool, _ message: @autoclosure () -> String) {
    if !condition { fatalError(message()) }
}
