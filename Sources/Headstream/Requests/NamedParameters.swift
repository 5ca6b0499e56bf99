/// Parameters of a request by name (JSON-RPC 2.0 §4.2), for nodes that want them so. They are sent in this order.
///
/// ```swift
/// var parameters: NamedParameters = ["from_address": address]
/// parameters["block_id"] = block        // left out where nil
/// ```
public struct NamedParameters: ExpressibleByDictionaryLiteral, Sendable {
    private(set) var members: [(name: String, value: any Encodable & Sendable)] = []

    /// None.
    public init() {}

    /// Of equal names the last one counts.
    public init(dictionaryLiteral elements: (String, any Encodable & Sendable)...) {
        for (name, value) in elements { self[name] = value }
    }

    public var isEmpty: Bool { self.members.isEmpty }

    /// One parameter; nil takes it out.
    public subscript(name: String) -> (any Encodable & Sendable)? {
        get { self.members.first { $0.name == name }?.value }
        set {
            self.members.removeAll { $0.name == name }
            if let newValue { self.members.append((name, newValue)) }
        }
    }
}

extension Web3 {
    /// Makes any request with parameters by name, as Starknet's nodes like them, and reads its result.
    ///
    /// ```swift
    /// let block = try await web3.request("starknet_getBlockWithTxHashes", named: ["block_id": "latest"], as: JSONValue.self)
    /// ```
    ///
    /// - Throws: ``Web3Error``. When the task is cancelled: `.cancelled`, at once.
    public func request<Value: Decodable>(
        _ method: String,
        named parameters: NamedParameters,
        as type: Value.Type = Value.self
    ) async throws(Web3Error) -> Value {
        try await self.call(EncodedRequest(method, named: parameters))
    }
}
