internal import CHeadstreamOpenSSL

/// One side of a TLS connection: takes ciphertext that was received, gives plaintext, and the other way round. It knows
/// no socket.
///
/// Confined to its loop. What it wants sent lies in ``TLSStream/output`` after each call and must be taken from there
/// before anything else happens on the loop.
final class TLSEngine {
    enum Step {
        /// More ciphertext is needed.
        case needMore
        /// The handshake is done, and the other side is who it should be.
        case secured
        case failed(SocketError)
    }

    /// What came of a read.
    struct Plaintext {
        var count = 0
        /// The peer has finished, or broke the rules. Nothing follows.
        var end: ChannelEnd?
    }

    let stream: TLSStream
    /// Whom a client wants to speak to; nil on a server.
    let client: TLSClient?
    /// For errors.
    let name: String
    let ssl: OpaquePointer
    /// Keeps the sessions; nil on a server.
    private let context: TLSContext?
    private(set) var isSecured = false
    /// OpenSSL reported an error that cannot be recovered from: it must not be asked for anything more.
    private(set) var hasFailed = false

    /// A client's side.
    init(_ client: TLSClient, _ context: TLSContext, _ stream: TLSStream) throws(SocketError) {
        self.stream = stream
        self.client = client
        self.name = client.name
        self.context = context
        self.ssl = try Self.make(context.pointer, stream)
        try self.expect(client.certificateName)
        SSL_set_ex_data(self.ssl, 0, Unmanaged.passUnretained(self).toOpaque())
        if let session = context.sessions.take(for: self.peer) { SSL_set_session(self.ssl, session.pointer) }
        SSL_set_connect_state(self.ssl)
        ERR_clear_error()
    }

    /// A server's side.
    init(_ server: TLSServer, peerName: String, _ stream: TLSStream) throws(SocketError) {
        self.stream = stream
        self.client = nil
        self.name = peerName
        self.context = nil
        self.ssl = try Self.make(server.pointer, stream)
        SSL_set_accept_state(self.ssl)
    }

    deinit {
        // Without this, freeing a connection that was cut would make its session one that cannot be resumed.
        SSL_set_shutdown(self.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
        SSL_free(self.ssl)
    }

    private static func make(_ context: OpaquePointer, _ stream: TLSStream) throws(SocketError) -> OpaquePointer {
        ERR_clear_error()
        guard let method = TLSLibrary.bioMethod, let ssl = SSL_new(context) else { throw .noTLSContext() }
        guard headstream_ssl_attach(ssl, method, stream.pointer) == 1 else {
            SSL_free(ssl)
            throw .noTLSContext()
        }
        return ssl
    }

    /// Sets whom the certificate must be for. Names go into the hello (RFC 6066 §3), addresses do not, and are looked
    /// for among the certificate's addresses only.
    private func expect(_ name: String) throws(SocketError) {
        // A dot in front would stand for every name below (X509_check_host).
        guard !name.isEmpty, !name.hasPrefix("."), !name.utf8.contains(0), let parameters = SSL_get0_param(self.ssl)
        else { throw SocketError(.invalidAddress, message: "\"\(name)\" is no name that a certificate could be for") }
        if X509_VERIFY_PARAM_set1_ip_asc(parameters, name) == 1 { return }
        X509_VERIFY_PARAM_set_hostflags(parameters, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
        guard X509_VERIFY_PARAM_set1_host(parameters, name, name.utf8.count) == 1,
            headstream_ssl_set_name(self.ssl, name) == 1
        else { throw SocketError(.invalidAddress, message: "\"\(name)\" is no name that a certificate could be for") }
    }

    var peer: TLSSessions.Peer {
        TLSSessions.Peer(host: self.client?.certificateName ?? "", port: self.client?.port ?? 0)
    }

    var isResumed: Bool { SSL_session_reused(self.ssl) == 1 }

    /// OpenSSL has a session that may be resumed: called inside a read or a handshake. Returns 1 where it is kept.
    static func keep(_ session: OpaquePointer, of ssl: OpaquePointer) -> Int32 {
        guard let data = SSL_get_ex_data(ssl, 0) else { return 0 }
        let engine = Unmanaged<TLSEngine>.fromOpaque(data).takeUnretainedValue()
        guard let context = engine.context, SSL_SESSION_is_resumable(session) == 1 else { return 0 }
        context.sessions.keep(TLSSession(session), for: engine.peer)
        return 1
    }

    // MARK: The handshake

    /// Goes on with the handshake, as far as `input` reaches; what is left of it belongs to ``read(_:into:capacity:)``.
    func handshake(_ input: inout UnsafeRawBufferPointer) -> Step {
        let status = self.stream.call(&input) { SSL_do_handshake(self.ssl) }
        if status == 1 {
            if let failure = self.certificateFailure() {
                self.hasFailed = true
                return .failed(failure)
            }
            self.isSecured = true
            return .secured
        }
        if SSL_get_error(self.ssl, status) == SSL_ERROR_WANT_READ { return .needMore }
        self.hasFailed = true
        return .failed(self.handshakeFailure(TLSLibrary.Errors.take()))
    }

    /// A resumed session brings the verdict of the handshake it was made in, and nobody asks for the name again: so both
    /// are asked for here.
    private func certificateFailure() -> SocketError? {
        guard let client = self.client else { return nil }
        let verdict = SSL_get_verify_result(self.ssl)
        if verdict == X509_V_OK, !self.isResumed || self.certificateIsFor(client.certificateName) { return nil }
        self.context?.sessions.drop(for: self.peer)
        return self.certificateFailure(verdict == X509_V_OK ? Int(X509_V_ERR_HOSTNAME_MISMATCH) : verdict)
    }

    private func certificateIsFor(_ name: String) -> Bool {
        guard let certificate = SSL_get0_peer_certificate(self.ssl) else { return false }
        // -2: the text is no address.
        let address = X509_check_ip_asc(certificate, name, 0)
        if address != -2 { return address == 1 }
        let flags = UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)
        return X509_check_host(certificate, name, name.utf8.count, flags, nil) == 1
    }

    // MARK: Bytes

    /// Decrypts all of `input`. There must be room for as many bytes and for one record.
    func read(_ input: UnsafeRawBufferPointer, into target: UnsafeMutableRawPointer, capacity: Int) -> Plaintext {
        var plaintext = Plaintext()
        var input = input
        while plaintext.count < capacity {
            var count = 0
            let status = self.stream.call(&input) {
                SSL_read_ex(self.ssl, target + plaintext.count, capacity - plaintext.count, &count)
            }
            if status == 1 {
                plaintext.count += count
                continue
            }
            switch SSL_get_error(self.ssl, status) {
            case SSL_ERROR_WANT_READ:
                return plaintext
            case SSL_ERROR_ZERO_RETURN:
                plaintext.end = .endOfStream
            default:
                self.hasFailed = true
                plaintext.end = .failed(self.failureWhileReading(TLSLibrary.Errors.take()))
            }
            return plaintext
        }
        return plaintext
    }

    /// Encrypts from the front of `bytes`; returns how many, or nil after a failure. 0 where the other side has to say
    /// something first.
    func write(_ bytes: UnsafeRawBufferPointer) -> Int? {
        var done = 0
        while done < bytes.count {
            var count = 0
            var nothing = UnsafeRawBufferPointer(start: nil, count: 0)
            let status = self.stream.call(&nothing) {
                SSL_write_ex(self.ssl, bytes.baseAddress.map { $0 + done }, bytes.count - done, &count)
            }
            guard status == 1 else {
                if SSL_get_error(self.ssl, status) == SSL_ERROR_WANT_READ { return done }
                self.hasFailed = true
                ERR_clear_error()
                return nil
            }
            done += count
        }
        return done
    }

    /// Says that this side writes nothing more (RFC 8446 §6.1).
    func finish() {
        guard self.isSecured, !self.hasFailed else { return }
        var nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        _ = self.stream.call(&nothing) { SSL_shutdown(self.ssl) }
    }
}
