import Headstream
import HeadstreamJSON

/// A result or notification as the bytes the node sent, checked to be JSON.
struct RawJSON: Sendable, Hashable {
    let bytes: [UInt8]
}

extension RawJSON: JSONReadable {
    init(from reader: inout JSONReader) throws(ValueError) {
        self.bytes = Array(reader.bytes(in: try reader.skipValue()))
    }
}

extension RawJSON: Decodable {
    /// Where it is read by way of `Codable`; the library itself reads the bytes.
    init(from decoder: any Decoder) throws {
        self.bytes = Array("\(try JSONValue(from: decoder))".utf8)
    }
}

/// A subscription whose notifications are taken as the bytes the node sent.
struct RawRequest: SubscriptionRequest {
    typealias Notification = RawJSON

    let dialect: SubscriptionDialect
    let subscribeMethod: String
    let unsubscribeMethod: String
    let parameters: [any Encodable & Sendable]

    init(
        dialect: SubscriptionDialect,
        subscribeMethod: String,
        unsubscribeMethod: String,
        parameters: [any Encodable & Sendable]
    ) {
        self.dialect = dialect
        self.subscribeMethod = subscribeMethod
        self.unsubscribeMethod = unsubscribeMethod
        self.parameters = parameters
    }

    /// What another kind subscribes to.
    init(_ request: some SubscriptionRequest) {
        self.init(
            dialect: request.dialect,
            subscribeMethod: request.subscribeMethod,
            unsubscribeMethod: request.unsubscribeMethod,
            parameters: request.parameters
        )
    }
}
