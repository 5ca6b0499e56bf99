extension UpgradeRefusal {
    /// What the status means for someone who wants a WebSocket, and what to do about it. Nil where it says enough itself.
    package var advice: String? {
        switch self.status {
        case 200..<300: "a web server answers there and opens no WebSocket; check host, port and path"
        case 300..<400:
            "redirections are not followed; give the endpoint that it leads to, with ws:// or wss:// in front"
        case 400: "the server does not understand the request; check host, port and path"
        case 401: "credentials are missing or wrong; check the key in the endpoint, or give it in Configuration.headers"
        case 402: "the account has to be paid for"
        case 403:
            "the credentials are not allowed to connect; check the key, its plan and its list of allowed addresses"
        case 404, 410: "there is no such path; check the endpoint's path, and its key if that is part of it"
        case 405:
            "the path takes plain HTTP requests only; use the node's WebSocket endpoint, often another port or path"
        case 407: "a proxy in front of the node wants credentials"
        case 426: "the server wants another protocol; if it wants TLS, use wss:// instead of ws://"
        case 429: "too many connections or requests for this key or address; wait, or use another plan or endpoint"
        case 500: "the server failed; try again, or another endpoint"
        case 501: "the server knows no WebSocket; use the node's WebSocket endpoint"
        case 502, 504: "the gateway does not reach the node behind it; try again, or another endpoint"
        case 503: "the server is overloaded or being serviced; try again later, or another endpoint"
        case 520: "Cloudflare: the node's server answered something unexpected; try again, or another endpoint"
        case 521: "Cloudflare: the node's server refuses connections, it is probably down; try another endpoint"
        case 522: "Cloudflare: the node's server does not answer; try again, or another endpoint"
        case 523: "Cloudflare: the node's server cannot be reached; try another endpoint"
        case 524: "Cloudflare: the node's server took too long; try again, or another endpoint"
        case 525, 526: "Cloudflare: TLS with the node's server fails, which only its operator can mend"
        case 527, 530: "Cloudflare: the node's server cannot be found, which only its operator can mend"
        case 500...: "the server failed; try again, or another endpoint"
        default: nil
        }
    }

    /// The same for a proxy that refuses a tunnel.
    package var proxyAdvice: String? {
        switch self.status {
        case 300..<400: "a proxy's redirection is not followed"
        case 400: "the proxy does not understand CONNECT; is it an HTTP proxy?"
        case 401, 407: "the proxy wants credentials; give them in its URL, http://USER:PASSWORD@HOST:PORT"
        case 403: "the proxy does not allow this host or port; ask its operator, or list the host in NO_PROXY"
        case 404, 405, 501: "what answers there is no proxy that opens tunnels (CONNECT)"
        case 429: "too many connections through this proxy"
        case 502, 503: "the proxy cannot reach the node; check the endpoint's host and port"
        case 504: "the node did not answer the proxy in time"
        default: nil
        }
    }
}
