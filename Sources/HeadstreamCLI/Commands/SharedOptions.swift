import Headstream
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
    static let duration = Option("for", "TIME", .duration, help: "End so long after connecting: 500ms, 10s, 2m, 1h.")
    static let json = Flag("json", help: "One JSON object a line, in the node's own shape, flushed per line.")

    static let whenFull = Option(
        "when-full",
        "POLICY",
        ValueType<BufferPolicy>.choice([
            ("wait", .suspendReading), ("drop-oldest", .dropOldest), ("drop-newest", .dropNewest),
            ("coalesce", .coalesce), ("fail", .fail),
        ]),
        default: (text: "wait", value: .suspendReading),
        help: """
            If the output is slower than the node and the buffer is full: wait lets the node wait, drop-oldest and \
            drop-newest lose those, coalesce all but the newest, fail ends.
            """
    )
    static let buffer = Option(
        "buffer",
        "BYTES",
        .bytes,
        default: (text: "16MiB", value: 16 << 20),
        help: "How much is buffered for the output, at least 8KiB: 65536, 64KiB, 16MiB."
    )

    /// Where the answers come from.
    static let source: [any OptionDeclaration] = [url, replay, speed]
    /// How much of a stream is printed, and how.
    static let stream: [any OptionDeclaration] = [count, duration, json, whenFull, buffer]
    static let streamOfJSON: [any OptionDeclaration] = [count, duration, whenFull, buffer]

    static let footer = ExitCode.help
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
