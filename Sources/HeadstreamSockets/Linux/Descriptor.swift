#if os(Linux)
internal import CHeadstreamLinux
internal import Glibc

/// Making sockets: all are non-blocking and close on exec.
enum Descriptor {
    /// Returns the descriptor, or -1 with `errno`.
    static func socket(family: Int32) -> Int32 {
        let type = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
        return Glibc.socket(family, Int32(type), 0)
    }

    /// Returns the descriptor of the next connection, or -1 with `errno`.
    static func accept(_ listener: Int32) -> Int32 {
        headstream_accept(listener)
    }

    /// Small frames go out at once (`TCP_NODELAY`), and a peer that acknowledges nothing for so many milliseconds is gone
    /// (`TCP_USER_TIMEOUT`, RFC 5482); the system's own patience, with 0, is a quarter of an hour. On Linux that holds for a
    /// peer too that answers but reads nothing for as long while there are bytes to send, which is why sockets that were
    /// accepted have none: a client may pause for a slow consumer.
    static func setTCPOptions(_ descriptor: Int32, userTimeout: Int32 = 0) {
        self.set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        if userTimeout > 0 { self.set(descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, userTimeout) }
    }

    static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }
}
#endif
