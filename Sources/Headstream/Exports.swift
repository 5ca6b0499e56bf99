// One import is enough: the values of Ethereum and JSON, and what a slow consumer's buffer does, come along.
@_exported public import EthereumTypes
@_exported public import HeadstreamJSON
@_exported public import HeadstreamRPC
@_exported public import HeadstreamSockets
