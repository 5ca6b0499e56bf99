/// `headstream heads`.
enum HeadsCommand {
    static let declaration = Command(
        "heads",
        summary: "Print the headers of new blocks as they come.",
        discussion: "Subscribes to newHeads and prints a line a block: number, age, gas used, base fee and hash.",
        options: SharedOptions.source + [SharedOptions.count, SharedOptions.duration, SharedOptions.json],
        footer: SharedOptions.exitCodes
    )
}
