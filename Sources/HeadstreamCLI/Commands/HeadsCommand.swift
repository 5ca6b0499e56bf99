import Headstream

/// `headstream heads`.
enum HeadsCommand {
    static let declaration = Command(
        "heads",
        summary: "Print the headers of new blocks as they come.",
        discussion: "Subscribes to newHeads and prints a line a block: number, age, gas used, base fee and hash.",
        options: SharedOptions.source + SharedOptions.stream,
        footer: SharedOptions.footer
    )

    static func run(_ run: Run) async throws {
        try await run.withWeb3 { web3 in
            if run.arguments[SharedOptions.json] {
                try await run.printRaw(NewHeadsRequest(), of: web3)
            } else {
                var table = HeadTable(style: .standardOutput())
                try await run.printStream(web3.eth.newHeads().updates, of: web3) { head, lines in
                    lines += Array(table.line(head, now: TableText.now()).utf8)
                }
            }
        }
    }
}
