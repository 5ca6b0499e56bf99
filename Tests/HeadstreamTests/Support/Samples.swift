import Headstream
import HeadstreamLocks
import Testing

/// Notifications that are plain numbers, for tests that count.
struct NumbersRequest: SubscriptionRequest {
    typealias Notification = Int
    var parameters: [any Encodable & Sendable] { ["numbers"] }
}

/// What callbacks of any thread tell.
final class Recorder<Value: Sendable>: Sendable {
    private let values = Locked<[Value]>([])

    var all: [Value] { self.values.withLock { $0 } }

    func append(_ value: Value) {
        self.values.withLock { $0.append(value) }
    }
}

enum Samples {
    static func hash(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return "0x" + String(repeating: "0", count: 64 - digits.count) + digits
    }

    /// A header as a node sends it after London.
    static func header(_ number: Int, extra: String = "") -> String {
        let zero = Self.hash(0)
        let bloom = "0x" + String(repeating: "0", count: 512)
        return
            #"{"number":"0x\#(String(number, radix: 16))","hash":"\#(Self.hash(number + 1))","parentHash":"\#(Self.hash(number))","#
            + #""sha3Uncles":"\#(zero)","miner":"0x0000000000000000000000000000000000000000","stateRoot":"\#(zero)","#
            + #""transactionsRoot":"\#(zero)","receiptsRoot":"\#(zero)","logsBloom":"\#(bloom)","difficulty":"0x0","#
            + #""gasLimit":"0x1c9c380","gasUsed":"0x0","timestamp":"0x65","extraData":"0x","mixHash":"\#(zero)","#
            + #""nonce":"0x0000000000000000","baseFeePerGas":"0x7"\#(extra)}"#
    }

    /// A log of block `number`.
    static func log(_ number: Int, index: Int = 0) -> String {
        #"{"address":"0x00000000000000000000000000000000000000aa","topics":["\#(Self.hash(1))"],"data":"0x","#
            + #""blockNumber":"0x\#(String(number, radix: 16))","blockHash":"\#(Self.hash(number + 1))","#
            + #""transactionHash":"\#(Self.hash(9))","transactionIndex":"0x0","logIndex":"0x\#(String(index, radix: 16))","#
            + #""removed":false}"#
    }
}

/// Lets others run until `condition` holds; for what has no event to wait for. Fails the test after a million turns.
func eventually(_ condition: () async -> Bool) async {
    for _ in 0..<1_000_000 {
        if await condition() { return }
        await Task.yield()
    }
    Issue.record("it never came to hold")
}

/// The error that `body` throws.
func failure(_ body: () async throws -> Void) async -> Web3Error? {
    do {
        try await body()
        Issue.record("no error was thrown")
        return nil
    } catch {
        #expect(error is Web3Error, "\(error)")
        return error as? Web3Error
    }
}

extension Web3 {
    /// Makes a request whose result is a text.
    func ask(_ method: String) async throws -> String {
        try await self.request(method, as: String.self)
    }
}
