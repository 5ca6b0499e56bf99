import Foundation
import Glibc
import Headstream
import HeadstreamTesting
import Testing

@testable import HeadstreamCLI

/// The built command against recordings, over real sockets.
@Suite(
    "Command runs",
    .enabled(if: BuiltCommand.path != nil, "the command is not built beside the tests"),
    .timeLimit(.minutes(15))
)
struct CommandRunTests {
    private static let usdc = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
    private static let transfer = "Transfer(address,address,uint256)"
    private static let heads = ["heads", "--replay", BuiltCommand.mainnet]
    private static let logs = [
        "logs", "--replay", BuiltCommand.mainnet, "--address", usdc, "--event", transfer,
    ]

    /// The recorded notifications' results; heads are those with a parent hash.
    private static func recorded(heads: Bool) throws -> [JSONValue] {
        try String(contentsOfFile: BuiltCommand.mainnet, encoding: .utf8).split(separator: "\n")
            .filter { $0.hasPrefix("<< ") && $0.contains("\"eth_subscription\"") }
            .compactMap { try JSONValue(parsing: String($0.dropFirst(3)))["params"]?["result"] }
            .filter { ($0["parentHash"] != nil) == heads }
    }

    /// A node that plays the recording and then stays.
    private static func withNode(
        _ transcript: Transcript? = nil,
        _ body: (TestNode) async throws -> Void
    ) async throws {
        let options = ReplayOptions(playsFinalEvent: false)
        let transcript = try transcript ?? Transcript(contentsOf: BuiltCommand.mainnet)
        let node = try await TestNode(replaying: transcript, options: options)
        try await body(node)
        await node.close()
    }

    private static func url(_ node: TestNode) -> [String] { ["--url", "\(node.endpoint)"] }

    @Test("JSON lines are the recorded objects, one a line")
    func jsonLines() async throws {
        for (words, heads) in [(Self.heads, true), (Self.logs, false)] {
            let result = try await BuiltCommand.run(words + ["--json"])
            #expect(result.code == 0, "\(result.errors)")
            let expected = try Self.recorded(heads: heads)
            #expect(try result.lines.map { try JSONValue(parsing: $0) } == expected)
            #expect(expected.count > 10)
            #expect(result.errors.isEmpty)
        }
    }

    @Test("--count ends after so many items")
    func count() async throws {
        let result = try await BuiltCommand.run(Self.heads + ["--json", "--count", "3"])
        #expect(result.code == 0)
        #expect(try result.lines.map { try JSONValue(parsing: $0) } == Array(Self.recorded(heads: true).prefix(3)))
    }

    @Test("A table has a line an item, no control characters, and everything in full where it goes to a file")
    func tables() async throws {
        let heads = try await BuiltCommand.run(Self.heads)
        #expect(heads.lines.count == 12)
        #expect(heads.lines[0].split(separator: " ") == ["BLOCK", "AGE", "GAS", "USED", "BASE", "FEE", "HASH"])
        #expect(heads.lines[1].contains("   14000000  "))
        #expect(heads.lines[1].contains("8,119,826  27%"))
        #expect(heads.lines[1].contains("139.542 gwei"))
        #expect(heads.lines[1].hasSuffix("0x9bff49171de27924fa958faf7b7ce605c1ff0fdee86f4c0c74239e6ae20d9446"))
        let logs = try await BuiltCommand.run(Self.logs + ["--count", "2"])
        #expect(logs.lines.count == 3)
        #expect(logs.lines[1].contains(Self.usdc))
        #expect(logs.lines[1].contains("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef,0x"))
        #expect(!(heads.output + logs.output).contains(0x1B))
    }

    @Test("A node given by --url or HEADSTREAM_URL is connected to")
    func url() async throws {
        try await Self.withNode { node in
            let first = try await BuiltCommand.run(["heads", "--count", "1", "--json"] + Self.url(node))
            #expect(first.code == 0, "\(first.errors)")
            #expect(first.lines.count == 1)
        }
        try await Self.withNode { node in
            let environment = ["HEADSTREAM_URL": "\(node.endpoint)"]
            let second = try await BuiltCommand.run(["heads", "--count", "2"], environment: environment)
            #expect(second.code == 0, "\(second.errors)")
            #expect(second.lines.count == 3)
        }
    }

    @Test("--for ends a quiet stream")
    func duration() async throws {
        try await Self.withNode { node in
            let result = try await BuiltCommand.run(["heads", "--json", "--for", "1ms"] + Self.url(node))
            #expect(result.code == 0, "\(result.errors)")
            #expect(result.errors.isEmpty)
        }
    }

    @Test("Ctrl-C and SIGTERM end with 130 and 143, and the subscription before that", arguments: [SIGINT, SIGTERM])
    func signals(_ signal: Int32) async throws {
        try await Self.withNode { node in
            let result = try await BuiltCommand.run(["heads", "--json"] + Self.url(node)) { pid in
                kill(pid, signal)
                return true
            }
            #expect(result.code == 128 + signal)
            #expect(result.errors.isEmpty)
            // The recording holds the unsubscribe request, so anything else would be a problem.
            #expect(await node.problems == [])
        }
    }

    @Test("A signal that whoever started the command has ignored stays ignored")
    func ignoredSignal() async throws {
        try await Self.withNode { node in
            let result = try await BuiltCommand.run(["heads", "--json"] + Self.url(node), ignoring: "INT") { pid in
                // Of two signals that wait the lower one would be taken first.
                kill(pid, SIGINT)
                kill(pid, SIGTERM)
                return true
            }
            #expect(result.code == 143)
        }
    }

    @Test("A reader that goes away ends the command quietly, also while nothing comes")
    func closedOutput() async throws {
        try await Self.withNode { node in
            let result = try await BuiltCommand.run(["heads", "--json"] + Self.url(node)) { _ in false }
            #expect(result.code == 0)
            #expect(result.errors.isEmpty)
        }
    }

    @Test("call prints the result as the node wrote it, and sends parameters as JSON or as strings")
    func call() async throws {
        let transcript = try Transcript(
            parsing: """
                >> {"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["latest",false]}
                << {"jsonrpc":"2.0","id":1,"result":{"b": 1e2,"a":[null, "\\u001b"]}}

                """
        )
        try await Self.withNode(transcript) { node in
            let words = ["call", "eth_getBlockByNumber", "latest", "false"] + Self.url(node)
            let result = try await BuiltCommand.run(words)
            #expect(result.code == 0, "\(result.errors)")
            #expect(result.lines == [#"{"b": 1e2,"a":[null, "\u001b"]}"#])
        }
    }

    @Test("Edge case 113: control characters that a node sends do not reach the terminal")
    func controlCharacters() async throws {
        let transcript = try Transcript(
            parsing: """
                >> {"jsonrpc":"2.0","id":1,"method":"web3_clientVersion","params":[]}
                << {"jsonrpc":"2.0","id":1,"result":"a\u{9B}31m\u{7F}\u{202E}b"}
                >> {"jsonrpc":"2.0","id":2,"method":"eth_call","params":[]}
                << {"jsonrpc":"2.0","id":2,"error":{"code":3,"message":"\\u001b[31mred\\u0007","data":"x\u{85}\u{9B}"}}

                """
        )
        try await Self.withNode(transcript) { node in
            let version = try await BuiltCommand.run(["call", "web3_clientVersion"] + Self.url(node))
            #expect(version.code == 0, "\(version.errors)")
            #expect(version.lines == [#""a\u009b31m\u007f\u202eb""#])
            let refused = try await BuiltCommand.run(["call", "eth_call"] + Self.url(node))
            #expect(refused.code == 70)
            #expect(refused.output.isEmpty)
            #expect(refused.errors.contains("rpcError"))
            #expect(refused.errors.contains("(code 3)"))
            #expect(refused.errors.contains(#"data: "x\u0085\u009b""#))
            let scalars = refused.errors.unicodeScalars.filter { $0 != "\n" }
            #expect(!scalars.contains { TerminalText.isHarmful($0) }, "\(refused.errors)")
        }
    }

    @Test("What goes wrong is told on stderr, with an exit code of its own")
    func failures() async throws {
        let cases: [([String], Int32, String)] = [
            (["heads", "--cuont", "3"], 64, "did you mean --count?"),
            (["haeds"], 64, "did you mean heads?"),
            (["heads"], 64, "the node is missing"),
            (["heads", "--url", "https://user:secret@node.example"], 64, "HTTP cannot push"),
            (["heads", "--url", "/nowhere/node.ipc"], 69, "cannotConnect"),
            (["heads", "--url", "../nowhere/node.ipc", "--timeout", "5"], 69, "cannotConnect"),
            (
                ["heads", "--url", "ws://node.example", "--proxy", "http://u:secret@127.0.0.1:1"], 69,
                "the proxy 127.0.0.1:1"
            ),
            (["heads", "--url", "ws://node.example", "--proxy", "socks5://secret"], 64, "http://HOST:PORT"),
            (["heads", "--url", "ws://127.0.0.1:1", "-H", "Host: secret"], 64, "belongs to the WebSocket handshake"),
            (["heads", "--url", "ws://127.0.0.1:1", "-H", "secret"], 64, "a header such as"),
            (["heads", "--replay", "/nowhere/recording.io"], 66, "/nowhere/recording.io"),
            (["heads", "--replay", #filePath], 65, "\(#filePath):1"),
            (["logs", "--replay", BuiltCommand.mainnet], 70, "does not hold eth_subscribe"),
            (["logs", "--replay", BuiltCommand.mainnet, "--event", "Transfer(adress)"], 64, "adress"),
        ]
        for (words, code, text) in cases {
            let result = try await BuiltCommand.run(words)
            #expect(result.code == code, "\(words) \(result.errors)")
            #expect(result.errors.contains(text), "\(words) \(result.errors)")
            #expect(!result.errors.contains("secret"))
            #expect(result.output.isEmpty)
        }
    }

    @Test("The environment's proxy is asked, and --proxy none goes past it")
    func proxies() async throws {
        let environment = ["http_proxy": "http://u:secret@127.0.0.1:1"]
        let words = ["heads", "--url", "ws://node.invalid"]
        let asked = try await BuiltCommand.run(words, environment: environment)
        #expect(asked.code == 69)
        #expect(asked.errors.contains("through the proxy 127.0.0.1:1 (http_proxy)"), "\(asked.errors)")
        #expect(!asked.errors.contains("secret"))
        let direct = try await BuiltCommand.run(words + ["--proxy", "none"], environment: environment)
        #expect(direct.code == 69)
        #expect(direct.errors.contains("node.invalid was not resolved"), "\(direct.errors)")
    }

    @Test("A notification that cannot be read is told, and the others are printed all the same")
    func unreadable() async throws {
        let head = try Self.recorded(heads: true)[0]
        let notification = { (result: String) in
            #"<< {"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":\#(result)}}"#
        }
        let transcript = try Transcript(
            parsing: """
                >> {"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}
                << {"jsonrpc":"2.0","id":1,"result":"0x1"}
                \(notification("\(head)"))
                \(notification(#"{"number":"0xzz"}"#))
                \(notification("\(head)"))

                """
        )
        try await Self.withNode(transcript) { node in
            let result = try await BuiltCommand.run(["heads", "--live", "--count", "2"] + Self.url(node))
            #expect(result.code == 65)
            #expect(result.lines.count == 3)
            #expect(result.errors.contains("number"))
        }
    }

    @Test("On a terminal there are colours and a status line; without colours where they are not wanted")
    func terminal() async throws {
        let environments = [(["TERM": "xterm"], true), (["TERM": "xterm", "NO_COLOR": "1"], false)]
        for ((environment, hasColor), isLive) in environments.flatMap({ [($0, false), ($0, true)] }) {
            let words = Self.heads + (isLive ? ["--live"] : [])
            let result = try await BuiltCommand.runOnTerminal(words, environment: environment)
            let text = String(decoding: result.output, as: UTF8.self)
            #expect(result.code == 0, "\(text)")
            #expect(text.contains("\u{1B}[1m   14000010\u{1B}[0m") == hasColor, "\(text)")
            // A gapless stream is catching up at first; so short a replay may be over before the line is drawn again.
            #expect(text.contains("connected · ") || !isLive && text.contains("catching up · "), "\(text)")
            #expect(text.contains("0 dropped"), "\(text)")
            #expect(text.hasSuffix("\r\u{1B}[K"))
        }
    }

    @Test("--version and --help go to stdout and end well")
    func quietOnes() async throws {
        let version = try await BuiltCommand.run(["--version"])
        #expect(version.lines == ["headstream \(Web3.version)"])
        #expect(version.code == 0)
        let help = try await BuiltCommand.run(["replay", "--help"])
        #expect(help.code == 0)
        #expect(help.lines.first == "Serve a recorded session to any client, as the node did.")
    }

    @Test("replay serves the recording on the port it prints, and on a Unix socket")
    func replay() async throws {
        let directory = try FileManager.default.url(
            for: .itemReplacementDirectory,
            in: .userDomainMask,
            appropriateFor: URL(fileURLWithPath: "/tmp"),
            create: true
        )
        defer { try? FileManager.default.removeItem(at: directory) }
        let ipc = directory.appendingPathComponent("node.ipc").path
        let (endpoints, found) = AsyncStream.makeStream(of: pid_t.self)
        async let server = BuiltCommand.run(["replay", BuiltCommand.mainnet, "--port", "0", "--ipc", ipc]) { pid in
            found.yield(pid)
            return true
        }
        var iterator = endpoints.makeAsyncIterator()
        let pid = try #require(await iterator.next())
        let result = try await BuiltCommand.run(["heads", "--json", "--count", "11", "--url", ipc])
        #expect(result.code == 0, "\(result.errors)")
        #expect(result.lines.count == 11)
        kill(pid, SIGTERM)
        let served = try await server
        #expect(served.code == 143)
        #expect(served.lines.count == 2)
        #expect(served.lines.first?.hasPrefix("ws://127.0.0.1:") == true)
        #expect(served.lines.last == "ipc:\(ipc)")
    }
}
