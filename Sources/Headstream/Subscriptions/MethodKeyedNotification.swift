import HeadstreamJSON
import HeadstreamRPC

/// A notification that is one thing or another by its method's name: for nodes that send several methods on one
/// subscription (Starknet tells a reorganisation on the subscription of heads).
///
/// ```swift
/// enum Update: MethodKeyedNotification {
///     case block(Block)
///     case reorg(Reorg)
///
///     init(_ notification: borrowing NotificationMessage) throws {
///         switch notification.method {
///         case "my_subscriptionReorg": self = .reorg(try notification.result())
///         default: self = .block(try notification.result())
///         }
///     }
/// }
/// ```
///
/// A ``SubscriptionRequest`` with such a `Notification` gets its messages whole; all others get results alone and pay
/// nothing for it.
public protocol MethodKeyedNotification: Decodable, Sendable {
    /// Reads a notification. What it throws is told as an item that could not be read.
    init(_ notification: borrowing NotificationMessage) throws
}

/// One notification as it came: its method and its result, not yet read.
public struct NotificationMessage: ~Copyable {
    /// The notification's method.
    public let method: String
    private let bytes: UnsafeRawBufferPointer

    /// - Parameter message: valid as long as this value lives, with 64 readable bytes behind it.
    init(_ message: UnsafeRawBufferPointer) throws(ValueError) {
        guard let (method, result) = Envelope.notification(in: message) else {
            throw ValueError(reason: "is no notification")
        }
        self.method = String(decoding: method, as: UTF8.self)
        self.bytes = result
    }

    /// `params.result`, read as a type of this package, `JSONValue`, or anything `Decodable`.
    public func result<Value: Decodable>(as type: Value.Type = Value.self) throws(ValueError) -> Value {
        try Results.decode(self.bytes, as: type)
    }
}

extension MethodKeyedNotification {
    /// Reads the whole notification, `{"method":…,"params":{"result":…}}`.
    public init(from decoder: any Decoder) throws {
        self = try PaddedJSON(JSONValue(from: decoder)).read { (bytes) throws(ValueError) in
            try MethodKeyedDecoder<Self>.read(bytes)
        }
    }
}

/// Reads whole messages.
struct MethodKeyedDecoder<Element: MethodKeyedNotification>: NotificationDecoder {
    mutating func decode(_ bytes: UnsafeRawBufferPointer) throws(ValueError) -> Element {
        try Self.read(bytes)
    }

    static func read(_ bytes: UnsafeRawBufferPointer) throws(ValueError) -> Element {
        let message = try NotificationMessage(bytes)
        do {
            return try Element(message)
        } catch let error as ValueError {
            throw error
        } catch {
            throw ValueError(reason: "cannot be read as \(Element.self): \(error)")
        }
    }
}

/// A JSON value's text with what readers want behind it.
struct PaddedJSON {
    private let bytes: [UInt8]
    private let count: Int

    init(_ value: JSONValue) {
        let text = Array(value.description.utf8)
        self.count = text.count
        self.bytes = text + Array(repeating: 0, count: 64)
    }

    func read<Value>(_ body: (UnsafeRawBufferPointer) throws(ValueError) -> Value) throws(ValueError) -> Value {
        let outcome = self.bytes.withUnsafeBytes { bytes in
            Result { () throws(ValueError) in try body(UnsafeRawBufferPointer(rebasing: bytes[..<self.count])) }
        }
        return try outcome.get()
    }

    /// `Codable` by way of a type's own reader, so that its JSON is described in one place.
    static func decode<Value: JSONReadable>(from decoder: any Decoder) throws -> Value {
        try PaddedJSON(JSONValue(from: decoder)).read { (bytes) throws(ValueError) in
            var reader = JSONReader(bytes)
            let value = try Value(from: &reader)
            try reader.finish()
            return value
        }
    }
}
