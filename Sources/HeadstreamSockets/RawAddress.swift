internal import Glibc

/// An address in the system's form.
struct RawAddress: Sendable {
    private var storage = sockaddr_storage()
    private var length: socklen_t = 0

    var family: Int32 { Int32(self.storage.ss_family) }

    /// Copies an address the system gave.
    init?(_ address: UnsafePointer<sockaddr>?, length: socklen_t) {
        guard let address, Int(length) <= MemoryLayout<sockaddr_storage>.size else { return nil }
        withUnsafeMutableBytes(of: &self.storage) {
            $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(length)))
        }
        self.length = length
    }

    /// A path, or `@name` in Linux's abstract namespace (the `@` stands for a zero byte, and the name has no zero at its
    /// end). Nil if it is empty, has more than 107 bytes or a zero byte in it.
    init?(unixPath path: String) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count <= 107, !bytes.contains(0), path != "@" else { return nil }
        let isAbstract = bytes[0] == UInt8(ascii: "@")
        withUnsafeMutableBytes(of: &address.sun_path) { target in
            target.copyBytes(from: bytes)
            if isAbstract { target[0] = 0 }
        }
        let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
        self.length = socklen_t(offset + bytes.count + (isAbstract ? 0 : 1))
        withUnsafeMutableBytes(of: &self.storage) { target in
            withUnsafeBytes(of: &address) { target.copyMemory(from: $0) }
        }
    }

    /// The addresses of `host`, which is a number unless `mayAsk`: then the call blocks.
    static func resolve(_ host: String, port: UInt16, mayAsk: Bool) -> Result<[Self], SocketError> {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV | (mayAsk ? 0 : AI_NUMERICHOST)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &list)
        if status != 0 { return .failure(.resolving(host, status: status, errno: errno)) }
        defer { freeaddrinfo(list) }
        var result: [Self] = []
        var entry = list
        while let current = entry {
            if let address = Self(current.pointee.ai_addr, length: current.pointee.ai_addrlen) {
                result.append(address)
            }
            entry = current.pointee.ai_next
        }
        guard !result.isEmpty else {
            return .failure(.resolving(host, status: EAI_NONAME, errno: 0))
        }
        return .success(result)
    }

    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: self.storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, self.length) }
        }
    }

    /// Asks the system for an address of `descriptor`: `getsockname`, `getpeername`.
    init?(
        of descriptor: Int32,
        _ call: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) {
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = withUnsafeMutablePointer(to: &self.storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { call(descriptor, $0, &length) }
        }
        guard status == 0 else { return nil }
        self.length = length
    }

    /// Host and port in numbers; nil for a Unix socket.
    var hostAndPort: (host: String, port: UInt16)? {
        guard self.family == AF_INET || self.family == AF_INET6 else { return nil }
        return self.withPointer { address, length in
            withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
                let status = getnameinfo(address, length, buffer.baseAddress, 128, nil, 0, NI_NUMERICHOST)
                guard status == 0, let start = buffer.baseAddress else { return nil }
                // Both families have the port at the same place, in the network's order.
                let port = UnsafeRawPointer(address).load(fromByteOffset: 2, as: UInt16.self)
                return (String(cString: start), UInt16(bigEndian: port))
            }
        }
    }

    static func == (left: Self, right: Self) -> Bool {
        left.withPointer { leftBytes, leftLength in
            right.withPointer { rightBytes, rightLength in
                leftLength == rightLength && memcmp(leftBytes, rightBytes, Int(leftLength)) == 0
            }
        }
    }
}

extension SocketError {
    static func resolving(_ host: String, status: Int32, errno code: Int32) -> Self {
        if status == EAI_SYSTEM, code == EMFILE || code == ENFILE {
            return Self(.noDescriptors, errno: code, message: "no file descriptor left to look up the name \(host)")
        }
        let reason =
            status == EAI_NONAME
            ? "it has no address"
            : status == EAI_SYSTEM ? Self.text(code) : String(cString: gai_strerror(status)).lowercased()
        return Self(.nameNotResolved, errno: status, message: "the name \(host) was not resolved: \(reason)")
    }
}
