extension Envelope {
    /// The method name and the result of a notification that was kept whole; nil where the bytes are none.
    package static func notification(
        in message: UnsafeRawBufferPointer
    ) -> (method: UnsafeRawBufferPointer, result: UnsafeRawBufferPointer)? {
        var scanner = EnvelopeScanner(message)
        guard let envelope = try? scanner.envelope(), let result = envelope.notification else { return nil }
        let method = envelope.method.map { UnsafeRawBufferPointer(rebasing: message[$0]) }
        return (
            method ?? UnsafeRawBufferPointer(start: nil, count: 0), UnsafeRawBufferPointer(rebasing: message[result])
        )
    }
}
