import Headstream

/// `headstream subscribe`.
enum SubscribeCommand {
    static let call = MethodArguments(help: "The method that subscribes, such as chain_subscribeNewHeads.")
    static let unsubscribe = Option(
        "unsubscribe",
        "METHOD",
        .text,
        help: "The method that ends it; derived from the one that subscribes where this is not given."
    )

    static let declaration = Command(
        "subscribe",
        summary: "Print what any subscription brings, of any namespace, as JSON.",
        discussion: """
            Example: headstream subscribe eth_subscribe newPendingTransactions

            Example: headstream subscribe chain_subscribeNewHeads

            Example: headstream subscribe logsSubscribe all

            A line a notification: its result, as the node wrote it. Substrate, Solana and Starknet are told by the \
            method's name. A refusal of the node goes to stderr with its code and data.
            """,
        options: SharedOptions.source + [unsubscribe] + SharedOptions.streamOfJSON,
        arguments: call.all,
        footer: SharedOptions.footer
    )

    static func run(_ run: Run) async throws {
        let request = self.request(run.arguments)
        try await run.withWeb3 { web3 in try await run.listRaw(request, of: web3) }
    }

    static func request(_ arguments: Arguments) -> RawRequest {
        let (method, parameters) = self.call.values(of: arguments)
        let dialect = SubscriptionDialect(ofMethod: method)
        return RawRequest(
            dialect: dialect,
            subscribeMethod: method,
            unsubscribeMethod: arguments[self.unsubscribe] ?? dialect.unsubscribeMethod(for: method),
            parameters: parameters
        )
    }
}
