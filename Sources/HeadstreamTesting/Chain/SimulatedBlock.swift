public import EthereumTypes

/// A block of a simulated chain: its header, whose hash, parent and bloom are right, and its logs.
public final class SimulatedBlock: Sendable {
    public let header: BlockHeader
    public let logs: [Log]

    /// A block with a header and logs of your own, for instance recorded ones.
    public init(header: BlockHeader, logs: [Log] = []) {
        self.header = header
        self.logs = logs
    }

    public var number: UInt64 { self.header.number }
    public var hash: Hash32 { self.header.hash }
    public var parentHash: Hash32 { self.header.parentHash }
}

/// What a simulated contract emits.
public struct SimulatedEvent: Hashable, Sendable {
    public var address: Address
    public var topics: [Hash32]
    public var data: Bytes

    /// - Parameter topics: the first four count.
    public init(address: Address, topics: [Hash32] = [], data: Bytes = Bytes()) {
        self.address = address
        self.topics = Array(topics.prefix(4))
        self.data = data
    }
}
