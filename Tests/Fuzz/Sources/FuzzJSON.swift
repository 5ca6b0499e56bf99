import EthereumTypes
import HeadstreamJSON

/// The reader alone, reading against skipping, writing and reading again, and the decoders by shape against the reader.
@Sendable func fuzzJSON(_ input: FuzzInput) {
    // Several texts, as a stream has them, so that a shape learnt from one meets the next.
    var logs = Log.Decoder()
    var headers = BlockHeader.Decoder()
    for text in input.bytes.split(separator: 0, maxSplits: 7, omittingEmptySubsequences: true).map({ Array($0) }) {
        let value = try? JSONValue(parsing: text)
        text.withSlack { bytes in
            let bytes = UnsafeRawBufferPointer(bytes)
            var skipper = JSONReader(bytes)
            var isSkipped = false
            if (try? skipper.skipValue()) != nil, (try? skipper.finish()) != nil { isSkipped = true }
            require(isSkipped == (value != nil), "reading and skipping disagree")

            var reader = JSONReader(bytes)
            let log = Result { () throws(ValueError) -> Log in
                let log = try reader.read(Log.self)
                try reader.finish()
                return log
            }
            let byShape = Result { () throws(ValueError) -> Log in try logs.decode(bytes) }
            require((try? log.get()) == (try? byShape.get()), "a log by its shape differs")

            var second = JSONReader(bytes)
            let header = Result { () throws(ValueError) -> BlockHeader in
                let header = try second.read(BlockHeader.self)
                try second.finish()
                return header
            }
            let headerByShape = Result { () throws(ValueError) -> BlockHeader in try headers.decode(bytes) }
            require((try? header.get()) == (try? headerByShape.get()), "a header by its shape differs")
        }
        if let value {
            let written = value.description
            require((try? JSONValue(parsing: written)) == value, "written and read again it differs: \(written)")
        }
    }
}
