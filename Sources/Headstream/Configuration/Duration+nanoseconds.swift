import HeadstreamSockets

extension Duration {
    /// In whole nanoseconds, saturating: not below zero, and as far as the number reaches, so that no setting is too long.
    var nanoseconds: UInt64 { LoopInstant(nanoseconds: 0).advanced(by: self).nanoseconds }
}
