import Glibc
import Headstream
import HeadstreamTesting

/// How the command ends, in the words of sysexits.h. The help lists them.
enum ExitCode {
    static let success: Int32 = 0
    static let usage: Int32 = 64
    static let badData: Int32 = 65
    static let noInput: Int32 = 66
    static let unavailable: Int32 = 69
    static let refused: Int32 = 70
    static let outputFailed: Int32 = 74
    static let tryLater: Int32 = 75
    static let brokenProtocol: Int32 = 76
    /// Not of sysexits.h, which ends at 78.
    static let gap: Int32 = 80

    /// By the shell's convention: 128 and the signal's number.
    static func signal(_ number: Int32) -> Int32 { 128 + number }

    static let help = """
        Exit codes:
          0    all went well, or whoever read the output has closed it
          64   the command line was wrong
          65   a transcript, a file or an answer does not have the form it should
          66   the transcript or the file of --resume cannot be opened
          69   no connection came about, or it was lost
          70   the node answered with an error
          74   the output, or the file of --resume, cannot be written
          75   timed out, too many requests or too slow a reader; later it may work
          76   the node broke the rules of WebSocket, IPC or JSON-RPC
          80   blocks are missing, or a block to resume behind has left the chain
          130  ended by Ctrl-C (129: hang-up, 143: SIGTERM)
        """

    /// What an error of the client ends the command with.
    static func code(for error: Web3Error) -> Int32 {
        switch error.code {
        case .invalidEndpoint, .invalidArgument: Self.usage
        case .cannotConnect, .certificateRejected, .tlsFailed, .upgradeRefused, .proxyRefused, .connectionClosed,
            .subscriptionEnded:
            Self.unavailable
        case .rpcError: Self.refused
        case .rateLimited, .quotaExhausted, .timedOut, .tooManyRequests, .sendBufferFull, .consumerTooSlow:
            Self.tryLater
        case .malformedResponse, .missingFromBatch, .unverifiable: Self.badData
        case .protocolViolation: Self.brokenProtocol
        case .gap, .cursorOrphaned, .finalityViolated: Self.gap
        default: Self.refused
        }
    }

    static func code(for kind: CursorFileError.Kind) -> Int32 {
        switch kind {
        case .noInput: Self.noInput
        case .badData: Self.badData
        case .usage: Self.usage
        case .outputFailed: Self.outputFailed
        }
    }

    /// What any error ends the command with, and the text for stderr: clean, and without credentials.
    static func outcome(of error: any Error) -> (code: Int32, text: String) {
        switch error {
        case let error as Web3Error: (Self.code(for: error), Self.text(of: error))
        case let error as UsageError: (UsageError.exitCode, error.description)
        case let error as TranscriptError: (error.line > 0 ? Self.badData : Self.noInput, "\(error)")
        case let error as OutputFileError: (Self.outputFailed, TerminalText.line(error.description))
        case let error as CursorFileError: (Self.code(for: error.kind), error.description)
        case let error as ValueError: (Self.usage, TerminalText.line("\(error)"))
        default: (Self.unavailable, TerminalText.line("\(error)"))
        }
    }

    /// The message, the node's data where it gave some, and how long to wait where it said so.
    private static func text(of error: Web3Error) -> String {
        var text = "\(error.code): \(error.message)"
        if let data = error.rpcData {
            text += "\n  data: \(String(decoding: JSONLine.cleaned("\(data)"), as: UTF8.self))"
        }
        if let wait = error.retryAfter { text += "\n  the node asks to wait \(wait.components.seconds) s" }
        return text
    }
}
