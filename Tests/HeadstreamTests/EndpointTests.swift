import Testing

@testable import Headstream

@Suite("Endpoints")
struct EndpointTests {
    @Test(
        "URLs and paths are read",
        arguments: [
            ("ws://localhost", "ws://localhost:80"), ("ws://127.0.0.1:8546/", "ws://127.0.0.1:8546"),
            ("WS://Node.example:1/v1?key=secret#x", "ws://Node.example:1"), ("ws://[::1]:8546", "ws://[::1]:8546"),
            ("ws://[fe80::1%25eth0]", "ws://[fe80::1%25eth0]:80"), ("ws://user:pass@host:9/p", "ws://host:9"),
            ("ws://us@er:p@ss@host", "ws://host:80"), ("ws://host?query", "ws://host:80"),
            ("ws://host:", "ws://host:80"), ("wss://host", "wss://host:443"),
            ("WSS://[::1]:8546/v1", "wss://[::1]:8546"),
            ("wss://user:secret@host:1/secret", "wss://host:1"),
            ("ipc:/run/geth.ipc", "ipc:/run/geth.ipc"), ("/run/my node/geth.ipc", "ipc:/run/my node/geth.ipc"),
            ("unix:///run/geth.ipc", "ipc:/run/geth.ipc"), ("@abstract", "ipc:@abstract"),
            ("./geth.ipc", "ipc:./geth.ipc"), ("../x.ipc", "ipc:../x.ipc"), ("../my node.ipc", "ipc:../my node.ipc"),
        ]
    )
    func valid(text: String, description: String) throws {
        #expect(try Endpoint(text).description == description)
    }

    @Test(
        "What is none is refused, without repeating it",
        arguments: [
            "", "localhost", "ws:", "ws:/host", "ws://", "ws:///path", "ws://:8546", "ws://host:0", "ws://host:65536",
            "ws://host:+80", "ws://host:8x", "ws://[::1", "ws://[::1]x", "ws://a b", "ws://host\r\nX: secret", "ipc:",
            "http://user:secret@host", "https://host/secret", "ftp://secret", "ws://user:secret@",
            "\u{0}", "ws://host:-1",
        ]
    )
    func invalid(text: String) {
        let error = #expect(throws: Web3Error.self) { try Endpoint(text) }
        #expect(error?.code == .invalidEndpoint)
        #expect(error?.description.contains("secret") == false)
    }

    @Test("Credentials, path and query are in no description, interpolation or dump")
    func descriptions() {
        let endpoint: Endpoint = "ws://user:secret@host:1/secret?key=secret"
        var dumped = ""
        dump(endpoint, to: &dumped)
        for text in [
            "\(endpoint)", String(reflecting: endpoint), "\([endpoint])", "\(Optional(endpoint) as Any)", dumped,
        ] {
            #expect(!text.contains("secret"), "\(text)")
        }
        #expect(("ws://host:1/" as Endpoint) != "wss://host:1/")
        // Two that differ in it only are two.
        #expect(endpoint != "ws://user:other@host:1/secret?key=secret")
    }

    @Test("A refusal's text that repeats the endpoint's secrets is told without them")
    func redaction() {
        let endpoint: Endpoint = "ws://user:pa55word@host/v1/0123456789abcdef?token=fedcba98765432"
        let text = "no such key 0123456789abcdef in /v1/0123456789abcdef, token fedcba98765432, user:pa55word v1 ws"
        let redacted = Secrets(of: endpoint, Configuration()).redacting(text)
        for secret in ["0123456789abcdef", "fedcba98765432", "pa55word"] { #expect(!redacted.contains(secret)) }
        #expect(redacted.hasSuffix("v1 ws"))
    }
}
