import HeadstreamSockets

/// Where a node listens: `wss://host:port/path`, `ws://host:port/path`, `ipc:/path/to/geth.ipc`, or a path alone.
///
/// `wss` is WebSocket over TLS, by default on port 443: the server's certificate must be for the host, and trusted
/// (``Configuration/tls``). Where TLS fails the connection fails; nothing falls back to `ws`, which protects nothing.
///
/// A literal can be written where an endpoint is wanted; one that is wrong is told by `Web3.connect`. What a user or a
/// configuration file gives goes through ``init(_:)-(String)``, which throws.
public struct Endpoint: Hashable, Sendable {
    package enum Target: Hashable, Sendable {
        case webSocket(host: String, port: UInt16, path: String, userInfo: String?)
        case ipc(path: String)
        /// A literal that is none, and why.
        case invalid(reason: String)
    }

    package let target: Target
    /// Whether the connection is TLS (`wss`).
    package let isSecure: Bool

    /// A Unix socket that a node speaks JSON-RPC on.
    ///
    /// - Parameter path: at most 107 bytes; `@name` for Linux's abstract namespace.
    public static func ipc(_ path: String) -> Endpoint {
        Endpoint(target: .ipc(path: path))
    }

    private init(target: Target, isSecure: Bool = false) {
        self.target = target
        self.isSecure = isSecure
    }

    private static func isSecure(_ text: String) -> Bool {
        text.prefix(4).lowercased() == "wss:"
    }

    /// Reads a URL or a path.
    ///
    /// - Throws: ``Web3Error`` with the code `.invalidEndpoint`, which says what is wrong and never repeats
    ///   credentials, path or query.
    public init(_ text: String) throws(Web3Error) {
        let target = Self.parse(text)
        if case .invalid(let reason) = target { throw Web3Error(.invalidEndpoint, reason) }
        self.target = target
        self.isSecure = Self.isSecure(text)
    }

    private static func mayHoldBlanks(_ text: String) -> Bool {
        ["/", "./", "../", "ipc:"].contains(where: text.hasPrefix)
    }

    private static func parse(_ text: String) -> Target {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) || Self.mayHoldBlanks(text) else {
            return .invalid(reason: "an endpoint must not hold blanks or control characters")
        }
        if ["/", "@", "./", "../"].contains(where: text.hasPrefix) { return .ipc(path: text) }
        guard let colon = text.firstIndex(of: ":") else {
            return .invalid(
                reason: "an endpoint is wss://host:port/path, ws://…, ipc:PATH or the path of a Unix socket"
            )
        }
        let rest = text[text.index(after: colon)...]
        switch text[..<colon].lowercased() {
        case "ws":
            return Self.parseAuthority(rest, defaultPort: 80)
        case "ipc", "unix":
            let path = rest.hasPrefix("//") ? rest.dropFirst(2) : rest
            return path.isEmpty ? .invalid(reason: "the path of the Unix socket is empty") : .ipc(path: String(path))
        case "wss":
            return Self.parseAuthority(rest, defaultPort: 443)
        case "http", "https":
            return .invalid(reason: "HTTP cannot push notifications; use the node's wss://, ws:// or IPC endpoint")
        default:
            return .invalid(reason: "the scheme is unknown; an endpoint is wss://host:port/path, ws://… or ipc:PATH")
        }
    }

    /// `//user:password@host:port/path?query` (RFC 3986 §3.2); a fragment is not sent.
    static func parseAuthority(_ text: Substring, defaultPort: UInt16) -> Target {
        guard text.hasPrefix("//") else { return .invalid(reason: "two slashes and a host must follow ws: or wss:") }
        let text = text.dropFirst(2).prefix { $0 != "#" }
        let end = text.firstIndex { $0 == "/" || $0 == "?" } ?? text.endIndex
        var authority = text[..<end]
        var path = String(text[end...])
        if !path.hasPrefix("/") { path = "/" + path }
        var userInfo: String?
        if let at = authority.lastIndex(of: "@") {
            userInfo = String(authority[..<at])
            authority = authority[authority.index(after: at)...]
        }
        var host = authority
        var port = defaultPort
        if authority.hasPrefix("[") {
            guard let close = authority.firstIndex(of: "]") else {
                return .invalid(reason: "an IPv6 address must end with ]")
            }
            host = authority[authority.index(after: authority.startIndex)..<close]
            authority = authority[authority.index(after: close)...]
            guard authority.isEmpty || authority.hasPrefix(":") else {
                return .invalid(reason: "only a port may follow an IPv6 address")
            }
        } else {
            host = authority.prefix { $0 != ":" }
            authority = authority.dropFirst(host.count)
        }
        if authority.hasPrefix(":"), authority.count > 1 {
            let digits = authority.dropFirst()
            guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt16(digits), number > 0 else {
                return .invalid(reason: "a port is a number from 1 to 65535")
            }
            port = number
        }
        guard !host.isEmpty else { return .invalid(reason: "the host is missing") }
        return .webSocket(host: String(host), port: port, path: path, userInfo: userInfo)
    }
}

extension Endpoint: ExpressibleByStringLiteral {
    public init(stringLiteral text: String) {
        self.init(target: Self.parse(text), isSecure: Self.isSecure(text))
    }
}

extension Endpoint: CustomStringConvertible {
    /// The endpoint without credentials, path and query: providers put tokens into each of them.
    public var description: String {
        switch self.target {
        case .webSocket(let host, let port, _, _):
            "\(self.isSecure ? "wss" : "ws")://\(SocketAddress.host(host, port: port))"
        case .ipc(let path): "ipc:\(path)"
        case .invalid: "invalid endpoint"
        }
    }
}

extension Endpoint: CustomReflectable {
    /// `dump` shows no more than the description does.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension Endpoint {
    /// What the URL of a WebSocket says; nil for IPC and for what is no endpoint.
    func authority() -> (host: String, port: UInt16, isSecure: Bool, path: String, userInfo: String?)? {
        guard case .webSocket(let host, let port, let path, let userInfo) = self.target else { return nil }
        return (host, port, self.isSecure, path, userInfo)
    }
}
