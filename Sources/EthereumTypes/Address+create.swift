extension Address {
    /// The address of the contract that `sender` creates with its transaction of this nonce (CREATE).
    public static func created(by sender: Address, nonce: UInt64) -> Address {
        var writer = RLPWriter()
        writer.list { list in
            list.append(sender)
            list.append(nonce)
        }
        return Address(lastBytesOf: Keccak256.hash(writer.bytes))
    }

    /// The address of the contract that `factory` creates with a salt and the hash of its init code (CREATE2, EIP-1014).
    public static func created(by factory: Address, salt: Hash32, initCodeHash: Hash32) -> Address {
        var hasher = Keccak256()
        hasher.update([0xff])
        factory.withBytes { hasher.update(bytes: $0) }
        salt.withBytes { hasher.update(bytes: $0) }
        initCodeHash.withBytes { hasher.update(bytes: $0) }
        return Address(lastBytesOf: hasher.finalize())
    }
}
