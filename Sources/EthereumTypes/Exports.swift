// Users who import EthereumTypes see ValueError and JSONValue without a second import.
@_exported public import HeadstreamJSON
