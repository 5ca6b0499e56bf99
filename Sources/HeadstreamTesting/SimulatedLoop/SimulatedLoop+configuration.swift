public import Headstream

extension SimulatedLoop {
    /// A client's configuration for connections on this loop.
    public var configuration: Configuration {
        var configuration = Configuration()
        configuration.loop = self
        return configuration
    }
}
