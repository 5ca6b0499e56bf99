/// `headstream` itself.
enum RootCommand {
    static let version = Flag("version", help: "Show the version.")

    static let declaration = Command(
        "headstream",
        summary: "Follow a blockchain node over JSON-RPC subscriptions.",
        options: [version],
        subcommands: [
            HeadsCommand.declaration, LogsCommand.declaration, PendingCommand.declaration, SyncingCommand.declaration,
            SubscribeCommand.declaration, CallCommand.declaration, DoctorCommand.declaration, ReplayCommand.declaration,
            RecordCommand.declaration,
        ],
        footer: SharedOptions.footer
    )
}
