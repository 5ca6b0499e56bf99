/// What one ``TestNode`` of a chain does that the others of it do not: for clients of several endpoints, and for streams that
/// die without a word. They are the node's; what the chain and its software do otherwise is in ``SimulatedQuirks``, and what
/// happens to single messages and connections in ``Fault``.
///
/// ```swift
/// let node = try await TestNode(chain: SimulatedChain(seed: 1, number: 100))
/// let other = try await TestNode(sharing: node)
/// let web3 = try await Web3.connect(to: [node.endpoint, other.endpoint])
/// // The first does not get past block 100; the client finds the other one.
/// await node.use(NodeQuirks(stopsAt: 100))
/// ```
public struct NodeQuirks: Hashable, Sendable {
    /// It acknowledges subscriptions and answers requests, and pushes nothing.
    public var isMute: Bool
    /// It answers no request, and pongs.
    public var isDeaf: Bool
    /// It knows nothing above this block: neither answers nor notifications tell of it. Where that is raised or lifted, the
    /// node announces its newest block, as one does that has caught up, and nothing of the blocks below.
    public var stopsAt: UInt64?
    /// What it answers to `eth_chainId` and `net_version`.
    public var chainID: UInt64

    /// A node as any other, but for what is named.
    public init(isMute: Bool = false, isDeaf: Bool = false, stopsAt: UInt64? = nil, chainID: UInt64 = 31337) {
        self.isMute = isMute
        self.isDeaf = isDeaf
        self.stopsAt = stopsAt
        self.chainID = chainID
    }
}
