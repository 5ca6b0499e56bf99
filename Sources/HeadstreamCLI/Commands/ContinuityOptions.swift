import Headstream

/// How `heads` and `logs` treat what they missed.
enum ContinuityOptions {
    static let gapless = Option(
        "gapless",
        "LIMIT",
        .int(1...),
        help: """
            Fetch at most so many blocks at once of what was missed, 1024 if not given; what is more is a gap.
            """
    )
    static let live = Flag("live", help: "Print what the node pushes, no more, and end when the connection does.")
    static let confirmations = Option(
        "confirmations",
        "N",
        .int(1...),
        help: "Hold a block back until so many stand on it."
    )
    static let finality = Option(
        "finality",
        "LEVEL",
        ValueType<Finality>.choice([("safe", .safe), ("finalized", .finalized)]),
        help: "Hold a block back until the chain's consensus calls it so: safe or finalized."
    )
    static let resume = Option(
        "resume",
        "FILE",
        .file,
        help: """
            Go on where FILE says, and keep it up to date with what was printed. Blocks behind its place are printed \
            again. The file need not be there at first.
            """
    )
    static let from = Option(
        "from",
        "BLOCK",
        .blockNumber,
        help: "Begin with this block, which may be in the past; with --resume only while FILE is not there."
    )
    static let verify = Option(
        "verify",
        "WHAT",
        ValueType<Verification>.choice([("headers", .headers), ("logs", .logs)]),
        help: """
            Check that headers give their hashes and hold the logs in their blooms (headers), and that all logs of a block \
            make up its bloom (logs).
            """
    )
    static let race = Flag(
        "race",
        help: """
            Subscribe at every --url at once, and print what the first of them tells. The one that is connected to has \
            authority; where another stands on another branch, --updates tell it as diverged.
            """
    )
    static let updates = Flag(
        "updates",
        help: """
            Print what happens between the items too, with --json as objects with the key update: rollback, gap, \
            caughtUp, finalized, unverified, undecodable, lagged, disconnected, reconnected, stalled, diverged, refused. A gap or rollback then ends nothing.
            """
    )

    static let all: [any OptionDeclaration] = [
        gapless, live, confirmations, finality, resume, from, verify, race, updates,
    ]

    static let discussion = """
        Nothing is missing: what a lost connection, the node or a slow output cost is fetched, and reorganisations are \
        followed. Where that cannot be held the command ends with code 80, or with --updates says so and goes on. With \
        --live this is what the node pushes, until the connection ends.
        """
}

/// What the command line says of a stream's continuity.
struct Following: Sendable {
    /// A stream that misses nothing.
    struct Gapless: Sendable {
        var continuity = Continuity.gapless()
        var start = StreamStart.latest
        var finality = Finality.latest
        var verify = Verification.off
        /// Whether all endpoints push.
        var races = false
        /// Where the cursor is kept.
        var file: CursorFile?
    }

    /// Nil, with `--live`: what the node pushes, no more.
    var gapless: Gapless?
    /// Whether what happens between the items is printed too.
    var tellsUpdates: Bool
    /// Whether a connection that is lost is made anew: where nothing is missed by it, or it is told.
    var reconnects: Bool { self.gapless != nil || self.tellsUpdates }

    /// - Parameter stream: what the cursor's file is said to belong to.
    /// - Throws: ``UsageError`` for options that do not go together, and what ``CursorFile`` throws.
    init(_ arguments: Arguments, of command: String, stream: String) throws {
        typealias Options = ContinuityOptions
        self.tellsUpdates = arguments[Options.updates]
        func misuse(_ message: String) -> UsageError {
            UsageError(command: "headstream \(command)", message: message)
        }
        /// The first of these that is given.
        func given(_ options: [any OptionDeclaration]) -> String? {
            options.first { arguments.has("--" + $0.name) }.map { "--" + $0.name }
        }
        if arguments[Options.live] {
            guard
                let option = given([
                    Options.gapless, Options.confirmations, Options.finality, Options.resume, Options.from,
                    Options.verify, Options.race,
                ])
            else { return }
            throw misuse("--live prints what the node pushes, and \(option) asks for more: give one of them")
        }
        if arguments.has("--" + SharedOptions.replay.name), let option = given([Options.resume, Options.from]) {
            throw misuse("--replay plays what was recorded, and \(option) asks for what was before: leave it off")
        }
        if arguments[Options.race], Set(arguments.all(SharedOptions.urls)).count < 2 {
            throw misuse("--race is between nodes of one chain: give at least two --url")
        }
        if let option = given([SharedOptions.whenFull, SharedOptions.buffer]) {
            throw misuse("\(option) is for --live: without it nothing is dropped, and blocks wait")
        }
        var gapless = Gapless()
        if let limit = arguments[Options.gapless] {
            gapless.continuity = .gapless(limit: Continuity.Limit(blocks: UInt64(clamping: limit)))
        }
        gapless.verify = arguments[Options.verify] ?? .off
        gapless.races = arguments[Options.race]
        if let number = arguments[Options.from] { gapless.start = .block(number) }
        switch (arguments[Options.confirmations], arguments[Options.finality]) {
        case (nil, nil): break
        case (let count?, nil): gapless.finality = .confirmations(UInt64(clamping: count))
        case (nil, let level?): gapless.finality = level
        case (_?, _?): throw misuse("--confirmations and --finality both say how long to wait: give one of them")
        }
        if let path = arguments[Options.resume] {
            let file = CursorFile(path: path, stream: stream)
            if let cursor = try file.read() { gapless.start = .cursor(cursor) }
            try file.check()
            gapless.file = file
        }
        self.gapless = gapless
    }
}

extension ValueType<UInt64> {
    /// A block's number, in decimal or hex.
    static let blockNumber = Self(expectation: "a block's number such as 19000000 or 0x121eac0") { text in
        let isHex = text.hasPrefix("0x")
        let digits = isHex ? text.dropFirst(2) : text[...]
        guard digits.allSatisfy({ $0.isASCII && $0.isHexDigit }) else { return nil }
        return UInt64(digits, radix: isHex ? 16 : 10).flatMap { $0 < 1 << 62 ? $0 : nil }
    }
}
