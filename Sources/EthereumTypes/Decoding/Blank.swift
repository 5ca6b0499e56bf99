/// The empty value of a type whose members' empty values are all zero bits, to be had in one copy: the memberwise form is
/// built, copied and copied again, which for a log takes a tenth of what reading it does.
///
/// `@unchecked Sendable`: its memory is never written.
@usableFromInline
package struct Blank<Value>: @unchecked Sendable {
    @usableFromInline
    let zeros: UnsafeMutablePointer<Value>

    /// Memory for as long as the process lives: one is made for a type.
    init(_: Value.Type) {
        self.zeros = .allocate(capacity: 1)
        let bytes = UnsafeMutableRawPointer(self.zeros)
        bytes.initializeMemory(as: UInt8.self, repeating: 0, count: MemoryLayout<Value>.size)
    }

    /// To move out of the memory reads it only, since no member of an empty value is a reference.
    @inlinable
    package var value: Value { self.zeros.move() }
}
