/// Notifications whose subscription is not known yet: nodes may send the first ones before the response that tells
/// the id (geth's would come behind it, web3.py's users saw them a second earlier).
///
/// Bounded in bytes; the oldest give way. Kept only while a subscribe request waits for its answer.
struct OrphanBuffer: ~Copyable {
    private let limit: Int
    private var arena = Arena()

    /// - Parameter limit: bytes.
    init(limit: Int) {
        self.limit = limit
    }

    var isEmpty: Bool { self.arena.count == 0 }
    var byteCount: Int { self.arena.byteCount }

    /// Keeps a notification; a record is the length of the id, the id and the result.
    mutating func append(id: UnsafeRawBufferPointer, result: UnsafeRawBufferPointer) {
        guard id.count <= 1024, self.arena.makeRoom(forRecord: 8 + id.count + result.count, limit: self.limit) != nil
        else { return }
        let record = [UInt8](unsafeUninitializedCapacity: 8 + id.count + result.count) { buffer, count in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            raw.storeBytes(of: UInt64(id.count), as: UInt64.self)
            UnsafeMutableRawBufferPointer(rebasing: raw[8...]).copyMemory(from: id)
            UnsafeMutableRawBufferPointer(rebasing: raw[(8 + id.count)...]).copyMemory(from: result)
            count = buffer.count
        }
        _ = record.withUnsafeBytes { self.arena.append($0, limit: self.limit) }
    }

    /// Takes out the notifications of `id`, oldest first; the others stay in their order.
    mutating func take(id: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) {
        guard self.arena.count > 0 else { return }
        var rest = Arena()
        while let record = self.arena.first {
            let length = Int(truncatingIfNeeded: record.loadUnaligned(as: UInt64.self))
            let own = UnsafeRawBufferPointer(rebasing: record[8..<8 + length])
            if own.elementsEqual(id) {
                body(UnsafeRawBufferPointer(rebasing: record[(8 + length)...]))
            } else {
                _ = rest.append(record, limit: self.limit)
            }
            self.arena.removeFirst()
        }
        self.arena = rest
    }

    mutating func removeAll() {
        self.arena.removeAll(keeping: 0)
    }
}
