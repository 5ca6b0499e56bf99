/// What the system said when a socket could not do what was asked.
package struct SocketError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: Hashable, Sendable {
        /// The name has no address, or the resolver failed.
        case nameNotResolved
        /// Nobody listens there (ECONNREFUSED, ENOENT of a Unix socket).
        case refused
        /// No route, network or host down, permission denied: the connection could not be made.
        case unreachable
        /// An established connection was reset or timed out.
        case reset
        /// The process or system has no descriptor left (EMFILE, ENFILE).
        case noDescriptors
        /// The address is not one that can be used: a Unix path over 107 bytes, an empty name.
        case invalidAddress
        /// The address is taken, or may not be listened on.
        case cannotListen
        /// TLS did not come about, or broke.
        case tls(TLSFailure)
        /// The loop is shut down.
        case loopIsShutDown
        /// Anything else; `errno` tells.
        case system
    }

    package var code: Code
    /// The system's `errno`, or the resolver's code for ``Code/nameNotResolved``; 0 where there is none.
    package var errno: Int32
    /// What was tried and what to do, for people.
    package var message: String

    package init(_ code: Code, errno: Int32 = 0, message: String) {
        self.code = code
        self.errno = errno
        self.message = message
    }

    package var description: String { self.message }
}
