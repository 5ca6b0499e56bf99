import Glibc

/// The descriptors of this process.
enum Descriptors {
    /// Raises the limit as far as it goes, and returns it.
    @discardableResult
    static func raiseLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        limit.rlim_cur = min(limit.rlim_max, 16_384)
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        _ = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(clamping: limit.rlim_cur)
    }

    /// How many are open.
    static var count: Int { Self.entries(of: "/proc/self/fd") }

    /// How many threads there are.
    static var threads: Int { Self.entries(of: "/proc/self/task") }

    /// The memory that is resident and this process's own.
    static var residentKilobytes: Int {
        guard let file = fopen("/proc/self/statm", "r") else { return -1 }
        defer { fclose(file) }
        var text = [CChar](repeating: 0, count: 128)
        guard fgets(&text, 128, file) != nil else { return -1 }
        let pages = String(decoding: text.map(UInt8.init(bitPattern:)), as: UTF8.self).split(separator: " ")
        guard pages.count > 2, let resident = Int(pages[1]), let shared = Int(pages[2]) else { return -1 }
        return (resident - shared) * Int(sysconf(Int32(_SC_PAGESIZE))) / 1024
    }

    private static func entries(of path: String) -> Int {
        guard let directory = opendir(path) else { return -1 }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // Two are `.` and `..`.
        return count - 2
    }
}
