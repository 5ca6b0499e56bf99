import HeadstreamSockets

/// Whether connections go through an HTTP proxy, by `CONNECT` (RFC 9110 §9.3.6).
///
/// Loopback (`localhost`, `127.0.0.0/8`, `::1`) and IPC never do. Names are resolved by the proxy.
public struct ProxyConfiguration: Hashable, Sendable {
    enum Choice: Hashable, Sendable {
        case environment
        case none
        case http(Proxy)
    }

    let choice: Choice

    /// As the variables of ``Configuration/environment`` say, by curl's rules; the default.
    ///
    /// `wss` asks `https_proxy`, `HTTPS_PROXY`, `all_proxy` and `ALL_PROXY`, in this order; `ws` asks `http_proxy`, in
    /// small letters only, `all_proxy` and `ALL_PROXY`. Empty ones do not count. `no_proxy` or `NO_PROXY` lists, with
    /// commas, what is connected to directly: `*` for everything, names with all their subdomains (a dot in front
    /// changes nothing), addresses, networks such as `10.0.0.0/8`, each with a port behind it if only that is meant.
    public static let environment = Self(choice: .environment)
    /// Directly, whatever the environment says.
    public static let none = Self(choice: .none)

    /// Through this proxy, whatever the environment says.
    ///
    /// - Parameters:
    ///   - host: a name or an IP address.
    ///   - user, password: as they are, not percent-encoded; sent with the `CONNECT` (RFC 7617), and shown nowhere.
    public static func http(
        host: String,
        port: UInt16,
        user: String? = nil,
        password: String? = nil
    ) -> ProxyConfiguration {
        let userInfo = user.map { user in
            "\(user):\(password ?? "")".replacing("%", with: "%25")
        }
        return Self(choice: .http(Proxy(host: host, port: port, userInfo: userInfo, variable: nil)))
    }

    private init(choice: Choice) {
        self.choice = choice
    }

    /// Reads a proxy's URL: `http://USER:PASSWORD@HOST:PORT`, credentials percent-encoded, or `HOST:PORT`. The port is
    /// 1080 if there is none, as with curl.
    ///
    /// - Throws: ``Web3Error`` with the code `.invalidArgument`, for `socks5://` and `https://` too, which are not
    ///   supported. It never repeats credentials.
    public init(_ url: String) throws(Web3Error) {
        do throws(ProxyError) {
            self.choice = .http(try Proxy(url, variable: nil))
        } catch {
            throw Web3Error(.invalidArgument, "the proxy \(error.reason)")
        }
    }
}

extension ProxyConfiguration: CustomStringConvertible, CustomReflectable {
    /// Without credentials.
    public var description: String {
        switch self.choice {
        case .environment: "by environment"
        case .none: "none"
        case .http(let proxy): "http://\(proxy)"
        }
    }

    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// One HTTP proxy.
struct Proxy: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    var host: String
    var port: UInt16
    /// `user:password`, percent-encoded.
    var userInfo: String?
    /// The environment variable that names it.
    var variable: String?

    var address: SocketAddress { .host(self.host, port: self.port) }

    /// `10.0.0.1:3128 (HTTPS_PROXY)`.
    var description: String {
        "\(self.address)" + (self.variable.map { " (\($0))" } ?? "")
    }

    var customMirror: Mirror { Mirror(self, children: []) }
}

/// Why a text names no proxy that can be used; to follow "the proxy".
struct ProxyError: Error {
    let reason: String
}

extension Proxy {
    init(_ text: String, variable: String?) throws(ProxyError) {
        let origin = variable.map { "in \($0) " } ?? ""
        var rest = text[...]
        if let slashes = text.firstRange(of: "://") {
            let scheme = text[..<slashes.lowerBound].lowercased()
            switch scheme {
            case "http": break
            case "https", "socks", "socks4", "socks4a", "socks5", "socks5h":
                throw ProxyError(
                    reason: "\(origin)is of the kind \(scheme)://; only http:// proxies (CONNECT) are supported"
                )
            default:
                throw ProxyError(reason: "\(origin)has an unknown scheme; give http://HOST:PORT")
            }
            rest = text[slashes.upperBound...]
        }
        guard rest.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }),
            case .webSocket(let host, let port, _, let userInfo) = Endpoint.parseAuthority(
                "//\(rest)",
                defaultPort: 1080
            )
        else {
            throw ProxyError(reason: "\(origin)is no proxy's URL; give http://HOST:PORT")
        }
        self.init(host: host, port: port, userInfo: userInfo, variable: variable)
    }
}
