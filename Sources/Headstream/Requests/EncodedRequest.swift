import HeadstreamRPC

/// A request as JSON, to be sent under any id: a lost connection makes some go out twice.
struct EncodedRequest: Sendable {
    let method: String
    /// What stands behind the id.
    let tail: [UInt8]

    // Made often, and so encoded once.
    static let blockNumber = Self(plain: "eth_blockNumber")
    static let chainID = Self(plain: "eth_chainId")

    /// A request without parameters.
    init(plain method: String) {
        self.method = method
        self.tail = RequestMessage.tail(method: method) { _ in }
    }

    /// - Throws: `.invalidArgument` for a value that does not encode.
    init(_ method: String, _ parameters: [any Encodable & Sendable] = []) throws(Web3Error) {
        let values = try Parameters.encode(parameters, of: method)
        self.method = method
        self.tail = RequestMessage.tail(method: method) { writer in for value in values { writer.writeRaw(value) } }
    }

    /// - Throws: `.invalidArgument` for a value that does not encode.
    init(_ method: String, named parameters: NamedParameters) throws(Web3Error) {
        let values = try Parameters.encode(parameters.members.map(\.value), of: method)
        self.method = method
        self.tail = RequestMessage.tail(method: method, isNamed: true) { writer in
            for (member, value) in zip(parameters.members, values) {
                writer.key(member.name)
                writer.writeRaw(value)
            }
        }
    }

    /// What equal subscribe requests have in common.
    func key(_ methods: SubscriptionMethods) -> SubscriptionKey { SubscriptionKey(methods, request: self.tail) }

    /// The whole message.
    func text(for id: RequestID) -> [UInt8] { RequestMessage.encode(id: id, tail: self.tail) }

    /// A batch's whole message; ids in sequence.
    static func batchText(of requests: some Sequence<EncodedRequest>, firstID: RequestID) -> [UInt8] {
        RequestMessage.encodeBatch(firstID: firstID, tails: requests.map(\.tail))
    }

    /// Whether asking twice does no more than asking once, so that a read whose answer was lost may be asked again. What
    /// sends a transaction or changes the node is none, and neither is what is not known here.
    var isRepeatable: Bool {
        Self.reads.contains(self.method) || self.method.hasPrefix("eth_get") || self.method.hasPrefix("trace_")
            || self.method.hasPrefix("net_") || self.method.hasPrefix("web3_")
    }

    private static let reads: Set<String> = [
        "eth_blobBaseFee", "eth_blockNumber", "eth_call", "eth_chainId", "eth_createAccessList", "eth_estimateGas",
        "eth_feeHistory", "eth_gasPrice", "eth_maxPriorityFeePerGas", "eth_protocolVersion", "eth_simulateV1",
        "eth_syncing", "rpc_modules", "debug_traceTransaction", "debug_traceCall", "debug_traceBlockByHash",
        "debug_traceBlockByNumber", "chain_getBlock", "chain_getBlockHash", "chain_getHeader", "getSlot",
    ]
}
