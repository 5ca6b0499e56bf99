import Headstream
import HeadstreamTesting

/// Replays 24 hours of heads, one in twelve seconds, on a simulated loop and tells the memory every two hours: `day`.
enum Day {
    static let heads = 24 * 3600 / 12

    static func run() async throws {
        let transcript = Self.transcript()
        try await SimulatedLoop.run(seed: 1) { loop in
            let options = ReplayOptions(speed: .recorded, playsFinalEvent: false)
            let node = try await TestNode(replaying: transcript, options: options, loop: loop)
            let web3 = try await Web3.connect(to: node.endpoint, configuration: loop.configuration)
            var count = 0
            for try await head in web3.eth.newHeads(continuity: .live) {
                guard head.number == UInt64(count + 1) else { throw Web3Error(.protocolViolation, "a head is missing") }
                count += 1
                if count % (Self.heads / 12) == 0 { say("head \(count) kilobytes \(Descriptors.residentKilobytes)") }
                if count == Self.heads { break }
            }
            let metrics = await web3.metrics
            say("heads \(count) lost \(metrics.notificationsLost) waiting \(metrics.requestsWaiting)")
            await web3.close()
            await node.close()
        }
    }

    private static func transcript() -> Transcript {
        var entries: [Transcript.Entry] = [.init(.open, at: .zero)]
        entries.append(
            .init(.fromClient(Array(#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#.utf8)))
        )
        entries.append(.init(.fromNode(Array(#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#.utf8)), at: .zero))
        for number in 1...Self.heads {
            let text =
                #"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":"#
                + Self.header(number) + "}}"
            entries.append(.init(.fromNode(Array(text.utf8)), at: .seconds(12 * number)))
        }
        return Transcript(name: "a day", entries: entries)
    }

    private static func header(_ number: Int) -> String {
        func hash(_ number: Int) -> String {
            let digits = String(number, radix: 16)
            return "0x" + String(repeating: "0", count: 64 - digits.count) + digits
        }
        let bloom = "0x" + String(repeating: "0", count: 512)
        return
            #"{"number":"0x\#(String(number, radix: 16))","hash":"\#(hash(number + 1))","parentHash":"\#(hash(number))","#
            + #""sha3Uncles":"\#(hash(0))","miner":"0x0000000000000000000000000000000000000000","#
            + #""stateRoot":"\#(hash(0))","transactionsRoot":"\#(hash(0))","receiptsRoot":"\#(hash(0))","#
            + #""logsBloom":"\#(bloom)","difficulty":"0x0","gasLimit":"0x1c9c380","gasUsed":"0x0","#
            + #""timestamp":"0x\#(String(12 * number, radix: 16))","extraData":"0x","mixHash":"\#(hash(0))","#
            + #""nonce":"0x0000000000000000","baseFeePerGas":"0x7"}"#
    }
}
