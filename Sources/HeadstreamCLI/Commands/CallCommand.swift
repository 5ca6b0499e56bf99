import Headstream

/// `headstream call`.
enum CallCommand {
    static let method = Positional("METHOD", .text, help: "The method, such as eth_blockNumber.")
    static let parameters = Positional(
        "JSON",
        .text,
        required: false,
        repeatable: true,
        help: "Its parameters, each as JSON; what is no JSON is taken as a string."
    )

    static let declaration = Command(
        "call",
        summary: "Make one request and print its result as JSON.",
        discussion: """
            Example: headstream call eth_getBlockByNumber latest false

            The result is one line, as the node wrote it. An error of the node goes to stderr with its code and data.
            """,
        options: SharedOptions.source,
        arguments: [method, parameters],
        footer: SharedOptions.footer
    )

    static func run(_ run: Run) async throws {
        let method = run.arguments[self.method] ?? ""
        let parameters = run.arguments.all(self.parameters).map(self.parameter)
        try await run.withWeb3 { web3 in
            let result = try await web3.request(method, parameters: parameters, as: RawJSON.self)
            run.terminal.print { JSONLine.append(result.bytes, to: &$0) }
        }
    }

    /// A parameter from the command line: JSON, or the text as a string, so that `latest` needs no quotes.
    static func parameter(_ text: String) -> JSONValue {
        (try? JSONValue(parsing: text)) ?? .string(text)
    }
}
