import EthereumTypes
import Foundation
import Headstream
import HeadstreamJSON
import HeadstreamTesting
import Testing

/// Kinds of subscriptions beside heads and logs.
@Suite("Kinds of subscriptions", .timeLimit(.minutes(15)))
struct KindsTests {
    private static let session = Fixture.path("sessions/geth-heads-logs-pending.io")

    /// The results that a session holds for the subscription that was asked for with `params`.
    private static func recorded(_ params: String) throws -> [JSONValue] {
        let lines = try String(contentsOfFile: Self.session, encoding: .utf8).split(separator: "\n")
        var id: JSONValue?
        var token: JSONValue?
        var results: [JSONValue] = []
        for line in lines where line.hasPrefix(">> ") || line.hasPrefix("<< ") {
            let message = try JSONValue(parsing: String(line.dropFirst(3)))
            if line.hasPrefix(">> "), message["params"] == (try JSONValue(parsing: params)) {
                id = message["id"]
            } else if let id, token == nil, message["id"] == id {
                token = message["result"]
            } else if let token, message["params"]?["subscription"] == token, let result = message["params"]?["result"]
            {
                results.append(result)
            }
        }
        #expect(!results.isEmpty)
        return results
    }

    @Test("Hashes of pending transactions, as geth sent them")
    func pendingHashes() async throws {
        let wanted = try Self.recorded(#"["newPendingTransactions"]"#).map { $0.stringValue ?? "" }
        try await withReplay(of: Self.session) { web3, _ in
            var hashes: [String] = []
            for try await hash in web3.eth.newPendingTransactions() { hashes.append("\(hash)") }
            #expect(hashes == wanted)
        }
    }

    @Test("Whole pending transactions, as geth sent them")
    func pendingTransactions() async throws {
        let wanted = try Self.recorded(#"["newPendingTransactions",true]"#).map { $0["hash"]?.stringValue ?? "" }
        try await withReplay(of: Self.session) { web3, _ in
            var hashes: [String] = []
            for try await transaction in web3.eth.newFullPendingTransactions() {
                hashes.append("\(transaction.hash)")
                #expect(transaction.blockHash == nil)
            }
            #expect(hashes == wanted)
        }
    }

    @Test("A node that refuses whole pending transactions says so where the subscription is made")
    func refused() async throws {
        try await withReplay(of: Fixture.path("sessions/hardhat-heads-logs-pending.io")) { web3, _ in
            let error = await failure { _ = try await web3.eth.subscribe(.newFullPendingTransactions()) }
            #expect(error?.code == .rpcError && error?.rpcCode == -32602)
            let other = await failure { for try await _ in web3.eth.syncing() {} }
            #expect(other?.code == .rpcError)
        }
    }

    @Test("A node that sends hashes though whole transactions were asked for is told as such, item by item")
    func hashesForTransactions() async throws {
        try await Stage.simulated.run { web3, server in
            let whole = try await web3.eth.subscribe(.newFullPendingTransactions())
            #expect(await server.log.calls.last?.params == ["newPendingTransactions", true])
            await server.act { client in
                client.notify(client.lastSubscription, "\"\(Samples.hash(5))\"")
                client.notify(client.lastSubscription, "\"\(Samples.hash(6))\"")
            }
            var updates = whole.updates.makeAsyncIterator()
            for number in 5...6 {
                guard case .undecodable(let error)? = try await updates.next() else {
                    Issue.record("an item that cannot be read was expected")
                    return
                }
                #expect(error.code == .malformedResponse)
                #expect(error.message.contains("the node sends hashes"))
                #expect(error.message.contains(Samples.hash(number).prefix(60)))
            }
        }
    }

    @Test("The state of synchronisation in every form that nodes send")
    func syncing() async throws {
        let document = try JSONValue(
            parsing: String(contentsOfFile: Fixture.path("subscriptions/web3py-syncing.json"), encoding: .utf8)
        )
        let recorded = (document.arrayValue ?? []).compactMap { $0["params"]?["result"]?.description }
        #expect(recorded.count == 2)
        let status = #"{"startingBlock":1,"currentBlock":2,"highestBlock":"0x3","pulledStates":7}"#
        let forms = ["true", #"{"syncing":true,"status":\#(status)}"#, #"{"syncing":false}"#]
        try await Stage.simulated.run { web3, server in
            let changes = try await web3.eth.subscribe(.syncing())
            await server.act { client in
                for form in recorded + forms { client.notify(client.lastSubscription, form) }
            }
            var iterator = changes.makeAsyncIterator()
            #expect(try await iterator.next() == .synced)
            let flat = SyncProgress(startingBlock: 0, currentBlock: 0x4346fe, highestBlock: 0x434806)
            #expect(try await iterator.next() == .syncing(flat))
            #expect(try await iterator.next() == .syncing(nil))
            guard case .syncing(let progress?)? = try await iterator.next() else {
                Issue.record("progress was expected")
                return
            }
            #expect(progress.startingBlock == 1 && progress.currentBlock == 2 && progress.highestBlock == 3)
            #expect(progress.unknownFields["pulledStates"] == 7)
            #expect(try await iterator.next() == .synced)
        }
    }

    /// A type of a user's own, by `Codable` alone.
    private struct Price: Codable, Hashable, Sendable {
        var pair: String
        var price: Double
        var at: Date?
    }

    private struct PricesRequest: SubscriptionRequest {
        typealias Notification = Price
        var subscribeMethod: String { "feed_subscribe" }
        var parameters: [any Encodable & Sendable] { ["prices", ["pair": "ETH/USD"]] }
    }

    @Test("A kind of a user's own, in a namespace of its own, with a Decodable type")
    func custom() async throws {
        let script: ScriptedServer.Script = { client, message in
            guard let call = message.calls.first, call.method.hasSuffix("ubscribe") else { return }
            client.answer(call, call.method == "feed_subscribe" ? "\"0x5\"" : "true")
        }
        try await Stage.simulated.run(script: script) { web3, server in
            let prices = try await web3.subscribe(PricesRequest())
            #expect(await server.log.calls.last?.params == ["prices", ["pair": "ETH/USD"]])
            await server.act { client in
                client.notify("0x5", #"{"pair":"ETH/USD","price":1.5}"#)
                client.notify("0x5", #"{"pair":"ETH/USD"}"#)
                client.notify("0x5", #"{"price":2,"pair":"ETH/USD","more":[]}"#)
            }
            var iterator = prices.makeAsyncIterator()
            #expect(try await iterator.next() == Price(pair: "ETH/USD", price: 1.5))
            let error = await failure { _ = try await iterator.next() }
            #expect(error?.code == .malformedResponse && error?.message.contains("price") == true)
            #expect(try await iterator.next() == Price(pair: "ETH/USD", price: 2))
            await prices.unsubscribe()
            #expect(await server.log.calls.last?.method == "feed_unsubscribe")
        }
    }
}
