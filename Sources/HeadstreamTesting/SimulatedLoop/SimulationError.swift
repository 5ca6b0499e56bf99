/// Why a simulated run could not go on. Errors of the body itself are thrown as they are.
public enum SimulationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Nothing is ready, no deadline is set, and the body has not finished: it waits for what never comes, or for
    /// something off the loop. The text names what is open.
    case deadlock(String)
    /// Work of the run came from, or went to, another thread, so its order is not the seed's. The text names it.
    case escaped(String)
    /// The virtual clock passed the run's limit with the body unfinished.
    case outOfTime(String)
    /// Very many steps without the clock moving: something re-enqueues itself for ever.
    case livelock(String)

    public var description: String {
        switch self {
        case .deadlock(let text): "deadlock: \(text)"
        case .escaped(let text): "escaped the simulated loop: \(text)"
        case .outOfTime(let text): "out of time: \(text)"
        case .livelock(let text): "livelock: \(text)"
        }
    }
}
