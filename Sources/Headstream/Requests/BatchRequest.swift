import HeadstreamJSON
import HeadstreamRPC

/// Requests that travel together; see `Web3.batch(_:)`.
public struct BatchRequest: Sendable {
    struct Item: Sendable {
        var method: String
        var parameters: [any Encodable & Sendable]
    }

    var items: [Item] = []

    public init() {}

    /// How many requests it holds.
    public var count: Int { self.items.count }

    /// Adds a request; its answer has this place in the results.
    public mutating func add(_ method: String, _ parameters: any Encodable & Sendable...) {
        self.items.append(Item(method: method, parameters: parameters))
    }
}

/// The answers to a batch, in the order of its requests.
public struct BatchResponse: Sendable {
    let outcomes: [Result<ResponseBytes, Web3Error>]
    let methods: [String]
    var secrets: Secrets?

    public var count: Int { self.outcomes.count }

    /// One answer, read as `type`.
    ///
    /// - Throws: the error of that request alone: the others are not touched by it.
    public func result<Value: Decodable>(_ index: Int, as type: Value.Type = Value.self) throws(Web3Error) -> Value {
        guard self.outcomes.indices.contains(index) else {
            throw Web3Error(.misuse, "the batch has \(self.count) requests; \(index) is none of them")
        }
        let bytes = try self.outcomes[index].get()
        do throws(ValueError) {
            return try bytes.withBytes { (bytes) throws(ValueError) in try Results.decode(bytes, as: type) }
        } catch {
            let error = Web3Error(error, in: self.methods[index])
            throw self.secrets.map(error.redacted) ?? error
        }
    }
}
