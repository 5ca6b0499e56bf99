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
        discussion: "Example: headstream call eth_getBlockByNumber latest false",
        options: SharedOptions.source,
        arguments: [method, parameters],
        footer: SharedOptions.exitCodes
    )
}
