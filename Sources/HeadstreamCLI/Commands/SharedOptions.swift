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
        help: "The node: wss://HOST/PATH, ws://HOST:PORT/PATH, or the path of a Unix socket."
    )
    /// The same where others may stand in for the node.
    static let urls = Option(
        "url",
        short: "u",
        "URL",
        .nodeURL,
        repeatable: true,
        environment: "HEADSTREAM_URL",
        help: """
            The node: wss://HOST/PATH, ws://HOST:PORT/PATH, or the path of a Unix socket. Of several of one chain the first \
            that can be connected to serves, and a gapless stream goes over to the next when it fails.
            """
    )
    static let header = Option(
        "header",
        short: "H",
        "'NAME: VALUE'",
        .header,
        repeatable: true,
        help: "A header for the handshake, such as 'Authorization: Bearer KEY'. Other users see it in ps."
    )
    static let proxy = Option(
        "proxy",
        "URL",
        .proxy,
        help: "An HTTP proxy, http://USER:PASSWORD@HOST:PORT, or none; else HTTPS_PROXY and its kin are asked."
    )
    static let timeout = Option(
        "timeout",
        "SECONDS",
        .seconds,
        help: "Give up connecting, or waiting for an answer, after so long; 30 s if not given."
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
            If the output is slower than the node and the buffer is full (of heads and logs only with --live): wait lets \
            the node wait, drop-oldest and drop-newest lose those, coalesce all but the newest, fail ends.
            """
    )
    static let buffer = Option(
        "buffer",
        "BYTES",
        .bytes,
        default: (text: "16MiB", value: 16 << 20),
        help: "How much is buffered for the output, at least 8KiB: 65536, 64KiB, 16MiB."
    )

    /// How the node is connected to.
    static let connection: [any OptionDeclaration] = [header, proxy, timeout] + TLSOptions.all
    /// Where the answers come from.
    static let source: [any OptionDeclaration] = [urls] + connection + [replay, speed]
    /// How much of a stream is printed, and how.
    static let stream: [any OptionDeclaration] = [count, duration, json, whenFull, buffer]
    static let streamOfJSON: [any OptionDeclaration] = [count, duration, whenFull, buffer]

    static let footer = ExitCode.help
}

extension Arguments {
    /// What the options of ``SharedOptions/connection`` say.
    func apply(to configuration: inout Configuration) {
        configuration.headers += self.all(SharedOptions.header).map { ($0.name, $0.value) }
        if let proxy = self[SharedOptions.proxy] { configuration.proxy = proxy }
        if let timeout = self[SharedOptions.timeout] {
            configuration.connectTimeout = timeout
            configuration.requestTimeout = timeout
        }
    }
}

/// A header on the command line.
struct HeaderLine: Hashable, Sendable {
    var name: String
    var value: String
}

extension ValueType<HeaderLine> {
    /// `Name: value`. Values may be secret and are never shown; what may not be in a header the library says.
    static let header = Self(expectation: "a header such as 'Authorization: Bearer KEY'", isShown: false) { text in
        guard let colon = text.firstIndex(of: ":"), colon != text.startIndex else { return nil }
        let value = text[text.index(after: colon)...].drop { $0 == " " }
        return HeaderLine(name: String(text[..<colon]), value: String(value))
    }
}

extension ValueType<ProxyConfiguration> {
    /// A proxy's URL, or `none`. It may hold credentials and is never shown.
    static let proxy = Self(
        expectation: "http://HOST:PORT, the only kind of proxy that is supported, or none",
        isShown: false
    ) { text in
        text == "none" ? ProxyConfiguration.none : try? ProxyConfiguration(text)
    }
}

extension ValueType<Duration> {
    /// Seconds, `10` or `1.5`; a unit may follow, as in `500ms`.
    static let seconds = Self(expectation: "seconds, such as 10 or 1.5") { text in
        Self.duration.parse(text.last?.isNumber == true ? text + "s" : text)
    }
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
