/// The agreement on permessage-deflate in the opening handshake (RFC 7692 §5 and §7.1).
enum DeflateNegotiation {
    static let name = "permessage-deflate"

    /// The parameters of one `permessage-deflate` element.
    private struct Parameters {
        var serverNoTakeover = false
        var clientNoTakeover = false
        var serverWindowBits: Int?
        /// Whether `client_max_window_bits` is there at all, and its value if it has one.
        var hasClientWindowBits = false
        var clientWindowBits: Int?

        /// Nil for a parameter that is unknown, doubled or has an invalid value: the element is to be declined.
        init?(_ parameters: [ExtensionElement.Parameter]) {
            var seen: Set<String> = []
            for parameter in parameters {
                guard seen.insert(parameter.name).inserted else { return nil }
                switch (parameter.name, parameter.value) {
                case ("server_no_context_takeover", nil): self.serverNoTakeover = true
                case ("client_no_context_takeover", nil): self.clientNoTakeover = true
                case ("server_max_window_bits", let value?):
                    guard let bits = Self.bits(value) else { return nil }
                    self.serverWindowBits = bits
                case ("client_max_window_bits", let value):
                    self.hasClientWindowBits = true
                    guard let value else { continue }
                    guard let bits = Self.bits(value) else { return nil }
                    self.clientWindowBits = bits
                default: return nil
                }
            }
        }

        /// 8 to 15, without leading zeros (§7.1.2.1).
        private static func bits(_ value: String) -> Int? {
            DeflateOptions.windowBitsRange.first { String($0) == value }
        }
    }

    // MARK: The client

    /// The value of the client's `Sec-WebSocket-Extensions`.
    static func offer(_ options: DeflateOptions) -> String {
        var parts = [Self.name]
        if !options.receivesWithTakeover { parts.append("server_no_context_takeover") }
        if !options.sendsWithTakeover { parts.append("client_no_context_takeover") }
        if options.receiveWindowBits < 15 { parts.append("server_max_window_bits=\(options.receiveWindowBits)") }
        // Without a value it only says that the server may ask for less (§7.1.2.2).
        parts.append(
            options.sendWindowBits < 15
                ? "client_max_window_bits=\(options.sendWindowBits)" : "client_max_window_bits"
        )
        return parts.joined(separator: "; ")
    }

    /// What the server's `Sec-WebSocket-Extensions` means, or what is wrong with it.
    ///
    /// - Returns: nil as agreement where the server declined, which is no error.
    static func agreement(on offer: DeflateOptions?, answer: [String]) -> Result<DeflateAgreement?, AnswerError> {
        guard let elements = ExtensionElement.parse(answer) else { return .failure(.malformed) }
        guard let element = elements.first else { return .success(nil) }
        guard let offer, elements.count == 1, element.name == Self.name else { return .failure(.notAskedFor) }
        guard let parameters = Parameters(element.parameters) else { return .failure(.invalidParameter) }
        // A window of the client's needs a size in the answer, and both must keep to what was offered (§7.1.2).
        if parameters.hasClientWindowBits, parameters.clientWindowBits == nil { return .failure(.invalidParameter) }
        let receiveBits = parameters.serverWindowBits ?? 15
        guard receiveBits <= offer.receiveWindowBits else { return .failure(.invalidParameter) }
        guard parameters.serverNoTakeover || offer.receivesWithTakeover else { return .failure(.invalidParameter) }
        return .success(
            DeflateAgreement(
                sendsWithTakeover: offer.sendsWithTakeover && !parameters.clientNoTakeover,
                receivesWithTakeover: !parameters.serverNoTakeover,
                sendWindowBits: min(offer.sendWindowBits, parameters.clientWindowBits ?? 15),
                receiveWindowBits: receiveBits
            )
        )
    }

    /// Why a server's answer cannot be accepted (§5: the client then fails the connection).
    enum AnswerError: Error, Hashable {
        case malformed
        case notAskedFor
        case invalidParameter
    }

    // MARK: The server

    /// The first of a client's offers that can be accepted within `options`, and the header value that says so.
    static func acceptance(
        of offers: [String],
        within options: DeflateOptions
    ) -> (agreement: DeflateAgreement, answer: String)? {
        for element in ExtensionElement.parse(offers) ?? [] where element.name == Self.name {
            guard let offer = Parameters(element.parameters) else { continue }
            // A client that does not tell that it knows the parameter must not be sent it (§7.1.2.2).
            let receiveLimit = min(options.receiveWindowBits, offer.clientWindowBits ?? 15)
            guard offer.hasClientWindowBits || receiveLimit == 15 else { continue }
            let agreement = DeflateAgreement(
                sendsWithTakeover: options.sendsWithTakeover && !offer.serverNoTakeover,
                receivesWithTakeover: options.receivesWithTakeover && !offer.clientNoTakeover,
                sendWindowBits: min(options.sendWindowBits, offer.serverWindowBits ?? 15),
                receiveWindowBits: receiveLimit
            )
            var parts = [Self.name]
            if !agreement.sendsWithTakeover { parts.append("server_no_context_takeover") }
            if !agreement.receivesWithTakeover { parts.append("client_no_context_takeover") }
            if agreement.sendWindowBits < 15 { parts.append("server_max_window_bits=\(agreement.sendWindowBits)") }
            if receiveLimit < 15 { parts.append("client_max_window_bits=\(receiveLimit)") }
            return (agreement, parts.joined(separator: "; "))
        }
        return nil
    }
}
