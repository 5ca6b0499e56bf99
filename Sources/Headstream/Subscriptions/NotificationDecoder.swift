import EthereumTypes
import HeadstreamJSON

/// Reads the bytes of notifications as values. It may learn from one for the next.
protocol NotificationDecoder {
    associatedtype Element: Sendable

    /// - Parameter bytes: one JSON value, with 64 readable bytes behind it.
    mutating func decode(_ bytes: UnsafeRawBufferPointer) throws(ValueError) -> Element

    /// The number of the block that an item is, or is of; nil where it tells none.
    func block(of element: Element) -> UInt64?
}

extension NotificationDecoder {
    func block(of element: Element) -> UInt64? { nil }
}

/// One whose items are large, and decoded where they stay: a copy of 340 bytes just written, as each return is, costs a
/// twentieth of what a log does.
protocol InPlaceDecoder: NotificationDecoder {
    static var blank: Blank<Element> { get }

    /// Decodes into an empty item, which holds anything where it throws.
    mutating func decode(_ bytes: UnsafeRawBufferPointer, into item: inout Element) throws(ValueError)
}

extension BlockHeader.Decoder: InPlaceDecoder {
    func block(of head: BlockHeader) -> UInt64? { head.number }
}

extension Log.Decoder: InPlaceDecoder {
    func block(of log: Log) -> UInt64? { log.blockNumber }
}

/// For any other type: ones of this package read themselves, users' own go through `Codable`.
struct DecodableDecoder<Element: Decodable & Sendable>: NotificationDecoder {
    mutating func decode(_ bytes: UnsafeRawBufferPointer) throws(ValueError) -> Element {
        try Results.decode(bytes, as: Element.self)
    }
}

/// A decoder whose kind is known at run time only.
struct AnyNotificationDecoder<Element: Sendable>: NotificationDecoder {
    private let box: Box

    private class Box {
        func decode(_ bytes: UnsafeRawBufferPointer) throws(ValueError) -> Element {
            throw ValueError(reason: "no decoder")
        }

        func block(of element: Element) -> UInt64? { nil }
    }

    private final class Holder<Decoder: NotificationDecoder>: Box where Decoder.Element == Element {
        private var decoder: Decoder

        init(_ decoder: Decoder) {
            self.decoder = decoder
        }

        override func decode(_ bytes: UnsafeRawBufferPointer) throws(ValueError) -> Element {
            try self.decoder.decode(bytes)
        }

        override func block(of element: Element) -> UInt64? { self.decoder.block(of: element) }
    }

    init<Decoder: NotificationDecoder>(_ decoder: Decoder) where Decoder.Element == Element {
        self.box = Holder(decoder)
    }

    mutating func decode(_ bytes: UnsafeRawBufferPointer) throws(ValueError) -> Element {
        try self.box.decode(bytes)
    }

    func block(of element: Element) -> UInt64? { self.box.block(of: element) }
}

/// For types that read themselves.
struct ReadableDecoder<Element: JSONReadable & Sendable>: NotificationDecoder {
    mutating func decode(_ bytes: UnsafeRawBufferPointer) throws(ValueError) -> Element {
        var reader = JSONReader(bytes)
        let value = try Element(from: &reader)
        try reader.finish()
        return value
    }
}

extension AnyNotificationDecoder where Element: Decodable {
    /// The best decoder for the type: heads and logs have one of their own.
    static func suited() -> Self {
        // Asked once for a stream, so that nothing is asked for an item.
        let decoder: Any =
            switch Element.self {
            case is BlockHeader.Type: AnyNotificationDecoder<BlockHeader>(BlockHeader.Decoder())
            case is Log.Type: AnyNotificationDecoder<Log>(Log.Decoder())
            case is Hash32.Type: AnyNotificationDecoder<Hash32>(ReadableDecoder())
            case is Transaction.Type: AnyNotificationDecoder<Transaction>(PendingTransactionDecoder())
            case is JSONValue.Type: AnyNotificationDecoder<JSONValue>(ReadableDecoder())
            case is SubstrateHeader.Type: AnyNotificationDecoder<SubstrateHeader>(ReadableDecoder())
            case is SolanaLogs.Type: AnyNotificationDecoder<SolanaLogs>(ReadableDecoder())
            case let type as any MethodKeyedNotification.Type: Self.keyed(type)
            default: Self(DecodableDecoder<Element>())
            }
        return decoder as? Self ?? Self(DecodableDecoder<Element>())
    }

    private static func keyed<Keyed: MethodKeyedNotification>(_ type: Keyed.Type) -> Any {
        AnyNotificationDecoder<Keyed>(MethodKeyedDecoder<Keyed>())
    }
}
