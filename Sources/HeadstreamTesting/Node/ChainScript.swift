import EthereumTypes
import HeadstreamJSON
import HeadstreamLocks
import HeadstreamSockets

/// The node's side of one connection to a simulated chain: subscriptions to heads and logs, blocks and logs on request.
struct ChainScript: NodeScript {
    /// How many bytes may wait for a client that does not read; then the connection is cut, as nodes do.
    static let maxWaiting = 64 << 20

    private let served: ServedChain
    private var subscriptions: [Subscription] = []
    private var outbox: [[UInt8]] = []
    private var outboxHead = 0
    private var outboxBytes = 0
    private(set) var problems: [String] = []
    /// Ids handed out on this connection.
    private var handedOut: UInt64 = 0
    /// What goes out in front of the answers that are being made.
    private var early: [[UInt8]] = []

    private struct Subscription: Sendable {
        /// As JSON.
        var id: String
        /// nil for heads.
        var filter: LogFilter?
    }

    init(_ served: ServedChain) {
        self.served = served
    }

    mutating func opened(now: LoopInstant) {}

    mutating func closed() {
        self.subscriptions = []
        self.outbox = []
        self.outboxHead = 0
        self.outboxBytes = 0
    }

    // MARK: What is pushed

    mutating func told(_ notifications: [ChainNotification]) {
        for notification in notifications where self.outboxBytes <= Self.maxWaiting {
            for subscription in self.subscriptions {
                guard let message = Self.message(notification, to: subscription) else { continue }
                self.outboxBytes += message.count
                self.outbox.append(message)
            }
        }
    }

    /// What a subscription is told of a notification; nil where it is not meant.
    private static func message(_ notification: ChainNotification, to subscription: Subscription) -> [UInt8]? {
        let isWanted =
            switch notification.content {
            case .head: subscription.filter == nil
            case .log(let log): subscription.filter?.matches(log) == true
            }
        guard isWanted else { return nil }
        var message = Array(Self.prefix(of: subscription.id).utf8)
        message.reserveCapacity(message.count + notification.json.count + 12)
        message += #","result":"#.utf8
        message += notification.json
        message += "}}".utf8
        return message
    }

    mutating func endSubscriptions() -> [[UInt8]] {
        defer { self.subscriptions = [] }
        return self.subscriptions.map {
            Array((Self.prefix(of: $0.id) + #","error":{"code":-1,"message":"the subscription is over"}}}"#).utf8)
        }
    }

    mutating func nextAction(now: LoopInstant) -> ReplayAction {
        if self.outboxBytes > Self.maxWaiting { return .drop }
        guard self.outboxHead < self.outbox.count else {
            self.outbox.removeAll(keepingCapacity: self.outbox.count < 1024)
            self.outboxHead = 0
            return .idle
        }
        let message = self.outbox[self.outboxHead]
        self.outbox[self.outboxHead] = []
        self.outboxHead += 1
        self.outboxBytes -= message.count
        return .send(message)
    }

    private static func prefix(of subscription: String) -> String {
        #"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":\#(subscription)"#
    }

    // MARK: What is asked

    /// An answer that is an error.
    private struct Refusal: Error {
        var code: Int
        var message: String
    }

    mutating func received(_ message: WireMessage, now: LoopInstant) -> [[UInt8]] {
        guard let elements = message.elements else {
            return [Self.error(id: "null", Refusal(code: -32700, message: "the message is not JSON-RPC"))]
        }
        guard !elements.isEmpty else {
            return [Self.error(id: "null", Refusal(code: -32600, message: "an empty batch"))]
        }
        // One message is answered by one backend.
        let lag = self.served.chain.state.withLock { $0.chain.drawLag() }
        let quirks = self.served.quirks.withLock { $0 }
        let answers = elements.compactMap { self.answer($0, of: message, lag, quirks) }
        defer { self.early = [] }
        return self.early + (message.isBatch && !answers.isEmpty ? [answers.joinedAsBatch()] : answers)
    }

    private mutating func answer(
        _ element: WireMessage.Element,
        of message: WireMessage,
        _ lag: Int,
        _ quirks: NodeQuirks
    ) -> [UInt8]? {
        guard let method = element.method, element.isCall(in: message) else {
            let id = element.id.map { message.text($0) } ?? "null"
            return Self.error(id: id, Refusal(code: -32600, message: "not a request"))
        }
        let params = element.params.map { Array(message[$0]) } ?? Array("[]".utf8)
        let outcome = self.result(method, params, lag, quirks)
        guard let id = element.id.map({ message.text($0) }) else { return nil }
        switch outcome {
        case .success(let result): return Array(#"{"jsonrpc":"2.0","id":\#(id),"result":"#.utf8) + result + "}".utf8
        case .failure(let refusal): return Self.error(id: id, refusal)
        }
    }

    private mutating func result(
        _ method: String,
        _ params: [UInt8],
        _ lag: Int,
        _ quirks: NodeQuirks
    ) -> Result<[UInt8], Refusal> {
        do {
            let params = try Self.parameters(params)
            return .success(try self.answer(method, params, lag, quirks))
        } catch let refusal as Refusal {
            return .failure(refusal)
        } catch let error as SimulatedNodeError {
            return .failure(Refusal(code: error.code, message: error.message))
        } catch {
            return .failure(Refusal(code: -32602, message: "\(error)"))
        }
    }

    private mutating func answer(
        _ method: String,
        _ params: [[UInt8]],
        _ lag: Int,
        _ quirks: NodeQuirks
    ) throws -> [UInt8] {
        let chain = self.served.chain
        let highest = quirks.stopsAt
        switch method {
        case "eth_chainId": return Self.json("0x" + String(quirks.chainID, radix: 16))
        case "net_version": return Self.json(String(quirks.chainID))
        case "web3_clientVersion": return Self.json("HeadstreamTesting")
        case "eth_syncing": return Array("false".utf8)
        case "eth_blockNumber":
            let head = chain.state.withLock { $0.chain.block(.latest, lag: lag, upTo: highest)?.number ?? 0 }
            return Self.json("0x" + String(head, radix: 16))
        case "eth_getBlockByNumber":
            let tag: BlockTag = try Self.read(params, 0)
            return Self.json(chain.state.withLock { $0.chain.block(tag, lag: lag, upTo: highest) })
        case "eth_getBlockByHash":
            let hash: Hash32 = try Self.read(params, 0)
            return Self.json(chain.state.withLock { $0.chain.block(hash, lag: lag, upTo: highest) })
        case "eth_getLogs":
            let filter: LogFilter = try Self.read(params, 0)
            return Self.json(try chain.state.withLock { try $0.chain.logs(filter, lag: lag, upTo: highest) })
        case "eth_subscribe": return try self.subscribe(params, quirks)
        case "eth_unsubscribe":
            let id = params.first.map { String(decoding: $0, as: UTF8.self) }
            let place = self.subscriptions.firstIndex { $0.id == id }
            if let place { self.subscriptions.remove(at: place) }
            return Array((place == nil ? "false" : "true").utf8)
        default:
            let text = "the method \(method) is not served by a simulated chain"
            if self.problems.count < 100 { self.problems.append(text) }
            throw Refusal(code: -32601, message: text)
        }
    }

    private mutating func subscribe(_ params: [[UInt8]], _ quirks: NodeQuirks) throws -> [UInt8] {
        let kind: String = try Self.read(params, 0)
        let filter: LogFilter?
        switch kind {
        case "newHeads": filter = nil
        case "logs": filter = params.count > 1 ? try Self.read(params, 1) : LogFilter()
        default: throw Refusal(code: -32601, message: "no \"\(kind)\" subscription on a simulated chain")
        }
        if let most = quirks.maxSubscriptions, self.subscriptions.count >= most {
            // jsonrpsee, TOO_MANY_SUBSCRIPTIONS_CODE.
            throw Refusal(code: -32006, message: "Too many subscriptions on the connection")
        }
        self.handedOut += 1
        let number =
            quirks.repeatsSubscriptionIDs
            ? self.handedOut
            : self.served.chain.state.withLock { state in
                state.handedOut += 1
                return state.handedOut
            }
        let id = "\"0x\(String(number, radix: 16))\""
        let subscription = Subscription(id: id, filter: filter)
        self.subscriptions.append(subscription)
        if quirks.notifiesEarly {
            self.early += self.served.newest.compactMap { Self.message($0, to: subscription) }
        }
        return Array(id.utf8)
    }

    // MARK: JSON

    /// The elements of the parameters.
    static func parameters(_ params: [UInt8]) throws(ValueError) -> [[UInt8]] {
        try params.withUnsafeBytes { bytes -> Result<[[UInt8]], ValueError> in
            var reader = JSONReader(bytes)
            do throws(ValueError) {
                var elements: [[UInt8]] = []
                try reader.beginArray()
                while try reader.nextElement() { elements.append(Array(reader.bytes(in: try reader.skipValue()))) }
                return .success(elements)
            } catch {
                return .failure(error)
            }
        }.get()
    }

    static func read<Value: JSONReadable>(_ params: [[UInt8]], _ index: Int) throws -> Value {
        guard params.indices.contains(index) else {
            throw Refusal(code: -32602, message: "missing value for required argument \(index)")
        }
        return try params[index].withUnsafeBytes { bytes -> Result<Value, ValueError> in
            var reader = JSONReader(bytes)
            do throws(ValueError) { return .success(try Value(from: &reader)) } catch { return .failure(error) }
        }.get()
    }

    static func json(_ value: some JSONWritable) -> [UInt8] {
        var writer = JSONWriter()
        value.write(to: &writer)
        return (try? writer.finish()) ?? Array("null".utf8)
    }

    private static func json(_ text: String) -> [UInt8] { Array("\"\(text)\"".utf8) }

    /// A block as `eth_getBlockBy…` tells it; it has no transactions.
    private static func json(_ block: SimulatedBlock?) -> [UInt8] {
        guard let block else { return Array("null".utf8) }
        return self.json(block.header).dropLast() + #","transactions":[],"uncles":[]}"#.utf8
    }

    static func json(_ logs: [Log]) -> [UInt8] { logs.map { self.json($0) }.joinedAsBatch() }

    private static func error(id: String, _ refusal: Refusal) -> [UInt8] {
        let message = self.json(JSONValue.string(refusal.message))
        return Array(#"{"jsonrpc":"2.0","id":\#(id),"error":{"code":\#(refusal.code),"message":"#.utf8) + message
            + "}}".utf8
    }
}
