#!/usr/bin/env python3
"""Other clients, with their defaults, under the command line of HeadstreamBench: what problems.py measures beside it.

  peers.py NAME --url URL --mode MODE --count N --kind heads|logs --limit SECONDS

NAME is websockets, websocket-client, websocket-client-rel, web3 or curl_cffi; each runs in an environment of its own.
Modes: idle (hold newHeads open for N seconds), wait (one request), rate (N notifications, their latencies), slow (5 ms
over each of N notifications), slowclose (the same, closing after N), nested (a request for each tenth notification).
Prints one JSON line.
"""

import argparse
import asyncio
import json
import os
import resource
import threading
import time
from importlib.metadata import version

PAUSE = 0.005


class Run:
    def __init__(self):
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("name")
        parser.add_argument("--url", required=True)
        parser.add_argument("--mode", default="slow")
        parser.add_argument("--count", type=int, default=1000)
        parser.add_argument("--kind", default="logs")
        parser.add_argument("--limit", type=float, default=60)
        self.options = options = parser.parse_args()
        self.url, self.mode, self.count = options.url, options.mode, options.count
        self.topic = "newHeads" if self.mode == "idle" or options.kind == "heads" else "logs"
        self.is_slow = self.mode in ("slow", "slowclose")
        self.received, self.latencies, self.extra = 0, [], {}
        self.is_printed = threading.Lock()
        self.wall = None

    # JSON-RPC of the clients that have none.

    @property
    def first_message(self):
        if self.mode == "wait":
            return '{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}'
        params = '["newHeads"]' if self.topic == "newHeads" else '["logs",{}]'
        return '{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":%s}' % params

    def take_text(self, text):
        """Whether that was the last message."""
        message = json.loads(text)
        if self.mode == "wait":
            self.received = 1
            return True
        return "method" in message and self.take(message["params"]["result"])

    def take(self, result):
        self.received += 1
        if self.mode == "rate":
            value = result["extraData" if self.topic == "newHeads" else "data"]
            sent = int(value[-16:], 16) if isinstance(value, str) else int.from_bytes(value[-8:], "big")
            self.latencies.append(time.monotonic_ns() - sent)
        return self.mode != "idle" and self.received >= self.count

    # Measuring.

    def begin(self):
        self.began, self.cpu_began = time.monotonic(), self.cpu()
        limit = self.count if self.mode == "idle" else self.options.limit
        threading.Thread(target=self.give_up, args=(limit,), daemon=True).start()

    def give_up(self, seconds):
        time.sleep(seconds)
        self.finish(**({} if self.mode == "idle" else {"hang": True}))
        os._exit(0)

    @staticmethod
    def cpu():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    def measure(self):
        if self.wall is None:
            self.wall, self.used = time.monotonic() - self.began, self.cpu() - self.cpu_began

    def failed(self, error):
        self.extra.setdefault("error", (str(error) or repr(error))[:160])

    def closing(self):
        self.measure()
        self.close_began = time.monotonic()

    def closed(self):
        self.extra["close_s"] = round(time.monotonic() - self.close_began, 3)

    def finish(self, **extra):
        if not self.is_printed.acquire(blocking=False):
            return
        self.measure()
        line = {
            "client": self.options.name, "mode": self.mode, "count": self.count, "received": self.received,
            "wall_s": round(self.wall, 3), "cpu_s": round(self.used, 3),
            "cpu_pct": round(100 * self.used / self.wall, 2) if self.wall else 0,
            "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        } | self.extra | extra
        if self.latencies:
            ordered = sorted(self.latencies)
            share = lambda part: round(ordered[min(len(ordered) - 1, int(part * len(ordered)))] / 1000)
            line["lat_us"] = {"p50": share(0.5), "p99": share(0.99), "max": share(1)}
        print(json.dumps(line), flush=True)


async def use_websockets(run):
    import websockets
    from websockets.asyncio.client import connect

    run.extra["version"] = version("websockets")
    connection = await connect(run.url)
    run.begin()
    try:
        await connection.send(run.first_message)
        async for text in connection:
            if run.take_text(text):
                break
            if run.is_slow and run.received:
                await asyncio.sleep(PAUSE)
    except websockets.ConnectionClosed as error:
        run.failed(error)
    run.closing()
    await connection.close()
    run.closed()


def use_websocket_client(run, dispatcher=None):
    import websocket

    run.extra["version"] = version("websocket-client") + (f" with rel {version('rel')}" if dispatcher else "")
    is_over = threading.Event()

    def opened(app):
        run.begin()
        app.send(run.first_message)

    def received(app, text):
        if is_over.is_set():
            return
        if run.take_text(text):
            is_over.set()
            run.closing()
            app.close()
            run.closed()
            run.finish()
            os._exit(0)
        if run.is_slow and run.received:
            time.sleep(PAUSE)

    app = websocket.WebSocketApp(
        run.url, on_open=opened, on_message=received, on_error=lambda app, error: run.failed(error)
    )
    if dispatcher:
        app.run_forever(dispatcher=dispatcher, reconnect=0)
        dispatcher.dispatch()
    else:
        app.run_forever()


async def use_web3(run):
    import web3

    run.extra["version"] = version("web3")
    provider_type = getattr(web3, "WebSocketProvider", None) or web3.providers.WebsocketProviderV2
    provider = provider_type(run.url)
    client = getattr(web3.AsyncWeb3, "persistent_websocket", web3.AsyncWeb3)(provider)
    await provider.connect()
    run.begin()
    try:
        if run.mode == "wait":
            await client.eth.block_number
            run.received = 1
        else:
            await (client.eth.subscribe("newHeads") if run.topic == "newHeads" else client.eth.subscribe("logs", {}))
            socket = client.socket if hasattr(client, "socket") else client.ws
            async for message in socket.process_subscriptions():
                if run.take(message["result"]):
                    break
                if run.is_slow:
                    await asyncio.sleep(PAUSE)
                elif run.mode == "nested" and run.received % 10 == 0:
                    await client.eth.block_number
    except BaseException as error:  # version 6 cancels every task when its listener fails
        run.failed(error)
    run.closing()
    try:
        await provider.disconnect()
    except BaseException as error:
        run.failed(error)
    run.closed()


def use_curl_cffi(run):
    from curl_cffi import requests

    run.extra["version"] = version("curl_cffi")

    def opened(connection, *_):
        run.begin()
        connection.send(run.first_message.encode(), requests.websockets.CurlWsFlag.TEXT)

    def received(connection, text, *_):
        if run.take_text(text):
            run.finish()
            os._exit(0)

    requests.Session().ws_connect(run.url, on_open=opened, on_message=received).run_forever()


def main():
    run = Run()
    name = run.options.name
    if name == "websockets":
        asyncio.run(use_websockets(run))
    elif name == "websocket-client":
        use_websocket_client(run)
    elif name == "websocket-client-rel":
        import rel

        use_websocket_client(run, rel)
    elif name == "web3":
        asyncio.run(use_web3(run))
    else:
        use_curl_cffi(run)
    run.finish()
    os._exit(0)


if __name__ == "__main__":
    main()
