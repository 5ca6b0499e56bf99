import EthereumTypes
import HeadstreamJSON

/// A result that is a quantity of at most 64 bits.
struct Quantity: Decodable, JSONReadable {
    let value: UInt64

    init(from reader: inout JSONReader) throws(ValueError) {
        self.value = try reader.readQuantity()
    }

    init(from decoder: any Decoder) throws {
        let number = try UInt256(from: decoder)
        guard let value = UInt64(exactly: number) else {
            throw ValueError(value: "\(number)", reason: "is over 64 bits")
        }
        self.value = value
    }
}
