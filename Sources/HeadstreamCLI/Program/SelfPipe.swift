import Glibc

/// A pipe within the process, so that a thread blocked in `poll` can be woken.
///
/// It lives as long as the process and is never closed.
struct SelfPipe: Sendable {
    let readEnd: Int32
    private let writeEnd: Int32

    /// Nil where the process has no descriptors left.
    init?() {
        var ends: (Int32, Int32) = (-1, -1)
        let status = withUnsafeMutableBytes(of: &ends) { bytes in
            pipe(bytes.assumingMemoryBound(to: Int32.self).baseAddress)
        }
        guard status == 0 else { return nil }
        for end in [ends.0, ends.1] {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        (self.readEnd, self.writeEnd) = ends
    }

    /// Makes the read end readable, from any thread. A pipe that is full is readable already.
    func wake() {
        var byte: UInt8 = 1
        while write(self.writeEnd, &byte, 1) < 0, errno == EINTR {}
    }

    /// Takes what was written; the read end is not readable then.
    func drain() {
        var bytes: (UInt64, UInt64) = (0, 0)
        withUnsafeMutableBytes(of: &bytes) { bytes in
            while true {
                let count = read(self.readEnd, bytes.baseAddress, bytes.count)
                if count < 0, errno == EINTR { continue }
                if count < bytes.count { return }
            }
        }
    }

    /// Blocks until the read end is readable.
    ///
    /// - Parameter milliseconds: the longest wait; nil for no bound.
    /// - Returns: whether it is.
    @discardableResult
    func wait(milliseconds: Int32? = nil) -> Bool {
        var entry = pollfd(fd: self.readEnd, events: Int16(POLLIN), revents: 0)
        while true {
            let count = poll(&entry, 1, milliseconds ?? -1)
            if count < 0, errno == EINTR { continue }
            return count > 0
        }
    }
}
