/// An HTTP response that is not the one that was asked for: a proxy, a load balancer or a node says no.
package struct UpgradeRefusal: Error, Hashable, Sendable {
    /// The most of a response's body that is kept, in bytes.
    package static let maxBodySize = 512

    /// The status code, 200 to 599 as a rule.
    package let status: Int
    /// The reason phrase, cleaned; often empty.
    package let reason: String
    /// `Retry-After` as it came, cleaned: seconds or an HTTP date (RFC 9110 §10.2.3).
    package let retryAfter: String?
    /// Scheme, host and port of `Location`, cleaned: the rest may hold a token. Redirections are not followed.
    package let location: String?
    /// The first ``maxBodySize`` bytes of the body, cleaned to one line.
    package let body: String
    /// `Date`, the sender's own clock (RFC 9110 §6.6.1).
    private let date: String?

    package init(
        status: Int,
        reason: String = "",
        retryAfter: String? = nil,
        location: String? = nil,
        date: String? = nil,
        body: String = ""
    ) {
        self.status = status
        self.reason = reason
        self.retryAfter = retryAfter
        self.location = location.map(Self.origin)
        self.date = date
        self.body = body
    }

    init(_ head: HTTPHead, status: Int, body: String) {
        let parts = head.startLine.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        self.init(
            status: status,
            reason: parts.count == 3 ? CleanText.line(String(parts[2])) : "",
            retryAfter: head.first("Retry-After").map { CleanText.line($0) },
            location: head.first("Location").map { CleanText.line($0) },
            date: head.first("Date"),
            body: body
        )
    }

    /// `https://elsewhere.example:8443` of a URL, without credentials, path and query; what has no host is a path of the
    /// same server.
    private static func origin(_ location: String) -> String {
        guard let slashes = location.firstRange(of: "//") else { return "another path" }
        let authority = location[slashes.upperBound...].prefix { !"/?#".contains($0) }
        let host = authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority
        let scheme = location[..<slashes.lowerBound]
        return host.isEmpty || scheme.contains("/") || scheme.contains("?") ? "another path" : "\(scheme)//\(host)"
    }

    /// ``retryAfter`` in seconds, not below 0. A date counts from the response's own `Date`, so that neither end's clock
    /// needs to be right; without one it is nil.
    package var retryAfterSeconds: Int? {
        guard let text = self.retryAfter, !text.isEmpty else { return nil }
        if text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) { return Int(text) }
        guard let until = HTTPDate.seconds(text), let now = self.date.flatMap(HTTPDate.seconds) else { return nil }
        return max(0, until - now)
    }

    /// The refusal in one line: `429 Too Many Requests (retry after 7): daily request count exceeded`.
    package var message: String {
        var text = "\(self.status)"
        if !self.reason.isEmpty { text += " \(self.reason)" }
        if let retryAfter = self.retryAfter { text += " (retry after \(retryAfter))" }
        if let location = self.location { text += " (location \(location))" }
        if !self.body.isEmpty { text += ": \(self.body)" }
        return text
    }
}

extension UpgradeRefusal: CustomStringConvertible {
    package var description: String { self.message }
}
