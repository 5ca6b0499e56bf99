/// An HTTP response that is not the 101 that was asked for: a proxy, a load balancer or a node says no.
package struct UpgradeRefusal: Error, Hashable, Sendable {
    /// The most of a response's body that is kept, in bytes.
    package static let maxBodySize = 512

    /// The status code, 200 to 599 as a rule.
    package let status: Int
    /// The reason phrase, cleaned; often empty.
    package let reason: String
    /// `Retry-After` as it came, cleaned: seconds or an HTTP date (RFC 9110 §10.2.3).
    package let retryAfter: String?
    /// `Location` as it came, cleaned; present with redirections. They are not followed.
    package let location: String?
    /// The first ``maxBodySize`` bytes of the body, cleaned to one line.
    package let body: String

    package init(
        status: Int,
        reason: String = "",
        retryAfter: String? = nil,
        location: String? = nil,
        body: String = ""
    ) {
        self.status = status
        self.reason = reason
        self.retryAfter = retryAfter
        self.location = location
        self.body = body
    }

    /// ``retryAfter`` where it is a number of seconds.
    package var retryAfterSeconds: Int? {
        guard let text = self.retryAfter, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text)
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
