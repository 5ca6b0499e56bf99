import HeadstreamRPC

/// A request with its parameters as JSON, to be written for any id: a lost connection makes some go out twice.
struct EncodedRequest: Sendable {
    let method: String
    /// The names where parameters go by name.
    private let names: [String]?
    private let values: [[UInt8]]

    /// - Throws: `.invalidArgument` for a value that does not encode.
    init(_ method: String, _ parameters: [any Encodable & Sendable] = []) throws(Web3Error) {
        self.method = method
        self.names = nil
        self.values = try Parameters.encode(parameters, of: method)
    }

    /// - Throws: `.invalidArgument` for a value that does not encode.
    init(_ method: String, named parameters: NamedParameters) throws(Web3Error) {
        self.method = method
        self.names = parameters.members.map(\.name)
        self.values = try Parameters.encode(parameters.members.map(\.value), of: method)
    }

    /// The whole message.
    func text(for id: RequestID) -> [UInt8] {
        RequestMessage.encode(id: id, method: self.method, isNamed: self.names != nil) { writer in
            for (index, value) in self.values.enumerated() {
                if let names = self.names { writer.key(names[index]) }
                writer.writeRaw(value)
            }
        }
    }

    /// A batch's whole message; ids in sequence. Parameters go by their places.
    static func batchText(of requests: [EncodedRequest], firstID: RequestID) -> [UInt8] {
        RequestMessage.encodeBatch(firstID: firstID, count: requests.count) { index in
            (requests[index].method, { writer in for value in requests[index].values { writer.writeRaw(value) } })
        }
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
