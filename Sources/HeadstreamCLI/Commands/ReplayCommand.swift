import HeadstreamTesting

/// `headstream replay`.
enum ReplayCommand {
    static let file = Positional("FILE", .file, help: "The transcript.")
    static let port = Option(
        "port",
        short: "p",
        "PORT",
        .int(0...65_535),
        default: ("8546", 8546),
        help: "The port for WebSocket on loopback; 0 takes a free one."
    )
    static let ipc = Option("ipc", "PATH", .file, help: "Serve on this Unix socket too.")
    static let strict = Flag("strict", help: "Answer only the recorded requests, in the recorded order.")

    static let declaration = Command(
        "replay",
        summary: "Serve a recorded session to any client, as the node did.",
        discussion: """
            Listens on loopback and plays the node's side of a transcript. Requests are matched by method and \
            parameters; a request that was not recorded is answered with an error that names the nearest ones.
            """,
        options: [port, ipc, SharedOptions.speed, strict],
        arguments: [file],
        footer: SharedOptions.exitCodes
    )
}
