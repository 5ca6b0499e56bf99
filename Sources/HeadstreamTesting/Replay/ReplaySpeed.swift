/// How fast a recording is played.
public enum ReplaySpeed: Sendable, Hashable {
    /// As fast as the client takes it; times are not looked at.
    case max
    /// As it was recorded.
    case recorded
    /// So many times faster than it was recorded (slower for less than 1). What is not positive and finite is
    /// taken as ``max``.
    case times(Double)

    /// What a stretch of the recording is divided by; nil for no waiting at all.
    var factor: Double? {
        switch self {
        case .max: nil
        case .recorded: 1
        case .times(let factor): factor > 0 && factor.isFinite ? factor : nil
        }
    }
}

/// How a replaying node holds the client to the recording.
public struct ReplayOptions: Sendable, Hashable {
    /// How fast it is played.
    public var speed: ReplaySpeed
    /// Whether the client must make the recorded requests, in the recorded order and no others; what differs is
    /// answered with an error. Otherwise requests are matched by method and parameters wherever they come.
    public var isStrict: Bool
    /// How many subscriptions the client will make on each connection before it reads: at most as many as were recorded
    /// there, so `Int.max` is all of them; 0 where that is not known. The recording is held until they are there, and
    /// those that are missing then are passed over at once: a replay to several consumers that depends on no clock.
    public var awaitedSubscriptions: Int
    /// How long the client must have been quiet before the node takes it that a recorded subscription will not be made
    /// and goes on without it, and before the recorded end of a connection is played. Not used with ``isStrict``,
    /// which waits for every recorded request.
    public var settleTime: Duration
    /// Whether the last event of the recording (`close`, `drop`, `error`) is played; if not, the replay is finished
    /// where it stands.
    public var playsFinalEvent: Bool
    /// Whether the node accepts permessage-deflate (RFC 7692) from a client that offers it, and compresses then.
    public var compresses: Bool

    public init(
        speed: ReplaySpeed = .max,
        isStrict: Bool = false,
        awaitedSubscriptions: Int = 0,
        settleTime: Duration = .milliseconds(100),
        playsFinalEvent: Bool = true,
        compresses: Bool = false
    ) {
        self.speed = speed
        self.isStrict = isStrict
        self.awaitedSubscriptions = awaitedSubscriptions
        self.settleTime = settleTime
        self.playsFinalEvent = playsFinalEvent
        self.compresses = compresses
    }
}
