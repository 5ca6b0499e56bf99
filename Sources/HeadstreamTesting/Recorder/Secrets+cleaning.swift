import Headstream

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

// How secrets are kept out of a recording. A handshake is never recorded. But a node may quote a token back, in an error
// or in the reason of a close: such a place is overwritten with as many asterisks, so that JSON stays JSON.
extension Secrets {
    func cleaned(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for value in self.values.lazy.map({ Array($0.utf8) }) {
            var start = 0
            while let place = Self.find(value, in: bytes, from: start) {
                for index in place..<place + value.count { bytes[index] = UInt8(ascii: "*") }
                start = place + value.count
            }
        }
        return bytes
    }

    func cleaned(_ text: String) -> String {
        guard !self.values.isEmpty else { return text }
        // Where the text was cut, the beginning of a secret may be left.
        return self.redacting(String(decoding: self.cleaned(Array(text.utf8)), as: UTF8.self))
    }

    /// The first place of `value`, which is not empty, in `bytes` from `start` on.
    static func find(_ value: [UInt8], in bytes: [UInt8], from start: Int = 0) -> Int? {
        guard let first = value.first else { return nil }
        return bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return nil }
            var place = start
            while bytes.count - place >= value.count,
                let found = memchr(base + place, CInt(first), bytes.count - place - value.count + 1)
            {
                if memcmp(found, value, value.count) == 0 { return UnsafeRawPointer(found) - base }
                place = UnsafeRawPointer(found) - base + 1
            }
            return nil
        }
    }
}
