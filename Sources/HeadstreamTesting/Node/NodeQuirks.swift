/// What one ``TestNode`` of a chain does that the others of it do not: for clients of several endpoints, for streams that
/// die without a word, and for what its software does to messages.
///
/// What the chain and its software do otherwise is in ``SimulatedQuirks``, and what happens to single messages and
/// connections in ``Fault``.
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
    /// A subscription's first notifications come in front of the answer that tells its id: the newest block's (hardhat and
    /// some proxies).
    public var notifiesEarly: Bool
    /// Subscriptions are counted from 1 on each connection, so that after a reconnect the ids are those of before (nodes that
    /// count from their start).
    public var repeatsSubscriptionIDs: Bool
    /// In front of each message comes an empty one: a frame without a payload, and on IPC an empty line.
    public var sendsEmptyFrames: Bool
    /// No ping is answered.
    public var ignoresPings: Bool
    /// So many subscriptions are taken on a connection; more are refused, as Reth refuses them.
    public var maxSubscriptions: Int?

    /// A node as any other, but for what is named.
    public init(
        isMute: Bool = false,
        isDeaf: Bool = false,
        stopsAt: UInt64? = nil,
        chainID: UInt64 = 31337,
        notifiesEarly: Bool = false,
        repeatsSubscriptionIDs: Bool = false,
        sendsEmptyFrames: Bool = false,
        ignoresPings: Bool = false,
        maxSubscriptions: Int? = nil
    ) {
        self.isMute = isMute
        self.isDeaf = isDeaf
        self.stopsAt = stopsAt
        self.chainID = chainID
        self.notifiesEarly = notifiesEarly
        self.repeatsSubscriptionIDs = repeatsSubscriptionIDs
        self.sendsEmptyFrames = sendsEmptyFrames
        self.ignoresPings = ignoresPings
        self.maxSubscriptions = maxSubscriptions
    }
}
