internal import CHeadstreamLinux

/// The environment that the process was started with, or has set since.
package enum ProcessEnvironment {
    /// All variables as they are now. What is not UTF-8 is repaired.
    package static var variables: [String: String] {
        var result: [String: String] = [:]
        guard var entry = headstream_environment() else { return result }
        while let text = entry.pointee {
            let pair = String(cString: text)
            if let sign = pair.firstIndex(of: "=") {
                result[String(pair[..<sign])] = String(pair[pair.index(after: sign)...])
            }
            entry += 1
        }
        return result
    }
}
