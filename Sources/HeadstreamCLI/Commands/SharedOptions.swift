import HeadstreamTesting

/// Options that several subcommands have, declared once.
enum SharedOptions {
    static let url = Option(
        "url",
        short: "u",
        "URL",
        .nodeURL,
        environment: "HEADSTREAM_URL",
        help: "The node: ws://HOST:PORT/PATH, or the path of a Unix socket."
    )
    static let replay = Option(
        "replay",
        "FILE",
        .file,
        help: "Play this transcript instead, on a node of its own behind a real loopback socket."
    )
    static let speed = Option(
        "speed",
        "SPEED",
        .replaySpeed,
        default: ("max", .max),
        help: "How fast a transcript is played: recorded, a number (times faster), or max."
    )
    static let count = Option("count", short: "n", "N", .int(1...), help: "End after so many.")
    static let duration = Option("for", "TIME", .duration, help: "End after so long: 500ms, 10s, 2m, 1h.")
    static let json = Flag("json", help: "One JSON object a line, in the node's own shape, flushed per line.")

    /// Where the answers come from.
    static let source: [any OptionDeclaration] = [url, replay, speed]

    static let exitCodes = """
        Exit codes:
          0    all went well
          1    the node or the connection failed; the reason is on stderr
          64   the command line was wrong
          130  ended by Ctrl-C
        """
}

extension ValueType<ReplaySpeed> {
    /// `recorded`, `max`, or how many times faster.
    static let replaySpeed = Self(expectation: "recorded, max or a number greater than 0") { text in
        switch text {
        case "recorded": .recorded
        case "max": .max
        default: Double(text).flatMap { $0 > 0 && $0.isFinite ? .times($0) : nil }
        }
    }
}
