import Headstream

/// `headstream heads`.
enum HeadsCommand {
    static let declaration = Command(
        "heads",
        summary: "Print the headers of new blocks as they come.",
        discussion: """
            Subscribes to newHeads and prints a line a block: number, age, gas used, base fee and hash.

            \(ContinuityOptions.discussion)
            """,
        options: SharedOptions.source + ContinuityOptions.all + SharedOptions.stream,
        footer: SharedOptions.footer
    )

    static func run(_ run: Run) async throws {
        let following = try Following(run.arguments, of: run.name, stream: "heads")
        var table = HeadTable(style: .standardOutput())
        let line = { (head: BlockHeader, lines: inout [UInt8]) in
            lines += Array(table.line(head, now: TableText.now()).utf8)
        }
        try await run.withWeb3(following) { web3 in
            guard let gapless = following.gapless else {
                return try await run.list(NewHeadsRequest(), of: web3, line)
            }
            let heads = web3.eth.newHeads(
                continuity: gapless.continuity,
                from: gapless.start,
                finality: gapless.finality,
                verify: gapless.verify
            )
            var plain = PlainHeads(resumedFrom: gapless.start.cursor)
            try await run.listGapless(
                heads.updates(isToldFinality: following.tellsUpdates),
                of: web3,
                gapless,
                line
            ) { event throws(PlainStreamFailure) in
                guard let event = event.continuityEvent({ .head($0) }) else { return [] }
                return try plain.take(event).map { [$0] } ?? []
            }
        }
    }
}
