import Headstream
import HeadstreamTesting
import Testing

@testable import HeadstreamCLI

@Suite("Command line")
struct CommandLineParserTests {
    private static let count = Option("count", short: "n", "N", .int(1...), help: "How many.")
    private static let size = Option("size", "BYTES", .bytes, default: ("1MiB", 1 << 20), help: "How large.")
    private static let name = Option("name", "NAME", .text, repeatable: true, help: "What it is called.")
    private static let url = Option("url", "URL", .nodeURL, environment: "TEST_URL", help: "Where it is.")
    private static let loud = Flag("loud", short: "l", help: "Be loud.")
    private static let first = Positional("FIRST", .int(0...9), help: "The first.")
    private static let rest = Positional("REST", .text, required: false, repeatable: true, help: "The rest.")
    private static let version = Flag("version", help: "Show the version.")

    private static let root = Command(
        "tool",
        summary: "A tool.",
        options: [version],
        subcommands: [
            Command(
                "make",
                summary: "Make something.",
                options: [count, size, name, url, loud],
                arguments: [first, rest]
            ),
            Command("list", summary: "List everything."),
        ]
    )

    private func run(_ words: String..., environment: [String: String] = [:]) throws -> ([String], Arguments) {
        let invocation = try CommandLineParser(root: Self.root, environment: environment).parse(words)
        guard case .run(let path, let arguments) = invocation else {
            Issue.record("\(invocation)")
            return ([], Arguments())
        }
        return (path, arguments)
    }

    private func message(_ words: String..., environment: [String: String] = [:]) -> String {
        let error = #expect(throws: UsageError.self) {
            _ = try CommandLineParser(root: Self.root, environment: environment).parse(words)
        }
        return error?.message ?? ""
    }

    @Test("Options come as --name value, --name=value, -n value, -nvalue, in any order")
    func forms() throws {
        for words in [
            ["--count", "3", "--loud", "7"], ["--count=3", "7", "-l"], ["7", "-n", "3", "-l"],
            ["-n3", "-l", "--", "7"],
            ["-n=3", "-l", "7"],
        ] {
            let invocation = try CommandLineParser(root: Self.root).parse(["make"] + words)
            guard case .run(let path, let arguments) = invocation else {
                Issue.record("\(words)")
                continue
            }
            #expect(path == ["make"])
            #expect(arguments[Self.count] == 3)
            #expect(arguments[Self.loud])
            #expect(arguments[Self.first] == 7)
            #expect(arguments.all(Self.rest) == [])
            #expect(arguments[Self.size] == 1 << 20)
        }
    }

    @Test("Repeatable options and arguments keep their order; what follows -- is an argument")
    func repeatable() throws {
        let (_, arguments) = try self.run("make", "--name", "a", "1", "b", "--name=c", "--", "--loud", "-x")
        #expect(arguments.all(Self.name) == ["a", "c"])
        #expect(arguments.all(Self.rest) == ["b", "--loud", "-x"])
        #expect(!arguments[Self.loud])
    }

    @Test("Values can be empty after =, look like options after it, and be negative")
    func oddValues() throws {
        let (_, arguments) = try self.run("make", "1", "--name=--loud", "--name", "-x", "--name", "a=b", "-", "-5")
        #expect(arguments.all(Self.name) == ["--loud", "-x", "a=b"])
        #expect(arguments.all(Self.rest) == ["-", "-5"])
        #expect(!arguments[Self.loud])
        #expect(self.message("make", "1", "--name=") == "--name takes a text that is not empty, not \"\"")
    }

    @Test("Errors name the option, what it takes, and what was found")
    func errors() {
        #expect(self.message("make", "1", "--count", "x") == "--count takes a whole number of at least 1, not \"x\"")
        #expect(self.message("make", "1", "--count", "-5") == "--count takes a whole number of at least 1, not \"-5\"")
        #expect(self.message("make", "1", "-n0") == "-n takes a whole number of at least 1, not \"0\"")
        #expect(
            self.message("make", "1", "--count") == "--count takes a whole number of at least 1, and nothing follows it"
        )
        #expect(
            self.message("make", "1", "--count", "--loud")
                == "--count takes a whole number of at least 1, and nothing follows it"
        )
        #expect(self.message("make", "1", "-n1", "--count=2") == "--count is given twice")
        #expect(self.message("make", "1", "--loud=yes") == "--loud takes no value")
        #expect(self.message("make", "1", "-lx") == "-l takes no value")
        #expect(self.message("make", "1", "-x") == "there is no option \"-x\"")
        #expect(self.message("make") == "FIRST is missing: The first.")
        #expect(self.message("make", "10") == "FIRST takes a whole number from 0 to 9, not \"10\"")
        #expect(self.message("list", "x") == "nothing is known to do with \"x\"")
        #expect(self.message() == "a command is missing: make, list")
        let text = UsageError(command: "tool make", message: "no").description
        #expect(text == "tool make: no\nRun \"tool make --help\" to see what it takes.")
        #expect(UsageError.exitCode == 64)
    }

    @Test("A mistyped option or command is answered with a suggestion")
    func suggestions() {
        #expect(self.message("make", "--cuont", "3") == "there is no option \"--cuont\"; did you mean --count?")
        #expect(self.message("make", "--lod") == "there is no option \"--lod\"; did you mean --loud?")
        #expect(self.message("make", "--hlep") == "there is no option \"--hlep\"; did you mean --help?")
        #expect(self.message("make", "--elephant") == "there is no option \"--elephant\"")
        #expect(self.message("mkae") == "there is no command \"mkae\"; did you mean make?")
        #expect(self.message("elephant") == "there is no command \"elephant\"")
        #expect(EditDistance.between("", "abc") == 3)
        #expect(EditDistance.between("ab", "ba") == 1)
        #expect(EditDistance.between("kitten", "sitting") == 3)
        #expect(EditDistance.between("newHeds", "newHeads") == 1)
    }

    @Test("Control characters of a command line do not reach the terminal")
    func escapes() {
        #expect(self.message("make", "--\u{1B}[31m") == "there is no option \"--\\u{1b}[31m\"")
        #expect(quoted(String(repeating: "x", count: 100)).count == 67)
    }

    @Test("A URL is never shown: it can hold credentials")
    func secrets() throws {
        let message = self.message("make", "1", "--url", "wsss://user:secret@host")
        #expect(!message.contains("secret"))
        #expect(message.contains("a node's address"))
        #expect(!self.message("make", "1", environment: ["TEST_URL": "secret"]).contains("secret\""))
    }

    @Test("An environment variable stands in for an option that is not given")
    func environment() throws {
        let environment = ["TEST_URL": "ws://one"]
        #expect(try self.run("make", "1", environment: environment).1[Self.url] == "ws://one")
        #expect(try self.run("make", "1", "--url", "/ipc", environment: environment).1[Self.url] == "/ipc")
        #expect(try self.run("make", "1", environment: ["TEST_URL": ""]).1[Self.url] == nil)
    }

    @Test("The root's own flags need no command")
    func rootFlags() throws {
        let (path, arguments) = try self.run("--version")
        #expect(path == [])
        #expect(arguments[Self.version])
    }

    @Test("Durations, sizes, speeds, topics and addresses of nodes are read, and refused where they are none")
    func values() {
        let durations: [(String, Duration?)] = [
            ("500ms", .milliseconds(500)), ("10s", .seconds(10)), ("2m", .seconds(120)), ("1h", .seconds(3600)),
            ("1d", .seconds(86_400)), ("1.5s", .milliseconds(1500)), ("0.25m", .seconds(15)), ("0s", nil), ("10", nil),
            ("s", nil), ("-1s", nil), ("1.s", nil), (".5s", nil), ("1e3s", nil), ("1 s", nil), ("", nil),
            ("1.2.3s", nil),
            ("99999999999999999999s", nil), ("9223372036854775807d", nil), ("1.0000000001s", nil),
        ]
        for (text, value) in durations { #expect(ValueType<Duration>.duration.parse(text) == value, "\(text)") }
        let sizes: [(String, Int?)] = [
            ("0", 0), ("65536", 65_536), ("64KiB", 65_536), ("16MiB", 16 << 20), ("1GiB", 1 << 30), ("1kB", 1000),
            ("2MB", 2_000_000), ("5B", 5), ("1.5MiB", nil), ("MiB", nil), ("1mib", nil), ("-1", nil),
            ("9223372036854775807KiB", nil),
        ]
        for (text, value) in sizes { #expect(ValueType<Int>.bytes.parse(text) == value, "\(text)") }
        let numbers: [(String, Int?)] = [
            ("1", 1), ("+1", nil), ("0", nil), ("1_0", nil), (" 1", nil), ("99999999999999999999", nil),
        ]
        for (text, value) in numbers { #expect(ValueType<Int>.int(1...).parse(text) == value, "\(text)") }
        let speeds: [(String, ReplaySpeed?)] = [
            ("max", .max), ("recorded", .recorded), ("10", .times(10)), ("0.5", .times(0.5)), ("0", nil), ("-1", nil),
            ("inf", nil), ("nan", nil), ("fast", nil),
        ]
        for (text, value) in speeds { #expect(ValueType<ReplaySpeed>.replaySpeed.parse(text) == value, "\(text)") }
        for text in ["ws://a", "WSS://b/c?d", "/run/geth.ipc", "./geth.ipc", "@geth", "ipc:geth"] {
            #expect(ValueType<String>.nodeURL.parse(text) == text)
        }
        for text in ["", "ws://", "node", "ftp://a", "ws://a b", "ws://a\n", "/", "@"] {
            #expect(ValueType<String>.nodeURL.parse(text) == nil, "\(text)")
        }
        let hash = "0x" + String(repeating: "aB", count: 32)
        #expect(ValueType<TopicArgument>.topic.parse("2=" + hash) == TopicArgument(position: 2, hash: hash))
        for text in ["4=" + hash, hash, "0=0x12", "=" + hash, "0=" + hash + "0"] {
            #expect(ValueType<TopicArgument>.topic.parse(text) == nil, "\(text)")
        }
        let color = ValueType<Int>.choice([("red", 1), ("green", 2), ("blue", 3)])
        #expect(color.parse("green") == 2)
        #expect(color.parse("Green") == nil)
        #expect(color.expectation == "red, green or blue")
    }

    @Test("Help is shown by --help, -h and help, for every command, in 80 columns")
    func help() throws {
        for words in [
            ["make", "--help"], ["make", "-h"], ["help", "make"], ["--help", "make"], ["make", "--count=1", "-h"],
        ] {
            guard case .help(let text) = try CommandLineParser(root: Self.root).parse(words) else {
                Issue.record("\(words)")
                continue
            }
            #expect(
                text == """
                    Make something.

                    Usage: tool make [OPTIONS] FIRST [REST…]

                    Arguments:
                      FIRST  The first.
                      REST   The rest.

                    Options:
                      -n, --count N     How many.
                          --size BYTES  How large. Default: 1MiB.
                          --name NAME   What it is called. May be given several times.
                          --url URL     Where it is. Also read from TEST_URL.
                      -l, --loud        Be loud.
                      -h, --help        Show this.

                    """
            )
        }
        let root = RootCommand.declaration
        for words in [[]] + root.subcommands.map({ [$0.name] }) {
            guard case .help(let text) = try CommandLineParser(root: root).parse(words + ["--help"]) else {
                Issue.record("\(words)")
                continue
            }
            for line in text.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
            #expect(text.contains("Usage: headstream"))
        }
    }

    @Test("The commands as people call them")
    func commands() throws {
        func parse(_ words: String...) throws -> Arguments {
            guard case .run(_, let arguments) = try CommandLineParser(root: RootCommand.declaration).parse(words) else {
                return Arguments()
            }
            return arguments
        }
        let heads = try parse("heads", "--url", "ws://127.0.0.1:8546", "--count", "3", "--for", "10s", "--json")
        #expect(heads[SharedOptions.url] == "ws://127.0.0.1:8546")
        #expect(heads[SharedOptions.count] == 3)
        #expect(heads[SharedOptions.duration] == .seconds(10))
        #expect(heads[SharedOptions.json])
        #expect(heads[SharedOptions.speed] == .max)
        let address = "0x" + String(repeating: "a0", count: 20)
        let logs = try parse(
            "logs",
            "--replay",
            "a.io",
            "--address",
            address,
            "-a",
            address,
            "--event",
            "Transfer(address,address,uint256)"
        )
        #expect(logs.all(LogsCommand.address) == [address, address])
        #expect(logs[LogsCommand.event] == "Transfer(address,address,uint256)")
        let call = try parse("call", "eth_getBlockByNumber", "latest", "false", "-1")
        #expect(call[CallCommand.call.method] == "eth_getBlockByNumber")
        #expect(call.all(CallCommand.call.parameters) == ["latest", "false", "-1"])
        let replay = try parse("replay", "--port", "0", "--speed=10", "--strict", "a.io")
        #expect(replay[ReplayCommand.port] == 0)
        #expect(replay[SharedOptions.speed] == .times(10))
        #expect(replay[ReplayCommand.strict])
        #expect(replay[ReplayCommand.file] == "a.io")
    }

    @Test("Headers, proxies and timeouts reach the client's configuration; their values are in no message")
    func connection() throws {
        func parse(_ words: String...) throws -> Configuration {
            var configuration = Configuration()
            if case .run(_, let arguments) = try CommandLineParser(root: RootCommand.declaration).parse(words) {
                arguments.apply(to: &configuration)
            }
            return configuration
        }
        let full = try parse(
            "heads",
            "-H",
            "Authorization: Bearer a:b",
            "--header=X-Key:c",
            "--header",
            "X-Empty:",
            "--proxy",
            "http://user:pw@p:3128",
            "--timeout",
            "1.5"
        )
        #expect(full.headers.map(\.name) == ["Authorization", "X-Key", "X-Empty"])
        #expect(full.headers.map(\.value) == ["Bearer a:b", "c", ""])
        #expect(full.proxy == (try ProxyConfiguration("http://user:pw@p:3128")))
        #expect(full.connectTimeout == .milliseconds(1500) && full.requestTimeout == .milliseconds(1500))
        #expect(try parse("record", "--proxy", "none", "--timeout", "500ms").proxy == ProxyConfiguration.none)
        let plain = try parse("call", "eth_blockNumber", "--timeout", "10")
        #expect(plain.connectTimeout == .seconds(10) && plain.proxy == .environment && plain.headers.isEmpty)
        for words in [
            ["heads", "--header", "secret"], ["heads", "--header", ": secret"],
            ["heads", "--proxy", "socks5://secret"],
            ["heads", "--proxy", "https://u:secret@p"], ["heads", "--proxy", ""], ["logs", "--timeout", "0"],
            ["logs", "--timeout", "-1"], ["logs", "--timeout", "soon"], ["logs", "--timeout", ""],
        ] {
            let error = #expect(throws: UsageError.self) {
                try CommandLineParser(root: RootCommand.declaration).parse(words)
            }
            #expect(error?.description.contains("secret") == false)
        }
    }

    @Test("No command line traps the parser")
    func random() {
        let seed: UInt64 = 0xC0FF_EE11
        var random = SeededGenerator(seed: seed)
        let words = [
            "make", "list", "help", "--", "-", "--count", "--count=", "-n", "-n3", "=", "--=", "-=", "--name", "é", "",
            "-l",
            "--loud", "3", "--help", "-h", "\u{0}", "--url=ws://x", "---", "-5", "make",
        ]
        for _ in 0..<3000 {
            let line = (0..<random.below(8)).map { _ in words[random.below(words.count)] }
            _ = try? CommandLineParser(root: Self.root).parse(line)
        }
    }
}
