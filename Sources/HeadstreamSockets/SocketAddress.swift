/// Where to connect to or to listen on.
package enum SocketAddress: Hashable, Sendable, CustomStringConvertible {
    /// A host name or an IP address (IPv6 without brackets) and a port. Names are resolved anew at each connect.
    case host(String, port: UInt16)
    /// A Unix socket: a path of at most 107 bytes, or `@name` in Linux's abstract namespace.
    case unix(path: String)

    package var description: String {
        switch self {
        case .host(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): path
        }
    }
}
