internal import CHeadstreamOpenSSL

/// The proof that a server has read a handshake's key (RFC 6455 §1.3).
enum AcceptKey {
    /// The `Sec-WebSocket-Accept` that answers `key`: the Base64 of the SHA-1 of the key and the protocol's GUID.
    static func answering(_ key: String) -> String {
        let text = Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)
        var digest = [UInt8](repeating: 0, count: Int(SHA_DIGEST_LENGTH))
        headstream_openssl_begin()
        SHA1(text, text.count, &digest)
        return Base64.encode(digest)
    }
}
