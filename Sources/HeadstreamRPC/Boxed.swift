/// A value in memory of its own, for what is large and seldom there: the details of errors, which would have a place in every
/// outcome of a request and in the frame of an asynchronous function at each `try await` (Docs/Runtime.md).
package indirect enum Boxed<Value: Hashable & Sendable>: Hashable, Sendable {
    case value(Value)

    package var value: Value {
        get {
            switch self {
            case .value(let value): value
            }
        }
        set { self = .value(newValue) }
    }
}
