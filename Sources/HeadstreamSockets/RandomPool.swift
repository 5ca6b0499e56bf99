internal import CHeadstreamLinux
internal import Glibc

/// Random bytes of the system, drawn 4 KB at a time: a WebSocket frame needs four, and a call costs more than they do.
struct RandomPool {
    private static let size = 4096
    private var bytes: [UInt8] = []
    private var used = 0

    mutating func fill(_ target: UnsafeMutableRawBufferPointer) {
        if target.count > Self.size { return Self.draw(target) }
        if self.bytes.count - self.used < target.count {
            if self.bytes.isEmpty { self.bytes = [UInt8](repeating: 0, count: Self.size) }
            self.bytes.withUnsafeMutableBytes { Self.draw($0) }
            self.used = 0
        }
        let range = self.used..<self.used + target.count
        self.bytes.withUnsafeMutableBytes { pool in
            let part = UnsafeMutableRawBufferPointer(rebasing: pool[range])
            target.copyMemory(from: UnsafeRawBufferPointer(part))
            // What was handed out is a key or a mask of someone's; it does not stay here.
            part.initializeMemory(as: UInt8.self, repeating: 0)
        }
        self.used += target.count
    }

    private static func draw(_ target: UnsafeMutableRawBufferPointer) {
        var filled = 0
        while filled < target.count, let base = target.baseAddress {
            let count = headstream_random(base + filled, UInt(target.count - filled))
            if count > 0 {
                filled += count
            } else if errno != EINTR {
                // A kernel without the call (before 3.17) or a filter that forbids it: the standard library's generator
                // knows the device.
                var generator = SystemRandomNumberGenerator()
                for index in filled..<target.count { target[index] = generator.next() }
                return
            }
        }
    }
}
