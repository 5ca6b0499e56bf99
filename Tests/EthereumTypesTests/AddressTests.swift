import EthereumTypes
import HeadstreamJSON
import Testing

@Suite("Address")
struct AddressTests {
    @Test("ethers' accounts have the checksums that are written here (EIP-55)")
    func checksums() throws {
        for vector in try #require(Fixture.json("address/ethers-accounts.json").arrayValue) {
            let text = try #require(vector["address"]?.stringValue)
            #expect(try Address(text).description == text)
            #expect(try Address(checksummed: text) == Address(text.lowercased()))
        }
    }

    @Test("EIP-55's own examples, and any letter in the other case, which is refused where checksums count")
    func examples() throws {
        for text in [
            "0x52908400098527886E0F7030069857D2E4169EE7", "0xde709f2102306220921060314715629080e2fb77",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        ] {
            #expect(try Address(checksummed: text).description == text)
        }
        let text = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
        for (index, character) in text.enumerated() where index > 1 && character.isLetter {
            var other = Array(text)
            other[index] = Character(character.isLowercase ? character.uppercased() : character.lowercased())
            #expect(throws: ValueError.self) { try Address(checksummed: String(other)) }
            #expect(try Address(String(other)).description == text)
        }
        #expect(try Address(checksummed: text.lowercased()).description == text)
        #expect(try Address(checksummed: "0x" + text.dropFirst(2).uppercased()).description == text)
    }

    @Test("contracts' addresses follow from their creators (CREATE, CREATE2)")
    func creation() throws {
        for vector in try #require(Fixture.json("address/ethers-create.json").arrayValue) {
            let sender = try Address(#require(vector["sender"]?.stringValue))
            for created in try #require(vector["creates"]?.arrayValue) {
                let nonce = try #require(created["nonce"]?.intValue)
                let address = Address.created(by: sender, nonce: UInt64(nonce))
                #expect(address.description == created["address"]?.stringValue)
            }
        }
        for vector in try #require(Fixture.json("address/ethers-create2.json").arrayValue) {
            let sender = try Address(#require(vector["sender"]?.stringValue))
            for created in try #require(vector["creates"]?.arrayValue) {
                let code = try Bytes(#require(created["initCode"]?.stringValue))
                let address = Address.created(
                    by: sender,
                    salt: try Hash32(#require(created["salt"]?.stringValue)),
                    initCodeHash: Keccak256.hash(code)
                )
                #expect(address.description == created["address"]?.stringValue)
            }
        }
    }

    @Test("what is no address is refused")
    func bad() {
        for text in [
            "", "0x", "0x12", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed0", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeg", "vitalik.eth",
        ] {
            #expect(throws: ValueError.self, "\(text)") { try Address(text) }
        }
        #expect(throws: ValueError.self) { try Address(bytes: [1, 2, 3]) }
    }

    @Test("an address is the last 20 bytes of a word, and its order is that of its text")
    func words() throws {
        let low = try Address("0x0000000000000000000000000000000000000001")
        let high = try Address("0x0100000000000000000000000000000000000000")
        #expect(Address(lastBytesOf: Hash32(high)) == high && Hash32(low).description.hasSuffix("0001"))
        #expect(low < high && Hash32(low) < Hash32(high) && UInt256(Hash32(low)) == 1)
        #expect(Array(high).first == 1 && low.last == 1 && high.count == 20)
        #expect(MemoryLayout<Address>.size == 20)
    }
}
