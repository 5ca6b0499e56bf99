#!/usr/bin/env python3
"""A node for measurements: JSON-RPC over WebSocket on loopback, streaming as fast as the client reads.

The URL says what a connection gets; K subscriptions are awaited before the first notification, and take turns:

  /burst?kind=logs|heads&count=N&subs=K     N notifications at full speed; close=1 ends the connection behind them;
                                            active=A: only the last A of the subscriptions get any
  /rate?kind=…&count=N&subs=K&rate=R        R a second, each with its time in it
  /idle?interval=S                          a head at once, then one every S seconds
  /request?delay=MS                         only answers requests, each after so many milliseconds

Every mode answers eth_subscribe, eth_unsubscribe and some reads, single and in batches. In rate mode the last eight
bytes of a log's `data` and of a head's `extraData` are the time of sending (CLOCK_MONOTONIC, nanoseconds).
`shape=` sets how notifications are written: geth (the default), anvil or hardhat (their order of keys), spaced (blanks
behind commas and colons), mixed (another order in each message). With `ping=S` a ping goes out every S seconds, as a
node's does, and with `tag=NAME` a line of statistics is printed when the connection ends.

The first line of output is {"port": N}. Standard library only.
"""

import argparse
import base64
import ctypes
import hashlib
import json
import random
import re
import socket
import struct
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

SAMPLES = 1000  # different notifications of a kind, sent round and round
WRITE_SIZE = 128 << 10  # bytes given to one send in burst mode
FIRST_BLOCK = 21_643_067
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


# What a node says: the same samples in every run.

class Samples:
    """Heads and logs with every field of today's mainnet, as dictionaries in geth's order of keys."""

    def __init__(self, seed=1):
        self.random = random.Random(seed)
        self.heads = [self.head(i) for i in range(SAMPLES)]
        self.logs = [self.log(i) for i in range(SAMPLES)]

    def hex(self, size):
        return "0x" + self.random.randbytes(size).hex()

    def head(self, i):
        h = self.hex
        return {
            "parentHash": h(32), "sha3Uncles": h(32), "miner": h(20), "stateRoot": h(32), "transactionsRoot": h(32),
            "receiptsRoot": h(32), "logsBloom": h(256), "difficulty": "0x0", "number": hex(FIRST_BLOCK + i),
            "gasLimit": "0x2255100", "gasUsed": hex(self.random.randrange(1 << 25)),
            "timestamp": hex(1_763_000_000 + 12 * i), "extraData": "0x" + "%064x" % i, "mixHash": h(32),
            "nonce": "0x0000000000000000", "baseFeePerGas": hex(self.random.randrange(1 << 33)),
            "withdrawalsRoot": h(32), "blobGasUsed": "0xc0000", "excessBlobGas": "0x4b20000",
            "parentBeaconBlockRoot": h(32), "requestsHash": h(32), "hash": h(32),
        }

    def log(self, i):
        h, block = self.hex, i // 200
        party = lambda: "0x" + "0" * 24 + h(20)[2:]
        return {
            "address": "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
            "topics": ["0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef", party(), party()],
            "data": "0x" + "%064x" % self.random.randrange(1 << 60), "blockNumber": hex(FIRST_BLOCK + block),
            "transactionHash": h(32), "transactionIndex": hex(i % 200), "blockHash": h(32),
            "blockTimestamp": hex(1_763_000_000 + 12 * block), "logIndex": hex(i), "removed": False,
        }

    # Orders of keys as the nodes have them; keys that are not named follow.
    ORDERS = {
        ("anvil", "heads"): "hash parentHash sha3Uncles miner stateRoot transactionsRoot receiptsRoot logsBloom difficulty "
                            "number gasLimit gasUsed timestamp",
        ("anvil", "logs"): "address topics data blockHash blockNumber blockTimestamp transactionHash transactionIndex "
                           "logIndex removed",
        ("hardhat", "heads"): "hash parentHash sha3Uncles stateRoot transactionsRoot receiptsRoot number gasUsed gasLimit "
                              "extraData logsBloom timestamp difficulty",
        ("hardhat", "logs"): "removed logIndex transactionIndex transactionHash blockHash blockNumber address data topics",
    }

    def written(self, kind, shape):
        """The samples of a kind as JSON, as a node of this shape writes them."""
        objects = self.heads if kind == "heads" else self.logs
        if shape == "mixed":
            shuffled = random.Random(2)
            objects = [{key: o[key] for key in shuffled.sample(list(o), len(o))} for o in objects]
        elif order := self.ORDERS.get((shape, kind)):
            first = order.split()
            objects = [{key: o[key] for key in first + [k for k in o if k not in first]} for o in objects]
        separators = (", ", ": ") if shape == "spaced" else (",", ":")
        return [json.dumps(o, separators=separators).encode() for o in objects]


SHAPES = ("geth", "anvil", "hardhat", "spaced", "mixed")
SAMPLE = Samples()


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


READS = {
    "eth_chainId": b'"0x1"',
    "eth_blockNumber": b'"%s"' % hex(FIRST_BLOCK).encode(),
    "eth_getBlockByNumber": compact(
        SAMPLE.heads[0] | {"size": "0x220", "transactions": [SAMPLE.hex(32) for _ in range(8)], "uncles": []}
    ),
    "net_version": b'"1"',
    "web3_clientVersion": b'"bench-server/1"',
}
# The requests that are measured, recognised without a JSON parser.
PLAIN_READ = re.compile(rb'\{"jsonrpc":"2\.0","id":(\d+),"method":"(eth_blockNumber|eth_chainId)"')


def frame(payload, opcode=TEXT):
    """An unmasked final frame (RFC 6455 §5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65536:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload


class Connection(threading.Thread):
    """One client: this thread reads and answers, a second one streams."""

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock = sock
        self.writing = threading.Lock()  # frames go out whole
        self.changed = threading.Condition()  # guards the three below
        self.subscriptions = []
        self.generation = 0
        self.is_open = True
        self.streamer = None
        self.began = time.monotonic()
        self.sent, self.sent_all = 0, None
        self.pings, self.pongs, self.slowest_pong, self.close_code = {}, 0, 0.0, None

    def run(self):
        try:
            received = self.shake_hands()
            self.serve(received)
        except OSError:
            pass
        finally:
            with self.changed:
                self.is_open = False
                self.changed.notify_all()
            self.sock.close()
            if getattr(self, "tag", None):
                print(json.dumps(self.statistics()), flush=True)

    def statistics(self):
        """What the node saw of this client; times in seconds, None for what never came."""
        return {
            "tag": self.tag, "sent": self.sent, "sent_all_s": self.sent_all, "pings": len(self.pings), "pongs": self.pongs,
            "slowest_pong_s": round(self.slowest_pong, 4) if self.pongs else None, "close_code": self.close_code,
        }

    def shake_hands(self):
        head = b""
        while b"\r\n\r\n" not in head:
            if not (part := self.sock.recv(4096)):
                raise ConnectionError
            head += part
        head, rest = head.split(b"\r\n\r\n", 1)
        key = re.search(rb"(?im)^sec-websocket-key:[ \t]*(\S+)", head)[1]
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        self.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        url = urlsplit(head.split(b" ", 2)[1].decode())
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.mode = url.path.strip("/") or "request"
        self.kind = "heads" if self.mode == "idle" else query.get("kind", "logs")
        self.shape = query.get("shape", "geth")
        self.count = int(query.get("count", 100_000))
        self.wanted = int(query.get("subs", 1))
        self.active = int(query.get("active", self.wanted))
        self.rate = int(query.get("rate", 1000))
        self.interval = float(query.get("interval", 12))
        self.delay = float(query.get("delay", 0)) / 1000
        self.closes = query.get("close") == "1"
        self.tag = query.get("tag")
        if "ping" in query:
            threading.Thread(target=self.stream, args=(lambda: self.send_pings(float(query["ping"])),), daemon=True).start()
        return rest

    def send_pings(self, interval):
        with self.changed:
            while not self.changed.wait_for(lambda: not self.is_open, interval):
                name = b"%d" % len(self.pings)
                self.changed.release()
                try:
                    with self.writing:
                        # From here on it is on its way; before, it waited behind this side's own writes.
                        self.pings[name] = time.monotonic()
                        self.sock.sendall(frame(name, PING))
                finally:
                    self.changed.acquire()

    def received_pong(self, name):
        if sent := self.pings.get(name):
            self.pongs += 1
            self.slowest_pong = max(self.slowest_pong, time.monotonic() - sent)

    def send(self, data):
        with self.writing:
            self.sock.sendall(data)

    # Requests.

    def serve(self, received):
        buffer = bytearray(received)
        while True:
            answers, used, closing = [], 0, False
            while (found := self.next_frame(buffer, used)) is not None:
                opcode, payload, used = found
                if opcode == PING:
                    answers.append(frame(payload, PONG))
                elif opcode == CLOSE:
                    self.close_code = int.from_bytes(payload[:2], "big") or None
                    answers.append(frame(payload, CLOSE))
                    closing = True
                elif opcode == PONG:
                    self.received_pong(payload)
                else:
                    answers.append(frame(self.answer(payload)))
            del buffer[:used]
            if answers:
                if self.delay and not closing:
                    time.sleep(self.delay)
                self.send(b"".join(answers))
                self.start_streaming()
            if closing or not (part := self.sock.recv(1 << 18)):
                return
            buffer += part

    @staticmethod
    def next_frame(buffer, start):
        """(opcode, payload, end) of the masked frame at `start`, or None where it is not complete."""
        if len(buffer) < start + 6:
            return None
        size, at = buffer[start + 1] & 127, start + 2
        if size == 126:
            size, at = int.from_bytes(buffer[at:at + 2], "big"), at + 2
        elif size == 127:
            size, at = int.from_bytes(buffer[at:at + 8], "big"), at + 8
        end = at + 4 + size
        if len(buffer) < end:
            return None
        mask = bytes(buffer[at:at + 4]) * (size // 4 + 1)
        plain = int.from_bytes(buffer[at + 4:end], "little") ^ int.from_bytes(mask[:size], "little")
        return buffer[start] & 15, plain.to_bytes(size, "little"), end

    def answer(self, payload):
        if plain := PLAIN_READ.match(payload):
            return b'{"jsonrpc":"2.0","id":%s,"result":%s}' % (plain[1], READS[plain[2].decode()])
        request = json.loads(payload)
        if isinstance(request, list):
            return b"[" + b",".join(map(self.answer_one, request)) + b"]"
        return self.answer_one(request)

    def answer_one(self, request):
        method, result = request.get("method"), None
        if method == "eth_subscribe":
            with self.changed:
                result = "0x%032x" % random.getrandbits(128)
                self.subscriptions.append(result.encode())
                self.generation += 1
            result = compact(result)
        elif method == "eth_unsubscribe":
            with self.changed:
                known = (request.get("params") or [""])[0].encode()
                result = b"true" if known in self.subscriptions else b"false"
                if known in self.subscriptions:
                    self.subscriptions.remove(known)
                    self.generation += 1
                    self.changed.notify_all()
        elif method in READS:
            result = READS[method]
        if result is None:
            error = {"code": -32601, "message": f"the method {method} does not exist/is not available"}
            return compact({"jsonrpc": "2.0", "id": request.get("id"), "error": error})
        return b'{"jsonrpc":"2.0","id":%s,"result":%s}' % (compact(request.get("id")), result)

    # Notifications.

    def start_streaming(self):
        stream = {"burst": self.stream_burst, "rate": self.stream_rate, "idle": self.stream_idle}.get(self.mode)
        if stream and self.streamer is None and len(self.subscriptions) >= self.wanted:
            self.streamer = threading.Thread(target=self.stream, args=(stream,), daemon=True)
            self.streamer.start()

    def stream(self, body):
        try:
            body()
        except OSError:
            pass

    def frames(self, least):
        """At least so many frames for the subscriptions in turn, and the generation they are for."""
        with self.changed:
            subscriptions, generation = self.subscriptions[-self.active:], self.generation
        text = b'{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"%s","result":%s}}'
        if self.shape == "spaced":
            text = text.replace(b":", b": ").replace(b",", b", ")
        if not subscriptions:
            return [], generation
        rounds = -(-least // len(subscriptions))
        written = SAMPLE.written(self.kind, self.shape)
        frames = [
            frame(text % (subscriptions[i % len(subscriptions)], written[i % SAMPLES]))
            for i in range(rounds * len(subscriptions))
        ]
        return frames, generation

    def is_current(self, generation):
        return self.is_open and self.generation == generation

    def stream_burst(self):
        left = self.count
        while left > 0 and self.is_open:
            frames, generation = self.frames(SAMPLES)
            if not frames:
                break
            size = max(1, WRITE_SIZE * len(frames) // sum(map(len, frames)))
            writes = [frames[at:at + size] for at in range(0, len(frames), size)]
            writes = [(b"".join(part), len(part)) for part in writes]
            while left > 0 and self.is_current(generation):
                for data, number in writes:
                    if number > left:
                        data, number = b"".join(frames[:left]), left
                    self.send(data)
                    left -= number
                    self.sent += number
                    if left == 0 or not self.is_current(generation):
                        break
        self.sent_all = round(time.monotonic() - self.began, 1)
        if self.closes:
            self.send(frame(struct.pack("!H", 1000), CLOSE))
            self.sock.shutdown(socket.SHUT_WR)

    def stream_rate(self):
        key = b'"data":' if self.kind == "logs" else b'"extraData":'
        key += b' "0x' if self.shape == "spaced" else b'"0x'
        period = 1_000_000_000 // self.rate
        due, left = time.monotonic_ns() + 5_000_000, self.count
        while left > 0 and self.is_open:
            frames, generation = self.frames(64)
            if not frames:
                break
            frames = [(bytearray(f), f.index(key) + len(key) + 48) for f in frames]
            while left > 0 and self.is_current(generation):
                for data, place in frames:
                    now = time.monotonic_ns()
                    if now < due:
                        time.sleep((due - now) / 1e9)
                        now = time.monotonic_ns()
                    # A client that does not read holds this up: then the time that counts is when it was due.
                    data[place:place + 16] = b"%016x" % (now if now - due < 1_000_000 else due)
                    self.send(data)
                    due += period
                    left -= 1
                    if left == 0 or not self.is_current(generation):
                        break

    def stream_idle(self):
        while self.is_open:
            frames, generation = self.frames(1)
            if not frames:
                break
            self.send(frames[0])
            with self.changed:
                self.changed.wait_for(lambda: not self.is_current(generation), self.interval)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    port = parser.parse_args().port
    # Sleeps of the rate mode to the microsecond (PR_SET_TIMERSLACK), and short turns for the two threads.
    ctypes.CDLL(None).prctl(29, 1000, 0, 0, 0)
    sys.setswitchinterval(0.0005)
    listener = socket.create_server(("127.0.0.1", port), backlog=64)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    try:
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Connection(sock).start()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
