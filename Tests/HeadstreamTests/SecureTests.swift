import Foundation
import Headstream
import HeadstreamSockets
import HeadstreamTesting
import Testing

/// `wss://` from the URL to the error.
@Suite("wss://", .timeLimit(.minutes(15)))
struct SecureTests {
    /// A node over TLS on a loop of its own, and what connecting to it fails with.
    private func refusal(
        _ certificate: TestCertificate,
        _ configure: (inout Configuration) -> Void
    ) async throws -> Web3Error? {
        let loop = EventLoop(name: "secure", userTimeout: 0)
        let server = try await ScriptedServer(on: loop, certificate: certificate)
        var configuration = Configuration.patient(on: loop)
        configure(&configuration)
        let endpoint = await server.endpoint
        let error = await failureOfConnecting(to: endpoint, configuration)
        await server.close()
        await loop.shutdown()
        return error
    }

    private func failureOfConnecting(to endpoint: Endpoint, _ configuration: Configuration) async -> Web3Error? {
        do throws(Web3Error) {
            let web3 = try await Web3.connect(to: endpoint, configuration: configuration)
            await web3.close()
            return nil
        } catch {
            return error
        }
    }

    @Test("A replay over TLS needs one word, and no file")
    func replay() async throws {
        let path = Fixture.path("sessions/mainnet-14000000-14000010.io")
        try await withReplay(of: path, on: .secureWebSocket()) { web3, node in
            #expect("\(node.endpoint)".hasPrefix("wss://127.0.0.1:"))
            var count = 0
            for try await _ in web3.eth.newHeads(continuity: .live) { count += 1 }
            #expect(count == 11)
        }
    }

    @Test("The certificates to trust: a text, a file, the environment; and nobody trusts a test's authority unasked")
    func trust() async throws {
        let certificate = try TestAuthority().certificate()
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("headstream-\(UUID()).pem")
        try Data(certificate.authorityPEM.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        #expect(try await self.refusal(certificate) { $0.tls.trustRoots = certificate.trustRoots } == nil)
        #expect(try await self.refusal(certificate) { $0.tls.trustRoots = .file(file.path) } == nil)
        #expect(try await self.refusal(certificate) { $0.environment = ["SSL_CERT_FILE": file.path] } == nil)
        let unasked = try await self.refusal(certificate) { $0.environment = [:] }
        // A system without ca-certificates has nobody to trust.
        #expect([.certificateRejected, .tlsFailed].contains(unasked?.code))
        let other = try TestAuthority().certificate()
        let rejected = try await self.refusal(certificate) { $0.tls.trustRoots = other.trustRoots }
        #expect(rejected?.code == .certificateRejected)
        #expect(rejected?.message.hasPrefix("wss://127.0.0.1:") == true)
    }

    @Test("Edge case 108: SSL_CERT_FILE names a file that is missing: told by name")
    func missingFile() async throws {
        let error = try await self.refusal(TestAuthority().certificate()) {
            $0.environment = ["SSL_CERT_FILE": "/no/such/file.pem"]
        }
        #expect(error?.code == .tlsFailed)
        #expect(error?.message.contains("SSL_CERT_FILE names /no/such/file.pem") == true)
    }

    @Test("A certificate for another host is rejected, and one that has expired")
    func rejected() async throws {
        let authority = try TestAuthority()
        let elsewhere = try authority.certificate(for: ["node.example"])
        let wrong = try await self.refusal(elsewhere) { $0.tls.trustRoots = elsewhere.trustRoots }
        #expect(wrong?.code == .certificateRejected)
        #expect(wrong?.message.contains("is for node.example, not for 127.0.0.1") == true)
        let old = try authority.certificate(validity: .seconds(-86_400 * 9) ... .seconds(-86_400 * 2))
        let expired = try await self.refusal(old) { $0.tls.trustRoots = old.trustRoots }
        #expect(expired?.code == .certificateRejected)
        #expect(expired?.message.contains("expired on") == true)
    }

    @Test("wss:// to a port in plain text, and ws:// to one with TLS: each says which it is, and neither falls back")
    func wrongScheme() async throws {
        let authority = try TestAuthority()
        let certificate = try authority.certificate()
        let loop = EventLoop(name: "secure", userTimeout: 0)
        var configuration = Configuration.patient(on: loop)
        configuration.tls.trustRoots = certificate.trustRoots
        let plain = try await withCheckedContinuation { continuation in
            loop.execute {
                continuation.resume(
                    returning: Result {
                        try loop.listen(on: .host("127.0.0.1", port: 0)) { _ in PlainServer() }.address
                    }
                )
            }
        }.get()
        let secure = try await ScriptedServer(on: loop, certificate: certificate)
        let secureURL = await "\(secure.endpoint)".replacing("wss://", with: "ws://")
        let toPlain = await self.failureOfConnecting(to: try Endpoint("wss://\(plain)"), configuration)
        #expect(toPlain?.code == .tlsFailed, "\(String(describing: toPlain))")
        #expect(toPlain?.message.contains("use ws://") == true)
        let toSecure = await self.failureOfConnecting(to: try Endpoint(secureURL), configuration)
        #expect(toSecure != nil)
        await secure.close()
        await loop.shutdown()
    }

    @Test("The TLS handshake is under the deadline of connecting, and can be cancelled", arguments: [true, false])
    func silent(cancels: Bool) async throws {
        let loop = EventLoop(name: "secure", userTimeout: 0)
        // Accepts, reads, and says nothing.
        let accepted = Recorder<Int>()
        let silent = Silent()
        let address = try await withCheckedContinuation { continuation in
            loop.execute {
                continuation.resume(
                    returning: Result {
                        try loop.listen(on: .host("127.0.0.1", port: 0)) { _ in
                            accepted.append(1)
                            return silent
                        }.address
                    }
                )
            }
        }.get()
        let endpoint = try Endpoint("wss://\(address)")
        let certificate = try Stage.certificate.get()
        var configuration = Configuration.patient(on: loop)
        configuration.tls.trustRoots = certificate.trustRoots
        if cancels {
            await withTaskGroup(of: Web3Error?.self) { [configuration] group in
                group.addTask { await self.failureOfConnecting(to: endpoint, configuration) }
                await eventually { accepted.all.count == 1 }
                group.cancelAll()
                for await error in group { #expect(error?.code == .cancelled) }
            }
        } else {
            // On a busy machine the first times may be over before the handshake has begun.
            var error: Web3Error?
            for milliseconds in [300, 3000, 30_000, 300_000] {
                configuration.connectTimeout = .milliseconds(milliseconds)
                error = await self.failureOfConnecting(to: endpoint, configuration)
                #expect(error?.code == .timedOut)
                if error?.message.contains("TLS handshake") == true { break }
            }
            #expect(error?.message.contains("TLS handshake") == true)
        }
        await loop.shutdown()
    }

    @Test("Edge case 107: an end without close_notify is a lost connection")
    func cut() async throws {
        try await Stage.secureWebSocket.run { web3, server in
            let stream = try await web3.subscribe(NumbersRequest())
            await server.act { $0.drop() }
            let error = await failure { for try await _ in stream {} }
            #expect(error?.code == .connectionClosed)
            #expect(error?.closeCode == 1006)
        }
    }

    @Test("A connection that is cut in the handshake could not be made: not a refusal of TLS")
    func cutInHandshake() async throws {
        let loop = EventLoop(name: "secure", userTimeout: 0)
        let address = try await withCheckedContinuation { continuation in
            loop.execute {
                continuation.resume(
                    returning: Result {
                        try loop.listen(on: .host("127.0.0.1", port: 0)) { _ in Closing() }.address
                    }
                )
            }
        }.get()
        var configuration = Configuration.patient(on: loop)
        configuration.tls.trustRoots = try Stage.certificate.get().trustRoots
        let error = await self.failureOfConnecting(to: try Endpoint("wss://\(address)"), configuration)
        #expect(error?.code == .cannotConnect)
        #expect(error?.message.contains("in the TLS handshake") == true)
        await loop.shutdown()
    }

    @Test("A simulated loop has no TLS, and says so")
    func simulated() async throws {
        try await SimulatedLoop.run(seed: 1) { loop in
            let server = try await ScriptedServer(on: loop)
            let url = await "\(server.endpoint)".replacing("ws://", with: "wss://")
            let error = await failure {
                _ = try await Web3.connect(to: Endpoint(url), configuration: loop.configuration)
            }
            #expect(error?.code == .tlsFailed)
            #expect(error?.message.contains("simulated") == true)
            await server.close()
        }
    }

    @Test("A client certificate, by text; its key is in no description")
    func clientCertificate() async throws {
        let authority = try TestAuthority()
        let mine = try authority.certificate(for: ["me"])
        let loop = EventLoop(name: "secure", userTimeout: 0)
        let tls = try TLSServer(authority.certificate().identity, clientAuthorities: .pem(authority.certificatePEM))
        let address = try await withCheckedContinuation { continuation in
            loop.execute {
                continuation.resume(
                    returning: Result {
                        try loop.listen(on: .host("127.0.0.1", port: 0), tls: tls) { _ in Closing() }.address
                    }
                )
            }
        }.get()
        var configuration = Configuration.patient(on: loop)
        configuration.tls.trustRoots = .pem(authority.certificatePEM)
        let endpoint = try Endpoint("wss://\(address)")
        let without = await self.failureOfConnecting(to: endpoint, configuration)
        #expect(without?.code == .tlsFailed)
        #expect(without?.message.contains("client certificate") == true, "\(String(describing: without))")
        configuration.tls.clientCertificate = mine.clientCertificate
        // It was accepted: the server went on and closed.
        let with = await self.failureOfConnecting(to: endpoint, configuration)
        #expect(with?.code == .cannotConnect, "\(String(describing: with))")
        var dumped = ""
        dump(configuration.tls, to: &dumped)
        dump(mine, to: &dumped)
        for text in ["\(configuration.tls)", "\(mine)", dumped] { #expect(!text.contains("PRIVATE KEY")) }
        await loop.shutdown()
    }
}

/// Accepts and says nothing.
///
/// `@unchecked Sendable`: it has no state.
private final class Silent: ChannelDelegate, @unchecked Sendable {
    func channelOpened(_ channel: any Channel) {}
    func channelSecured(_ channel: any Channel) {}
    func channel(_ channel: any Channel, received bytes: UnsafeMutableRawBufferPointer) -> Int { bytes.count }
    func channelDrained(_ channel: any Channel) {}
    func channelEnded(_ channel: any Channel, _ reason: ChannelEnd) {}
}

/// Answers anything as a web server answers what it does not understand.
private final class PlainServer: ChannelDelegate {
    func channelOpened(_ channel: any Channel) {}
    func channelSecured(_ channel: any Channel) {}
    func channel(_ channel: any Channel, received bytes: UnsafeMutableRawBufferPointer) -> Int {
        let answer = Array("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".utf8)
        answer.withUnsafeBytes { channel.write($0) }
        channel.finishWriting()
        return bytes.count
    }
    func channelDrained(_ channel: any Channel) {}
    func channelEnded(_ channel: any Channel, _ reason: ChannelEnd) {}
}

/// Closes at the first bytes.
private final class Closing: ChannelDelegate {
    func channelOpened(_ channel: any Channel) {}
    func channelSecured(_ channel: any Channel) {}
    func channel(_ channel: any Channel, received bytes: UnsafeMutableRawBufferPointer) -> Int {
        channel.close()
        return bytes.count
    }
    func channelDrained(_ channel: any Channel) {}
    func channelEnded(_ channel: any Channel, _ reason: ChannelEnd) {}
}
