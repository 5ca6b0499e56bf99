internal import CHeadstreamOpenSSL

/// OpenSSL as a whole: begun once, and its error queue.
enum TLSLibrary {
    /// The kind of BIO that engines have. Nil where there was no memory.
    ///
    /// `nonisolated(unsafe)`: set once, by the runtime, and constant behind the pointer.
    nonisolated(unsafe) static let bioMethod: OpaquePointer? = {
        headstream_openssl_begin()
        return headstream_bio_method()
    }()

    /// Errors of OpenSSL's own queue, which is the calling thread's. It must be empty before a call whose result is
    /// looked up with `SSL_get_error`.
    struct Errors {
        /// Library and reason of each, the first cause first.
        private(set) var entries: [(library: Int32, reason: Int32)] = []
        /// OpenSSL's words for the first.
        private(set) var text = ""

        /// Empties the queue.
        static func take() -> Self {
            var errors = Self()
            while true {
                let code = ERR_get_error()
                if code == 0 { return errors }
                if errors.entries.isEmpty {
                    errors.text = ERR_reason_error_string(code).map { String(cString: $0) } ?? "error \(code)"
                }
                errors.entries.append((headstream_error_library(code), headstream_error_reason(code)))
            }
        }

        func has(_ reason: Int32, of library: Int32 = ERR_LIB_SSL) -> Bool {
            self.entries.contains { $0.library == library && $0.reason == reason }
        }

        func hasAny(_ reasons: [Int32]) -> Bool { reasons.contains { self.has($0) } }
    }
}
