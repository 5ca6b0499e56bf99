/// A value that is not what it should be: which field, what was found, what is wrong with it.
///
/// Thrown by the readers of JSON and by the initialisers of the Ethereum types. Its texts are bounded: a value of any
/// length from a node is shown by its first 64 bytes, control characters escaped.
public struct ValueError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The path to the field, outermost first, as in `transactions[3].value`; empty for the value itself.
    public var field: String
    /// The value as found, cut to 64 bytes and with control characters escaped; empty where it is missing.
    public var value: String
    /// What is wrong, as a clause: `is not an even number of hex digits`.
    public var reason: String

    public init(field: String = "", value: String = "", reason: String) {
        self.field = field
        self.value = value
        self.reason = reason
    }

    public var description: String {
        switch (self.field.isEmpty, self.value.isEmpty) {
        case (true, true): self.reason
        case (true, false): "\(self.value) \(self.reason)"
        case (false, true): "\(self.field): \(self.reason)"
        case (false, false): "\(self.field): \(self.value) \(self.reason)"
        }
    }
}
