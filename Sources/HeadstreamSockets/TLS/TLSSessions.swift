internal import CHeadstreamOpenSSL
internal import HeadstreamLocks

/// A session that a server may resume.
///
/// `@unchecked Sendable`: OpenSSL counts references to it atomically, and nothing changes it once it is kept.
final class TLSSession: @unchecked Sendable {
    let pointer: OpaquePointer

    /// Takes over a reference.
    init(_ pointer: OpaquePointer) {
        self.pointer = pointer
    }

    deinit {
        SSL_SESSION_free(self.pointer)
    }
}

/// The sessions of one context, by the host and port they were made with. OpenSSL resumes a session under any name
/// without a word, so the name is part of where it is found, and the context is one of the same trust and certificate.
final class TLSSessions: Sendable {
    struct Peer: Hashable, Sendable {
        var host: String
        var port: UInt16
    }

    private struct State {
        var sessions: [Peer: (session: TLSSession, sequence: UInt64)] = [:]
        var sequence: UInt64 = 0
    }

    /// A session holds its server's chain, some kilobytes.
    static let limit = 256
    private let state = Locked(State())

    var count: Int { self.state.withLock { $0.sessions.count } }

    /// The session to try with `peer`. One of TLS 1.3 is handed out once, so that two connections cannot be told to be
    /// of one client (RFC 8446 §C.4); the connection brings the next.
    func take(for peer: Peer) -> TLSSession? {
        self.state.withLock { state in
            guard let found = state.sessions[peer]?.session else { return nil }
            if SSL_SESSION_get_protocol_version(found.pointer) >= TLS1_3_VERSION { state.sessions[peer] = nil }
            return found
        }
    }

    /// Keeps the newest; where there are too many, the oldest goes.
    func keep(_ session: TLSSession, for peer: Peer) {
        let dropped: TLSSession? = self.state.withLock { state in
            let old = state.sessions[peer]?.session
            state.sequence &+= 1
            state.sessions[peer] = (session, state.sequence)
            guard state.sessions.count > Self.limit,
                let oldest = state.sessions.min(by: { $0.value.sequence < $1.value.sequence })
            else { return old }
            return state.sessions.removeValue(forKey: oldest.key)?.session
        }
        // Released here and not under the lock.
        _ = dropped
    }

    func drop(for peer: Peer) {
        let dropped = self.state.withLock { $0.sessions.removeValue(forKey: peer)?.session }
        _ = dropped
    }
}
