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
    /// How long the client must have been quiet before the node takes it that a recorded subscription will not be made
    /// and goes on without it, and before the recorded end of a connection is played. Not used with ``isStrict``,
    /// which waits for every recorded request.
    public var settleTime: Duration
    /// Whether the last event of the recording (`close`, `drop`, `error`) is played; if not, the replay is finished
    /// where it stands.
    public var playsFinalEvent: Bool

    public init(
        speed: ReplaySpeed = .max,
        isStrict: Bool = false,
        settleTime: Duration = .milliseconds(100),
        playsFinalEvent: Bool = true
    ) {
        self.speed = speed
        self.isStrict = isStrict
        self.settleTime = settleTime
        self.playsFinalEvent = playsFinalEvent
    }
}
