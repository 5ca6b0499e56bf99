import CHeadstreamBytes

/// How one node writes one type of object: the bytes between its values, and which value is which.
///
/// A node writes all its logs, and all its heads, with the same keys in the same order, so that all but the values can be
/// compared instead of parsed. A shape is learnt from a message: a list of steps, each of which is a run of bytes that must be
/// there (`","number":"0x`) and the field whose value follows. Decoding another message walks the steps with a
/// `JSONShapeCursor`. Where one byte differs the message does not fit, and is to be read as any JSON.
///
/// What fits is valid JSON: the runs come from a message that was, and each value is checked as it is read.
///
/// `@unchecked Sendable`, here and for `Plan`: the memory is filled before `init` returns and only read afterwards.
@usableFromInline
package final class JSONShape: Equatable, @unchecked Sendable {
    /// What stands for a field's value.
    @usableFromInline
    package enum Form: UInt8, Sendable {
        /// A string of `0x` and hex digits. The step's run includes `"0x`; the next one begins with the closing quote.
        case hex
        /// An array of such strings. The run includes `[` and what is between it and the first string; the next one begins
        /// with `]`.
        case hexArray
        /// `true` or `false`.
        case bool
    }

    /// A run of bytes, and the field whose value stands behind it.
    @usableFromInline
    package struct Step {
        @usableFromInline let offset: UInt32
        @usableFromInline let count: UInt16
        /// The type's own number of the field, or `JSONShape.end` in the last step.
        @usableFromInline package let field: UInt8
    }

    /// The field of the last step, behind whose run the message ends.
    @inlinable package static var end: UInt8 { 255 }
    /// What a shape may take; an object that needs more is not learnt.
    package static let maximumSteps = 64
    package static let maximumBytes = 4096
    /// Bytes behind the runs, so that they can be compared by wide loads.
    private static let padding = 64

    /// What a decoder walks along, without owning it: no reference counting on the way to a value. It is valid as long as
    /// its shape.
    @usableFromInline
    package struct Plan: @unchecked Sendable {
        @usableFromInline package let steps: UnsafeBufferPointer<Step>
        @usableFromInline let runs: UnsafeRawPointer

        @usableFromInline
        init(steps: UnsafeBufferPointer<Step>, runs: UnsafeRawPointer) {
            self.steps = steps
            self.runs = runs
        }
    }

    package let plan: Plan

    /// Learns the shape of an object.
    ///
    /// Members that are `null` are taken to be absent, and are part of the runs.
    ///
    /// - Parameters:
    ///   - bytes: one JSON object.
    ///   - field: the number, 0...254, and form of the field that a key names; nil for a key it does not know.
    /// - Returns: nil where a key is not known or occurs twice, where a value has not its field's form, and where the object
    ///   is too large or no valid JSON.
    package init?(learning bytes: UnsafeRawBufferPointer, field: (JSONString) -> (number: UInt8, form: Form)?) {
        guard let learnt = try? Self.learn(bytes, field), learnt.runs.count <= Self.maximumBytes,
            learnt.steps.count <= Self.maximumSteps
        else { return nil }
        let steps = UnsafeMutableBufferPointer<Step>.allocate(capacity: learnt.steps.count)
        _ = steps.initialize(from: learnt.steps)
        let runs = UnsafeMutableRawBufferPointer.allocate(byteCount: learnt.runs.count + Self.padding, alignment: 16)
        _ = runs.initializeMemory(as: UInt8.self, repeating: 0)
        runs.copyBytes(from: learnt.runs)
        let nothing: StaticString = ""
        self.plan = Plan(
            steps: UnsafeBufferPointer(steps),
            runs: runs.baseAddress.map { UnsafeRawPointer($0) } ?? UnsafeRawPointer(nothing.utf8Start)
        )
    }

    @usableFromInline
    package static func == (one: JSONShape, other: JSONShape) -> Bool {
        one.bytes.elementsEqual(other.bytes)
            && one.plan.steps.elementsEqual(other.plan.steps) { $0.count == $1.count && $0.field == $1.field }
    }

    /// All runs.
    private var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: self.plan.runs, count: self.plan.steps.reduce(0) { $0 + Int($1.count) })
    }

    deinit {
        self.plan.steps.deallocate()
        self.plan.runs.deallocate()
    }

    private static func learn(
        _ bytes: UnsafeRawBufferPointer,
        _ field: (JSONString) -> (number: UInt8, form: Form)?
    ) throws(ValueError) -> (runs: [UInt8], steps: [Step])? {
        var reader = JSONReader(bytes)
        var runs: [UInt8] = []
        var steps: [Step] = []
        var runStart = 0
        var seen: Set<UInt8> = []
        /// Ends the run at an offset where a value begins.
        func note(_ number: UInt8, at offset: Int) {
            let run = bytes[runStart..<offset]
            // A run that is too long for a step is too long for a shape: `init` then refuses it by its bytes.
            let count = UInt16(clamping: run.count)
            steps.append(Step(offset: UInt32(clamping: runs.count), count: count, field: number))
            runs.append(contentsOf: run)
        }
        try reader.beginObject()
        while let key = try reader.nextKey() {
            guard let (number, form) = field(key), number != Self.end, seen.insert(number).inserted,
                runs.count <= Self.maximumBytes, steps.count < Self.maximumSteps
            else { return nil }
            if try reader.readNullIfPresent() { continue }
            let value = try reader.skipValue()
            switch form {
            case .hex:
                let text = bytes[value]
                guard text.count >= 4, text.starts(with: "\"0x".utf8) else { return nil }
                note(number, at: value.lowerBound + 3)
                runStart = value.upperBound - 1
            case .hexArray:
                guard bytes[value.lowerBound] == UInt8(ascii: "[") else { return nil }
                let inside = bytes[value].dropFirst()
                let blanks = inside.prefix { $0 == 0x20 || $0 == 0x0a || $0 == 0x0d || $0 == 0x09 }
                note(number, at: blanks.endIndex)
                runStart = value.upperBound - 1
            case .bool:
                guard bytes[value.lowerBound] == UInt8(ascii: "t") || bytes[value.lowerBound] == UInt8(ascii: "f")
                else { return nil }
                note(number, at: value.lowerBound)
                runStart = value.upperBound
            }
        }
        try reader.finish()
        note(Self.end, at: bytes.count)
        return (runs, steps)
    }
}
