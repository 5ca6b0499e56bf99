import HeadstreamSockets

extension Configuration {
    /// The proxy on the way to a node, nil for the direct way.
    func proxy(toHost host: String, port: UInt16, isSecure: Bool) throws(ProxyError) -> Proxy? {
        guard !Self.isLoopback(host) else { return nil }
        switch self.proxy.choice {
        case .none:
            return nil
        case .http(let proxy):
            return proxy
        case .environment:
            let names = (isSecure ? ["https_proxy", "HTTPS_PROXY"] : ["http_proxy"]) + ["all_proxy", "ALL_PROXY"]
            // HTTP_PROXY in capitals is what a CGI program is given for a client's header `Proxy`.
            guard let (name, value) = self.variable(names) else { return nil }
            if let (_, list) = self.variable(["no_proxy", "NO_PROXY"]), NoProxyList(list).contains(host, port: port) {
                return nil
            }
            return try Proxy(value, variable: name)
        }
    }

    /// `user:password` of every proxy that is set, whether it is on the way or not.
    var proxyCredentials: [String] {
        switch self.proxy.choice {
        case .none: []
        case .http(let proxy): [proxy.userInfo].compactMap { $0 }
        case .environment:
            ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].compactMap { name in
                self.environment[name].flatMap { try? Proxy($0, variable: name) }?.userInfo
            }
        }
    }

    /// The first of these variables that is set to something.
    private func variable(_ names: [String]) -> (name: String, value: String)? {
        for name in names {
            if let value = self.environment[name], !value.isEmpty { return (name, value) }
        }
        return nil
    }

    static func isLoopback(_ host: String) -> Bool {
        if let address = IPAddress(host) { return address.isLoopback }
        var name = host.lowercased()[...]
        if name.hasSuffix(".") { name = name.dropLast() }
        // RFC 6761 §6.3: names below localhost are this machine too.
        return name == "localhost" || name.hasSuffix(".localhost")
    }
}

/// What `NO_PROXY` lists.
struct NoProxyList {
    private let entries: [Substring]

    init(_ text: String) {
        self.entries = text.split { $0 == "," || $0.isWhitespace }
    }

    /// Whether a host is connected to directly.
    func contains(_ host: String, port: UInt16) -> Bool {
        let address = IPAddress(host)
        let name = Self.bare(host.lowercased()[...])
        return self.entries.contains { entry in
            if entry == "*" { return true }
            let (pattern, only) = Self.split(entry)
            if let only, only != port { return false }
            if let slash = pattern.firstIndex(of: "/") {
                guard let address, let network = IPAddress(String(pattern[..<slash])),
                    let length = Int(pattern[pattern.index(after: slash)...])
                else { return false }
                return address.isIn(network, length: length)
            }
            if let address { return IPAddress(String(pattern)) == address }
            let suffix = Self.bare(pattern.lowercased()[...])
            // At a dot only: `example.com` is not the end of `badexample.com`.
            return !suffix.isEmpty && (name == suffix || name.hasSuffix(".\(suffix)"))
        }
    }

    /// Without the dots around it: a leading one changes nothing, a trailing one marks a full name.
    private static func bare(_ name: Substring) -> Substring {
        var name = name
        if name.hasPrefix("*.") { name = name.dropFirst(2) }
        if name.hasPrefix(".") { name = name.dropFirst() }
        if name.hasSuffix(".") { name = name.dropLast() }
        return name
    }

    /// `host:port`, `[::1]:port`, `::1`.
    private static func split(_ entry: Substring) -> (pattern: Substring, port: UInt16?) {
        if entry.hasPrefix("["), let close = entry.firstIndex(of: "]") {
            let inner = entry[entry.index(after: entry.startIndex)..<close]
            let rest = entry[entry.index(after: close)...]
            return (inner, rest.hasPrefix(":") ? UInt16(rest.dropFirst()) : nil)
        }
        let parts = entry.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let port = UInt16(parts[1]) else { return (entry, nil) }
        return (parts[0], port)
    }
}
