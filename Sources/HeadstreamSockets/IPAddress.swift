internal import Glibc

/// An IPv4 or IPv6 address in numbers, for rules about addresses. An IPv4 address in IPv6's clothes (`::ffff:127.0.0.1`)
/// is the IPv4 address.
package struct IPAddress: Hashable, Sendable {
    /// Four or sixteen, in the network's order.
    package let bytes: [UInt8]

    /// Reads an address as connecting would, old forms such as `127.1` and zones (`fe80::1%eth0`) included; nil for a
    /// name. Without brackets, and without asking anybody.
    package init?(_ text: String) {
        guard !text.isEmpty, !text.utf8.contains(0),
            case .success(let addresses) = RawAddress.resolve(text, port: 1, mayAsk: false), let first = addresses.first
        else { return nil }
        let bytes: [UInt8] = first.withPointer { pointer, _ in
            if first.family == AF_INET {
                return pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { address in
                    withUnsafeBytes(of: address.pointee.sin_addr) { Array($0) }
                }
            }
            return pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { address in
                withUnsafeBytes(of: address.pointee.sin6_addr) { Array($0) }
            }
        }
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
        self.bytes = bytes.count == 16 && bytes.starts(with: mapped) ? Array(bytes[12...]) : bytes
    }

    /// `127.0.0.0/8` and `::1`, and the unspecified addresses, which lead to this machine too.
    package var isLoopback: Bool {
        if self.bytes.allSatisfy({ $0 == 0 }) { return true }
        return self.bytes.count == 4
            ? self.bytes[0] == 127 : self.bytes.dropLast().allSatisfy { $0 == 0 } && self.bytes.last == 1
    }

    /// Whether the first `length` bits are those of `network`.
    package func isIn(_ network: IPAddress, length: Int) -> Bool {
        guard self.bytes.count == network.bytes.count, (0...self.bytes.count * 8).contains(length) else { return false }
        let whole = length / 8
        guard self.bytes[..<whole] == network.bytes[..<whole] else { return false }
        let rest = length % 8
        return rest == 0 || (self.bytes[whole] ^ network.bytes[whole]) >> UInt8(8 - rest) == 0
    }
}
