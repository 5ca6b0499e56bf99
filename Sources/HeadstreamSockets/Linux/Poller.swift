#if os(Linux)
internal import CHeadstreamLinux
internal import Glibc

/// What a descriptor is waited for, or ready for.
struct Readiness: OptionSet {
    let rawValue: UInt32

    init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    static let readable = Self(rawValue: headstream_readable)
    static let writable = Self(rawValue: headstream_writable)
    /// The peer will send no more. Told only where it was asked for.
    static let peerFinished = Self(rawValue: headstream_peer_finished)
    /// An error, or both directions are shut. Told always: epoll cannot mask it.
    static let broken = Self(rawValue: headstream_error | headstream_hang_up)
}

/// Waits for descriptors, for a wake-up and for one instant: epoll, an eventfd and a timerfd.
///
/// This file is the whole of what a kqueue (or io_uring) would have to offer. Everything is called on the loop's thread
/// except ``wake()`` and ``now``.
///
/// Both the eventfd and the timerfd are registered edge-triggered and never read: each write and each expiry is an edge
/// of its own, so reading them back would only cost a system call.
final class Poller {
    /// Readiness of one descriptor, with the token it was added under.
    struct Event {
        var token: UInt64
        var readiness: Readiness
    }

    private let epoll: Int32
    private let eventDescriptor: Int32
    private let timerDescriptor: Int32
    /// As many as ``CHeadstreamLinux`` takes out of the kernel at once.
    private static let capacity = 256
    private let events: UnsafeMutablePointer<headstream_event>
    /// Token of the eventfd and the timerfd, of which only the wake-up matters.
    private static let ownToken = UInt64.max

    init() throws(SocketError) {
        self.epoll = headstream_epoll_create()
        self.eventDescriptor = headstream_eventfd_create()
        self.timerDescriptor = headstream_timer_create()
        let code = errno
        self.events = .allocate(capacity: Self.capacity)
        self.events.initialize(repeating: headstream_event(), count: Self.capacity)
        guard self.epoll >= 0, self.eventDescriptor >= 0, self.timerDescriptor >= 0 else {
            throw SocketError(systemError: code, "cannot start an event loop")
        }
        let edges = headstream_readable | headstream_edge
        for descriptor in [self.eventDescriptor, self.timerDescriptor] {
            let code = headstream_epoll_change(self.epoll, headstream_add, descriptor, edges, Self.ownToken)
            if code != 0 { throw SocketError(systemError: code, "cannot start an event loop") }
        }
    }

    deinit {
        for descriptor in [self.epoll, self.eventDescriptor, self.timerDescriptor] where descriptor >= 0 {
            close(descriptor)
        }
        self.events.deallocate()
    }

    /// The clock of ``arm(at:)``, in nanoseconds; it counts the time the machine was suspended.
    static var now: UInt64 {
        headstream_now()
    }

    /// Ends a wait that is going on, or the next one. From any thread.
    func wake() {
        var one: UInt64 = 1
        // It can fail only where the counter is full, and then the loop is awake.
        _ = write(self.eventDescriptor, &one, 8)
    }

    /// Sets the one instant at which a wait ends. One in the past ends it at once.
    func arm(at nanoseconds: UInt64) {
        headstream_timer_set(self.timerDescriptor, nanoseconds)
    }

    /// Waits until something is ready, or only looks. Returns how many events ``event(_:)`` holds; the wake-up and the
    /// instant are not among them.
    func wait(blocking: Bool) -> Int {
        // Interrupted by a signal, it is as if nothing were ready.
        max(0, Int(headstream_epoll_wait(self.epoll, self.events, blocking ? 1 : 0)))
    }

    /// Event `index` of the last wait; nil for the wake-up and the instant.
    func event(_ index: Int) -> Event? {
        let event = self.events[index]
        if event.token == Self.ownToken { return nil }
        return Event(token: event.token, readiness: Readiness(rawValue: event.readiness))
    }

    /// Changes what `descriptor` is waited for. An empty set takes it out, because its errors could not be masked.
    /// Returns 0 or an `errno`.
    @discardableResult
    func change(_ descriptor: Int32, from old: Readiness, to new: Readiness, token: UInt64) -> Int32 {
        if old == new { return 0 }
        let change = old.isEmpty ? headstream_add : new.isEmpty ? headstream_remove : headstream_modify
        return headstream_epoll_change(self.epoll, change, descriptor, new.rawValue, token)
    }
}
#endif
