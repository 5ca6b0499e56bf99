import Headstream

/// `headstream call`.
enum CallCommand {
    static let call = MethodArguments(help: "The method, such as eth_blockNumber.")

    static let declaration = Command(
        "call",
        summary: "Make one request and print its result as JSON.",
        discussion: """
            Example: headstream call eth_getBlockByNumber latest false

            The result is one line, as the node wrote it. An error of the node goes to stderr with its code and data.
            """,
        options: SharedOptions.source,
        arguments: call.all,
        footer: SharedOptions.footer
    )

    static func run(_ run: Run) async throws {
        let (method, parameters) = self.call.values(of: run.arguments)
        try await run.withWeb3 { web3 in
            let result = try await web3.request(method, parameters: parameters, as: RawJSON.self)
            run.terminal.print { JSONLine.append(result.bytes, to: &$0) }
        }
    }
}
