internal import Glibc

extension SocketError {
    /// An error of the system with what was tried in front: `cannot start an event loop (too many open files)`.
    init(systemError: Int32, _ attempt: String) {
        let code: Code =
            switch systemError {
            case EMFILE, ENFILE: .noDescriptors
            case ECONNRESET, EPIPE, ETIMEDOUT: .reset
            default: .system
            }
        self.init(code, errno: systemError, message: "\(attempt) (\(Self.text(systemError)))")
    }

    /// Why a connection to `name` could not be made.
    static func connecting(to name: String, errno code: Int32) -> Self {
        switch code {
        case ECONNREFUSED:
            Self(.refused, errno: code, message: "nobody listens on \(name) (connection refused)")
        case ENOENT:
            Self(.refused, errno: code, message: "nobody listens on \(name) (there is no such socket)")
        case EMFILE:
            Self(
                .noDescriptors,
                errno: code,
                message: "no file descriptor left to connect to \(name); close some or raise the limit (ulimit -n)"
            )
        case ENFILE:
            Self(.noDescriptors, errno: code, message: "the system has no file descriptor left to connect to \(name)")
        case EACCES, EPERM:
            Self(.unreachable, errno: code, message: "not allowed to connect to \(name) (\(text(code)))")
        case ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN, EADDRNOTAVAIL, ETIMEDOUT, ECONNRESET, ECONNABORTED:
            Self(.unreachable, errno: code, message: "\(name) cannot be reached (\(text(code)))")
        case ENOTSOCK, EPROTOTYPE, EAFNOSUPPORT, EINVAL:
            Self(.invalidAddress, errno: code, message: "\(name) is not an address to connect to (\(text(code)))")
        default:
            Self(.system, errno: code, message: "cannot connect to \(name) (\(text(code)))")
        }
    }

    /// Why an established connection with `name` broke.
    static func broken(_ name: String, errno code: Int32) -> Self {
        switch code {
        case ECONNRESET, EPIPE:
            Self(.reset, errno: code, message: "\(name) reset the connection")
        case ETIMEDOUT:
            Self(.reset, errno: code, message: "the connection to \(name) timed out: nothing is acknowledged any more")
        default:
            Self(.system, errno: code, message: "the connection to \(name) failed (\(text(code)))")
        }
    }

    /// Why `name` cannot be listened on.
    static func listening(on name: String, errno code: Int32) -> Self {
        switch code {
        case EMFILE, ENFILE:
            Self(.noDescriptors, errno: code, message: "no file descriptor left to listen on \(name)")
        case EADDRINUSE:
            Self(.cannotListen, errno: code, message: "\(name) is in use already")
        default:
            Self(.cannotListen, errno: code, message: "cannot listen on \(name) (\(text(code)))")
        }
    }

    static var shutDown: Self {
        Self(.loopIsShutDown, message: "the event loop is shut down")
    }

    /// The system's words for `code`, beginning with a small letter as parts of a sentence do.
    static func text(_ code: Int32) -> String {
        let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let start = buffer.baseAddress, strerror_r(code, start, 256) == 0 else { return "error \(code)" }
            return String(cString: start)
        }
        guard let first = text.first, text.dropFirst().first?.isUppercase != true else { return text }
        return first.lowercased() + text.dropFirst()
    }
}
