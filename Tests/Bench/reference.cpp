// The rows that Headstream is measured against, in C++ without a framework:
//
//   --what raw      reads the socket and throws the bytes away: what kernel and socket cost (burst only)
//   --what values   splits frames, parses with simdjson and turns every field into its value, as a typed client must
//
// It speaks the command line of HeadstreamBench and prints the same line of JSON.
//
// wss:// goes through OpenSSL, with certificates unchecked.
//
//   g++ -O3 -march=native -std=c++17 reference.cpp -lsimdjson -lssl -lcrypto -o reference
#include <simdjson.h>

#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

using std::string;
using std::string_view;
namespace ondemand = simdjson::ondemand;

[[noreturn]] static void fail(const char *what) {
    std::fprintf(stderr, "reference: %s\n", what);
    std::exit(1);
}

static int64_t monotonicNanoseconds() {
    return std::chrono::steady_clock::now().time_since_epoch().count();  // CLOCK_MONOTONIC on Linux
}

static rusage usage() {
    rusage result;
    getrusage(RUSAGE_SELF, &result);
    return result;
}

static double cpuSeconds() {
    const rusage r = usage();
    return r.ru_utime.tv_sec + r.ru_stime.tv_sec + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

// ---- The socket and its frames.

class Connection {
public:
    explicit Connection(const string &url) {
        char scheme[8], host[64], path[512];
        int port;
        if (std::sscanf(url.c_str(), "%7[^:]://%63[^:]:%d%511s", scheme, host, &port, path) != 4)
            fail("the URL is not ws://IP:PORT/PATH");
        descriptor = socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        inet_pton(AF_INET, host, &address.sin_addr);
        if (connect(descriptor, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0) fail("cannot connect");
        const int on = 1;
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (string_view(scheme) == "wss") {
            tls = SSL_new(SSL_CTX_new(TLS_client_method()));
            SSL_set_fd(tls, descriptor);
            if (SSL_connect(tls) != 1) fail("no TLS");
        }
        write("GET " + string(path) + " HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n");
        for (const void *end = nullptr; !end;) {
            if (!fill()) fail("no handshake");
            end = memmem(buffer.data(), filled, "\r\n\r\n", 4);
            if (end) taken = static_cast<const char *>(end) + 4 - buffer.data();
        }
    }

    void write(string_view bytes) {
        const ssize_t count = tls ? SSL_write(tls, bytes.data(), int(bytes.size()))
                                  : ::send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count != ssize_t(bytes.size())) fail("cannot write");
    }

    // A masked frame whose mask is zero.
    static string frame(string_view payload, unsigned char opcode = 1) {
        string result(1, char(0x80 | opcode));
        if (payload.size() < 126) {
            result += char(0x80 | payload.size());
        } else {
            result += {char(0xFE), char(payload.size() >> 8), char(payload.size())};
        }
        return result.append(4, '\0').append(payload);
    }

    // The next message; it stays until the next call, with simdjson's padding behind it. False at the end.
    bool next(string_view &message) {
        for (;;) {
            unsigned opcode;
            string_view payload;
            if (!takeFrame(opcode, payload)) {
                if (!fill()) return false;
            } else if (opcode == 1) {
                message = payload;
                return true;
            } else if (opcode == 8) {
                return false;
            } else if (opcode == 9) {
                write(frame(payload, 10));
            }
        }
    }

    bool hasMore() const { return taken != filled; }

    // Bytes of one read, thrown away; 0 at the end.
    size_t discard() {
        const ssize_t count = receive(buffer.data(), 1 << 20);
        return count > 0 ? size_t(count) : 0;
    }

private:
    static constexpr size_t capacity = 4 << 20, readSize = 1 << 20;

    bool takeFrame(unsigned &opcode, string_view &payload) {
        const size_t available = filled - taken;
        if (available < 2) return false;
        const auto *bytes = reinterpret_cast<const unsigned char *>(buffer.data() + taken);
        size_t size = bytes[1] & 127, header = 2;
        if (size == 127) fail("a frame is too long for this program");
        if (size == 126) {
            if (available < 4) return false;
            size = size_t(bytes[2]) << 8 | bytes[3];
            header = 4;
        }
        if (available < header + size) return false;
        opcode = bytes[0] & 15;
        payload = {buffer.data() + taken + header, size};
        taken += header + size;
        return true;
    }

    bool fill() {
        if (taken == filled) taken = filled = 0;
        if (capacity - filled < readSize) {
            std::memmove(buffer.data(), buffer.data() + taken, filled - taken);
            filled -= taken;
            taken = 0;
        }
        const ssize_t count = receive(buffer.data() + filled, std::min(capacity - filled, readSize));
        if (count > 0) filled += count;
        return count > 0;
    }

    ssize_t receive(char *into, size_t size) {
        return tls ? SSL_read(tls, into, int(size)) : recv(descriptor, into, size, 0);
    }

    int descriptor;
    SSL *tls = nullptr;
    std::vector<char> buffer = std::vector<char>(capacity + simdjson::SIMDJSON_PADDING);
    size_t taken = 0, filled = 0;
};

// ---- Values.

static void require(bool holds) {
    if (!holds) fail("a field has not its form");
}

// The value of each digit, 16 for what is none.
static const std::array<uint8_t, 256> digits = [] {
    std::array<uint8_t, 256> table;
    table.fill(16);
    for (int i = 0; i < 10; i++) table['0' + i] = i;
    for (int i = 0; i < 6; i++) table['a' + i] = table['A' + i] = 10 + i;
    return table;
}();

// "0x" and 2n digits to n bytes; without branches in the loop, so that the compiler makes vector code of it.
static void readBytes(string_view text, uint8_t *out, size_t count) {
    require(text.size() == 2 + 2 * count && text[0] == '0' && text[1] == 'x');
    const auto *in = reinterpret_cast<const uint8_t *>(text.data()) + 2;
    unsigned bad = 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t high = in[2 * i], low = in[2 * i + 1];
        const uint8_t highLetter = (high | 0x20) - 'a', lowLetter = (low | 0x20) - 'a';
        const uint8_t highDigit = high - '0', lowDigit = low - '0';
        bad |= (highDigit > 9) & (highLetter > 5);
        bad |= (lowDigit > 9) & (lowLetter > 5);
        const uint8_t h = highDigit <= 9 ? highDigit : uint8_t(highLetter + 10);
        const uint8_t l = lowDigit <= 9 ? lowDigit : uint8_t(lowLetter + 10);
        out[i] = uint8_t(h << 4 | l);
    }
    require(bad == 0);
}

template <size_t count> static void readBytes(string_view text, std::array<uint8_t, count> &out) {
    readBytes(text, out.data(), count);
}

static void readBytes(string_view text, std::vector<uint8_t> &out) {
    require(text.size() >= 2 && text.size() % 2 == 0);
    out.resize(text.size() / 2 - 1);
    readBytes(text, out.data(), out.size());
}

static void readQuantity(string_view text, uint64_t &out) {
    require(text.size() > 2 && text.size() <= 18);
    uint64_t value = 0;
    for (char digit : text.substr(2)) {
        require(digits[uint8_t(digit)] < 16);
        value = value << 4 | digits[uint8_t(digit)];
    }
    out = value;
}

using Hash = std::array<uint8_t, 32>;
using Address = std::array<uint8_t, 20>;

struct Log {
    Address address;
    std::array<Hash, 4> topics;
    size_t topicCount;
    std::vector<uint8_t> data;
    Hash transactionHash, blockHash;
    uint64_t blockNumber, transactionIndex, logIndex, timestamp;
    bool removed;

    void read(ondemand::object object) {
        for (auto member : object) {
            const string_view key = member.unescaped_key();
            if (key == "topics") {
                topicCount = 0;
                for (auto topic : member.value().get_array()) {
                    require(topicCount < 4);
                    readBytes(topic, topics[topicCount++]);
                }
            } else if (key == "removed") {
                removed = member.value();
            } else {
                const string_view value = member.value();
                if (key == "address") readBytes(value, address);
                else if (key == "data") readBytes(value, data);
                else if (key == "blockNumber") readQuantity(value, blockNumber);
                else if (key == "transactionHash") readBytes(value, transactionHash);
                else if (key == "transactionIndex") readQuantity(value, transactionIndex);
                else if (key == "blockHash") readBytes(value, blockHash);
                else if (key == "blockTimestamp") readQuantity(value, timestamp);
                else if (key == "logIndex") readQuantity(value, logIndex);
            }
        }
    }
    // Depends on what was read, so that no reading is optimised away.
    uint64_t check() const { return blockNumber + logIndex + transactionHash[5]; }
    const std::vector<uint8_t> &stamped() const { return data; }
};

struct Head {
    Hash parentHash, unclesHash, stateRoot, transactionsRoot, receiptsRoot, mixHash, withdrawalsRoot, beaconRoot, requestsHash, hash;
    Address miner;
    std::array<uint8_t, 256> bloom;
    std::array<uint8_t, 8> nonce;
    std::vector<uint8_t> extraData;
    uint64_t difficulty, number, gasLimit, gasUsed, timestamp, baseFee, blobGas, excessBlobGas;

    void read(ondemand::object object) {
        for (auto member : object) {
            const string_view key = member.unescaped_key(), value = member.value();
            if (key == "parentHash") readBytes(value, parentHash);
            else if (key == "sha3Uncles") readBytes(value, unclesHash);
            else if (key == "miner") readBytes(value, miner);
            else if (key == "stateRoot") readBytes(value, stateRoot);
            else if (key == "transactionsRoot") readBytes(value, transactionsRoot);
            else if (key == "receiptsRoot") readBytes(value, receiptsRoot);
            else if (key == "logsBloom") readBytes(value, bloom);
            else if (key == "difficulty") readQuantity(value, difficulty);
            else if (key == "number") readQuantity(value, number);
            else if (key == "gasLimit") readQuantity(value, gasLimit);
            else if (key == "gasUsed") readQuantity(value, gasUsed);
            else if (key == "timestamp") readQuantity(value, timestamp);
            else if (key == "extraData") readBytes(value, extraData);
            else if (key == "mixHash") readBytes(value, mixHash);
            else if (key == "nonce") readBytes(value, nonce);
            else if (key == "baseFeePerGas") readQuantity(value, baseFee);
            else if (key == "withdrawalsRoot") readBytes(value, withdrawalsRoot);
            else if (key == "blobGasUsed") readQuantity(value, blobGas);
            else if (key == "excessBlobGas") readQuantity(value, excessBlobGas);
            else if (key == "parentBeaconBlockRoot") readBytes(value, beaconRoot);
            else if (key == "requestsHash") readBytes(value, requestsHash);
            else if (key == "hash") readBytes(value, hash);
        }
    }
    uint64_t check() const { return number + bloom[7] + hash[3]; }
    const std::vector<uint8_t> &stamped() const { return extraData; }
};

// ---- Runs.

struct Run {
    string what = "values", mode = "burst", kind = "logs", url;
    long count = 1000, subscriptions = 1;
    long received = 0;
    uint64_t check = 0;
    std::vector<double> latencies;  // microseconds
    ondemand::parser parser;

    template <class Value> void stream(Connection &connection) {
        Value value{};
        string_view message;
        while (received < count && connection.next(message)) {
            auto document = parser.iterate(message.data(), message.size(), message.size() + simdjson::SIMDJSON_PADDING);
            ondemand::object params;
            if (document["params"].get(params)) continue;  // the answer to eth_subscribe
            value.read(params["result"]);
            check += value.check();
            received++;
            if (mode == "rate") {
                uint64_t sent = 0;
                const auto &bytes = value.stamped();
                for (size_t i = bytes.size() - 8; i < bytes.size(); i++) sent = sent << 8 | bytes[i];
                latencies.push_back((monotonicNanoseconds() - int64_t(sent)) / 1000.0);
            }
        }
    }

    void subscribe(Connection &connection) {
        const string parameters = kind == "heads" ? R"(["newHeads"])" : R"(["logs",{}])";
        const string request = R"({"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":)" + parameters + "}";
        for (long i = 0; i < subscriptions; i++) connection.write(Connection::frame(request));
    }

    // A hundred requests in flight, all that one read answers sent again in one write.
    void request(Connection &connection) {
        constexpr long inFlight = 100;
        long sent = 0;
        string_view message;
        while (received < count) {
            string frames;
            for (; sent < count && sent - received < inFlight; sent++) {
                frames += Connection::frame(R"({"jsonrpc":"2.0","id":)" + std::to_string(sent) + R"(,"method":"eth_blockNumber","params":[]})");
            }
            if (!frames.empty()) connection.write(frames);
            do {
                if (!connection.next(message)) fail("the connection ended");
                auto document = parser.iterate(message.data(), message.size(), message.size() + simdjson::SIMDJSON_PADDING);
                const uint64_t id = document["id"];
                uint64_t number;
                readQuantity(document["result"], number);
                check += id + number;
                received++;
            } while (connection.hasMore());
        }
    }

    void discard(Connection &connection) {
        size_t bytes = 0;
        while (const size_t part = connection.discard()) bytes += part;
        received = bytes > size_t(count) * 500 ? count : 0;
    }
};

int main(int argc, char **argv) {
    Run run;
    std::map<string, string> options;
    for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
    auto option = [&](const char *name, const string &otherwise) {
        return options.count(name) ? options[name] : otherwise;
    };
    run.url = option("--url", "");
    run.what = option("--what", run.what);
    run.mode = option("--mode", run.mode);
    run.kind = option("--kind", run.kind);
    run.count = std::stol(option("--count", "1000"));
    run.subscriptions = std::stol(option("--subs", "1"));

    Connection connection(run.url);
    const int64_t began = monotonicNanoseconds();
    const double cpuBegan = cpuSeconds();
    if (run.mode == "request") {
        run.request(connection);
    } else {
        run.subscribe(connection);
        if (run.what == "raw") run.discard(connection);
        else if (run.kind == "heads") run.stream<Head>(connection);
        else run.stream<Log>(connection);
    }
    const double wall = (monotonicNanoseconds() - began) / 1e9, cpu = cpuSeconds() - cpuBegan;

    std::printf("{\"client\":\"%s\",\"mode\":\"%s\",\"kind\":\"%s\",\"count\":%ld,\"received\":%ld,\"wall_s\":%.4f,\"cpu_s\":%.4f,"
                "\"rate\":%.0f,\"cpu_us_per_msg\":%.3f,\"cpu_pct\":%.2f,\"rss_mb\":%.1f,\"check\":%llu",
                run.what.c_str(), run.mode.c_str(), run.kind.c_str(), run.count, run.received, wall, cpu, run.received / wall,
                run.received ? cpu / run.received * 1e6 : 0, 100 * cpu / wall, usage().ru_maxrss / 1024.0,
                static_cast<unsigned long long>(run.check));
    if (!run.latencies.empty()) {
        std::sort(run.latencies.begin(), run.latencies.end());
        auto quantile = [&](double share) {
            return run.latencies[std::min(run.latencies.size() - 1, size_t(share * run.latencies.size()))];
        };
        std::printf(",\"lat_us\":{\"p50\":%.0f,\"p99\":%.0f,\"p999\":%.0f,\"max\":%.0f}", quantile(0.5), quantile(0.99),
                    quantile(0.999), run.latencies.back());
    }
    std::puts("}");
}
