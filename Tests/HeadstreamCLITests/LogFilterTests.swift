import Headstream
import Testing

@testable import HeadstreamCLI

@Suite("Filters of headstream logs")
struct LogFilterTests {
    private static let address = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
    private static let first = "0x" + String(repeating: "11", count: 32)
    private static let second = "0x" + String(repeating: "22", count: 32)

    private func filter(_ words: String...) throws -> LogFilter {
        let invocation = try CommandLineParser(root: RootCommand.declaration).parse(["logs"] + words)
        guard case .run(_, let arguments) = invocation else { return LogFilter() }
        return try LogsCommand.filter(arguments)
    }

    @Test("Without options every log is wanted")
    func everything() throws {
        #expect(try self.filter() == LogFilter())
    }

    @Test("Addresses add up, topics have their places, and several of one place are alternatives")
    func places() throws {
        let filter = try self.filter(
            "--address",
            Self.address,
            "-a",
            Self.first.prefix(42).description,
            "--topic",
            "2=\(Self.first)",
            "--topic=0=\(Self.first)",
            "--topic",
            "0=\(Self.second)"
        )
        #expect(filter.addresses == [try Address(Self.address), try Address(Self.first.prefix(42))])
        let hashes = [try Hash32(Self.first), try Hash32(Self.second)]
        #expect(filter.topics == [.anyOf(hashes), .any, .exactly(hashes[0])])
    }

    @Test("An event is its hash in the first place")
    func event() throws {
        let filter = try self.filter("--event", "Transfer(address,address,uint256)", "--topic", "1=\(Self.first)")
        let transfer = try Hash32("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")
        #expect(filter.topics == [.exactly(transfer), .exactly(try Hash32(Self.first))])
    }

    @Test("An event beside a first topic, and one of types that there are not, are refused")
    func refusals() {
        #expect(throws: UsageError.self) {
            try self.filter("--event", "Transfer(address,address,uint256)", "--topic", "0=\(Self.first)")
        }
        #expect(throws: UsageError.self) { try self.filter("--event", "Transfer(adress)") }
    }

    @Test("Paths of nodes that the shell did not expand are known")
    func endpoints() throws {
        #expect(try Run.endpoint("../geth.ipc") == .ipc("../geth.ipc"))
        #expect(try Run.endpoint("~/geth.ipc", home: "/home/me") == .ipc("/home/me/geth.ipc"))
        #expect(try Run.endpoint("./geth.ipc") == .ipc("./geth.ipc"))
        #expect(try Run.endpoint("ws://a:1") == "ws://a:1")
        #expect(throws: Web3Error.self) { try Run.endpoint("~/geth.ipc", home: nil) }
    }

    @Test("A call's parameters are JSON, and what is no JSON is a string")
    func parameters() {
        #expect(MethodArguments.parameter("latest") == "latest")
        #expect(MethodArguments.parameter("\"latest\"") == "latest")
        #expect(MethodArguments.parameter("0x10") == "0x10")
        #expect(MethodArguments.parameter("true") == true)
        #expect(MethodArguments.parameter("[1,{\"a\":null}]") == [1, ["a": nil]])
        #expect(MethodArguments.parameter("") == "")
    }
}
