#if os(Linux)
internal import CHeadstreamLinux
internal import Glibc

/// What a descriptor is waited for, or ready for.
struct Readiness: OptionSet {
    let rawValue: UInt32

    init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    static let readable = Self(rawValue: EPOLLIN.rawValue)
    static let writable = Self(rawValue: EPOLLOUT.rawValue)
    /// The peer will send no more. Told only where it was asked for.
    static let peerFinished = Self(rawValue: EPOLLRDHUP.rawValue)
    /// An error, or both directions are shut. Told always: epoll cannot mask it.
    static let broken = Self(rawValue: EPOLLERR.rawValue | EPOLLHUP.rawValue)
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
    private let events: UnsafeMutablePointer<epoll_event>
    private static let capacity: Int32 = 256
    /// Token of the eventfd and the timerfd, of which only the wake-up matters.
    private static let ownToken = UInt64.max

    init() throws(SocketError) {
        self.epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        self.eventDescriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        self.timerDescriptor = timerfd_create(CLOCK_BOOTTIME, Int32(TFD_CLOEXEC | TFD_NONBLOCK))
        self.events = .allocate(capacity: Int(Self.capacity))
        self.events.initialize(repeating: epoll_event(), count: Int(Self.capacity))
        guard self.epoll >= 0, self.eventDescriptor >= 0, self.timerDescriptor >= 0 else {
            throw SocketError(systemError: errno, "cannot start an event loop")
        }
        for descriptor in [self.eventDescriptor, self.timerDescriptor] {
            var event = epoll_event()
            event.events = EPOLLIN.rawValue | EPOLLET.rawValue
            event.data.u64 = Self.ownToken
            guard epoll_ctl(self.epoll, EPOLL_CTL_ADD, descriptor, &event) == 0 else {
                throw SocketError(systemError: errno, "cannot start an event loop")
            }
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
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    /// Ends a wait that is going on, or the next one. From any thread.
    func wake() {
        var one: UInt64 = 1
        // It can fail only where the counter is full, and then the loop is awake.
        _ = write(self.eventDescriptor, &one, 8)
    }

    /// Sets the one instant at which a wait ends. One in the past ends it at once.
    func arm(at nanoseconds: UInt64) {
        // Zero would disarm; the seconds are a signed number.
        let bounded = min(max(nanoseconds, 1), UInt64(Int64.max))
        var value = itimerspec()
        value.it_value.tv_sec = Int(bounded / 1_000_000_000)
        value.it_value.tv_nsec = Int(bounded % 1_000_000_000)
        timerfd_settime(self.timerDescriptor, Int32(TFD_TIMER_ABSTIME), &value, nil)
    }

    /// Waits until something is ready, or only looks. Returns how many events ``event(_:)`` holds; the wake-up and the
    /// instant are not among them.
    func wait(blocking: Bool) -> Int {
        let count = epoll_wait(self.epoll, self.events, Self.capacity, blocking ? -1 : 0)
        return max(0, Int(count))
    }

    /// Event `index` of the last wait; nil for the wake-up and the instant.
    func event(_ index: Int) -> Event? {
        let event = self.events[index]
        if event.data.u64 == Self.ownToken { return nil }
        return Event(token: event.data.u64, readiness: Readiness(rawValue: event.events))
    }

    /// Changes what `descriptor` is waited for. An empty set takes it out, because its errors could not be masked.
    /// Returns 0 or an `errno`.
    @discardableResult
    func change(_ descriptor: Int32, from old: Readiness, to new: Readiness, token: UInt64) -> Int32 {
        if old == new { return 0 }
        let operation = old.isEmpty ? EPOLL_CTL_ADD : new.isEmpty ? EPOLL_CTL_DEL : EPOLL_CTL_MOD
        var event = epoll_event()
        event.events = new.rawValue
        event.data.u64 = token
        return epoll_ctl(self.epoll, operation, descriptor, &event) == 0 ? 0 : errno
    }
}
#endif
