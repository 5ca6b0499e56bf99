#!/usr/bin/env python3
"""Five problems that other clients have or had, each beside Headstream in one run; prints tables in Markdown.

A subscription or a request that waits (CPU), lag at 1,000 and 10,000 messages a second, a slow consumer, and a consumer
that makes requests of its own. The other clients come from pip, into environments below .build/bench; one that cannot be
installed is left out with a word. The slow consumers take five minutes: they run at once, since they sleep nearly all
the time.
"""

import argparse
import json
import subprocess
import sys
import threading
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent.parent / ".build" / "bench"
LOGS = 50_000

# name of the row: (the client in peers.py, what pip installs)
PEERS = {
    "websockets": ("websockets", ["websockets"]),
    "websocket-client": ("websocket-client", ["websocket-client"]),
    "websocket-client with rel 0.4.9.17": ("websocket-client-rel", ["websocket-client", "rel==0.4.9.17"]),
    "web3.py 6.15.1": ("web3", ["web3==6.15.1", "websockets==12.0", "setuptools<80"]),
    "web3.py, newest": ("web3", ["web3"]),
    "curl_cffi 0.7.3": ("curl_cffi", ["curl_cffi==0.7.3"]),
}
LOOP, POOL = "Headstream, consumer on the loop", "Headstream, consumer on the default executor"


def environment(row):
    """The Python of a peer's environment; made when it is first wanted. None where that fails."""
    folder = BUILD / "environments" / row.replace(" ", "-").replace(",", "")
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        print(f"installing {row}", file=sys.stderr)
        try:
            venv.create(folder, with_pip=True, clear=True)
            subprocess.run([python, "-m", "pip", "install", "-q", *PEERS[row][1]], check=True, timeout=600)
            (folder / "installed").touch()
        except (OSError, subprocess.SubprocessError) as error:
            print(f"{row} is left out: {error}", file=sys.stderr)
            return None
    return python


class Server:
    """server.py, and what it tells about connections that have ended."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, HERE / "server.py"], stdout=subprocess.PIPE, text=True)
        self.port = json.loads(self.process.stdout.readline())["port"]
        self.told, self.changed = {}, threading.Condition()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            line = json.loads(line)
            with self.changed:
                self.told[line["tag"]] = line
                self.changed.notify_all()

    def statistics(self, tag):
        with self.changed:
            self.changed.wait_for(lambda: tag in self.told, 60)
            return self.told.get(tag, {})

    def close(self):
        self.process.terminate()
        self.process.wait()


class Problems:
    def __init__(self, client, server):
        self.client, self.server, self.tags = client, server, 0

    def run(self, row, path, mode, count, limit):
        """One client's line and the server's line about it."""
        self.tags += 1
        tag = str(self.tags)
        if row in (LOOP, POOL):
            command = [self.client, "--executor", "loop" if row == LOOP else "default"]
        elif python := environment(row):
            command = [python, HERE / "peers.py", PEERS[row][0]]
        else:
            return None
        url = f"ws://127.0.0.1:{self.server.port}/{path}&tag={tag}"
        command += ["--url", url, "--mode", mode, "--count", str(count), "--kind", "logs", "--limit", str(limit)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=limit + 60)
        try:
            return json.loads(done.stdout.splitlines()[-1]) | {"node": self.server.statistics(tag)}
        except (IndexError, ValueError):
            return {"error": "no result", "received": 0, "node": {}}

    def side_by_side(self, rows, *what):
        """The same of several clients at once."""
        for row in rows:
            if row in PEERS:
                environment(row)
        lines = {}
        threads = [threading.Thread(target=lambda row=row: lines.__setitem__(row, self.run(row, *what))) for row in rows]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return lines

    # The problems.

    def waiting(self):
        yield "### A subscription that waits, a request that waits\n"
        yield "CPU in percent of one core: newHeads open for 20 s with one head; one request that is answered after 3 s.\n"
        yield "| client | subscription, CPU % | request, CPU % |\n| --- | ---: | ---: |"
        for row in (LOOP, POOL, "websocket-client", "web3.py 6.15.1", "web3.py, newest", "curl_cffi 0.7.3"):
            idle = self.run(row, "idle?interval=60", "idle", 20, 60)
            wait = self.run(row, "request?delay=3000", "wait", 1, 60)
            if idle and wait:
                yield f"| {row} | {idle.get('cpu_pct', '–')} | {wait.get('cpu_pct', '–')} |"

    def lagging(self):
        yield "\n### Lag\n"
        yield "From the server's send to the consumer, five seconds of logs at a fixed rate; the median and the slowest.\n"
        yield "| client | 1,000/s, ms | 10,000/s, ms |\n| --- | ---: | ---: |"
        for row in (LOOP, POOL, "websockets", "websocket-client with rel 0.4.9.17", "web3.py, newest"):
            cells = []
            for rate in (1000, 10_000):
                line = self.run(row, f"rate?kind=logs&count={rate * 5}&rate={rate}", "rate", rate * 5, 30)
                if not line:
                    break
                latency = line.get("lat_us")
                text = f"{latency['p50'] / 1000:,.1f}, {latency['max'] / 1000:,.0f}" if latency else "–"
                missing = rate * 5 - line["received"]
                cells.append(text + (f"; {missing:,} not read after 30 s" if missing > 0 else ""))
            else:
                yield f"| {row} | {cells[0]} | {cells[1]} |"

    def slow(self):
        rows = (LOOP, POOL, "websockets", "websocket-client", "web3.py, newest")
        lines = self.side_by_side(rows, f"burst?kind=logs&count={LOGS}&ping=5", "slow", LOGS, 290)
        closes = self.side_by_side(rows, f"burst?kind=logs&count={LOGS}&ping=5", "slowclose", 100, 60)
        yield "\n### A slow consumer\n"
        yield f"5 ms over each log while {LOGS:,} burst in and the node pings every 5 s; Headstream with `.dropOldest`. "
        yield "`close()` is called in the middle of another such flood.\n"
        yield "| client | read | told as lost | lost in silence | pongs of pings | slowest pong, ms | other requests, p99 ms "
        yield "| peak memory, MB | the connection | close(), s |\n|" + " --- |" + " ---: |" * 7 + " --- | ---: |"
        for row in rows:
            if not (line := lines[row]):
                continue
            node, told = line["node"], line.get("lagged", 0)
            pong = node.get("slowest_pong_s")
            answer = line.get("request_us", {}).get("p99")
            state = line.get("error") or ("still reading after 290 s" if line.get("hang") else "stayed")
            silent = LOGS - line["received"] - told if line.get("error") else 0
            yield (
                f"| {row} | {line['received']:,} | {told:,} | {silent:,} | {node.get('pongs')} of {node.get('pings')} | "
                f"{'never' if pong is None else f'{pong * 1000:,.1f}'} | {'–' if answer is None else answer / 1000} | "
                f"{line.get('rss_mb', '–')} | {state} | {(closes[row] or {}).get('close_s', 'never')} |"
            )

    def nested(self):
        yield "\n### A consumer that makes requests of its own\n"
        yield "A request for each tenth of 5,000 logs that burst in.\n"
        yield "| client | read | s | outcome |\n| --- | ---: | ---: | --- |"
        for row in (LOOP, POOL, "web3.py 6.15.1", "web3.py, newest"):
            if line := self.run(row, "burst?kind=logs&count=5000", "nested", 5000, 60):
                state = line.get("error") or ("hangs" if line.get("hang") else "all read")
                yield f"| {row} | {line['received']:,} | {line.get('wall_s', 0):.1f} | {state} |"


def main():
    names = ("waiting", "lagging", "slow", "nested")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--client", required=True, help="the release build of HeadstreamBench")
    parser.add_argument("--only", default=",".join(names), help=f"some of {', '.join(names)}")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen) - set(names):
        parser.error(f"{', '.join(sorted(unknown))}: none of {', '.join(names)}")
    BUILD.mkdir(parents=True, exist_ok=True)
    server = Server()
    try:
        problems = Problems(options.client, server)
        for name in chosen:
            text = ""
            for part in getattr(problems, name)():
                text += part if part.endswith(" ") else part + "\n"
            print(text, flush=True)
    finally:
        server.close()


if __name__ == "__main__":
    main()
