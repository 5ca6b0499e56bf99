#!/usr/bin/env python3
"""Measures Headstream beside the C++ rows of reference.cpp and prints a table in Markdown.

A pass runs every row of a measurement one after the other, so that what disturbs the machine meets all of them; the
table has the medians of the passes, and ratios are medians of the ratios within a pass. CPU time is what to compare:
wall time depends on what else runs. All lines go to .build/bench/results.jsonl.
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent.parent / ".build" / "bench"

LOOP, POOL, VALUES, RAW = "Headstream, consumer on the loop", "Headstream, consumer on the default executor", \
    "C++: simdjson, the same values", "C++: recv, thrown away"
EVERY = (LOOP, POOL, VALUES)
# The logs of a burst of the simulated chain, and of each of its blocks.
CHAIN_LOGS, BLOCK_LOGS = 200_000, 200


class Measurement:
    """One column: a URL of the server, and what is looked at in the clients' lines."""

    def __init__(self, name, mode, query="", rows=EVERY, unit="CPU µs", kind="logs", count=0, subs=1, field=None,
                 consumers=None, tls=False, continuity=None, base=None):
        self.name, self.mode, self.query, self.rows, self.unit = name, mode, query, rows, unit
        self.kind, self.count, self.subs, self.consumers, self.tls = kind, count, subs, consumers or subs, tls
        # How logs of a simulated chain are followed, and the column that is compared with.
        self.continuity, self.base = continuity, base
        self.field = field or (lambda line: line["cpu_us_per_msg"])

    def url(self, port, row):
        if self.continuity:
            return f"ws://127.0.0.1:{port}"
        query = f"kind={self.kind}&count={self.count}&subs={self.subs}&active={self.consumers}{self.query}"
        scheme = "wss" if self.tls else "ws"
        return f"{scheme}://127.0.0.1:{port}/{self.path}?{query}" + ("&close=1" if row == RAW else "")

    @property
    def path(self):
        return "request" if self.mode in ("wait", "connections") else self.mode


def measurements(scale):
    n = lambda count: max(1000, int(count * scale))
    percentile = lambda name: lambda line: line["lat_us"][name]
    burst = [
        Measurement("logs", "burst", rows=(*EVERY, RAW), count=n(1_000_000)),
        Measurement("heads", "burst", rows=(*EVERY, RAW), kind="heads", count=n(500_000)),
        Measurement("logs on 100 subscriptions", "burst", count=n(500_000), subs=100),
    ]
    burst += [
        Measurement(f"{kind} as {shape}", "burst", f"&shape={shape}", kind=kind, count=n(500_000))
        for kind in ("logs", "heads") for shape in ("anvil", "hardhat", "spaced", "mixed")
    ]
    rates = [
        Measurement(f"{rate:,} logs/s, {name}", "rate", f"&rate={rate}", count=rate * 5, unit="µs", field=percentile(name))
        for rate in (1000, 10_000) for name in ("p50", "p99")
    ]
    return {
        "burst": burst,
        "many": [
            Measurement("logs on one of 100,000 subscriptions", "burst", rows=(LOOP, POOL), count=n(500_000), subs=100_000,
                        consumers=1),
            Measurement("logs on 1,000 of 100,000 subscriptions", "burst", rows=(LOOP, POOL), count=n(500_000), subs=100_000,
                        consumers=1000),
            Measurement("memory of an idle subscription", "burst", rows=(LOOP, POOL), unit="bytes", count=n(500_000),
                        subs=100_000, consumers=1000, field=lambda l: l["bytes_per_subscription"]),
        ],
        "tls": [
            Measurement("logs over TLS", "burst", rows=EVERY, count=n(500_000), tls=True),
            Measurement("heads over TLS", "burst", rows=EVERY, kind="heads", count=n(250_000), tls=True),
        ],
        "connections": [
            Measurement(f"memory of an idle connection{', TLS' if tls else ''}", "connections", count=400, rows=(LOOP,),
                        unit="bytes", field=lambda l: l["bytes_per_connection"], tls=tls) for tls in (False, True)
        ],
        "continuity": [
            Measurement("logs of a chain, live", "burst", rows=(LOOP, POOL), count=n(CHAIN_LOGS), continuity="live"),
            Measurement("logs of a chain, gapless", "burst", rows=(LOOP, POOL), count=n(CHAIN_LOGS), continuity="gapless",
                        base="logs of a chain, live"),
        ],
        "request": [Measurement("a request, 100 in flight", "request", count=n(100_000))],
        "latency": rates,
        "idle": [
            Measurement("idle for 20 s", "idle", count=20, rows=(LOOP, POOL), unit="CPU %", field=lambda l: l["cpu_pct"]),
            Measurement("a request waits 3 s", "wait", "&delay=3000", count=1, rows=(LOOP, POOL), unit="CPU %",
                        field=lambda l: l["cpu_pct"]),
        ],
    }


def build_reference():
    source, program = HERE / "reference.cpp", BUILD / "reference"
    BUILD.mkdir(parents=True, exist_ok=True)
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(
            ["g++", "-O3", "-march=native", "-std=c++17", source, "-lsimdjson", "-lssl", "-lcrypto", "-o",
             program], check=True
        )
    return program


class Tunnel:
    """stunnel in front of the server, with a certificate of this run's own."""

    def __init__(self, port):
        folder = BUILD / "tls"
        folder.mkdir(exist_ok=True)
        self.authority = folder / "certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem",
             "-out", self.authority], check=True, stderr=subprocess.DEVNULL,
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        settings = f"foreground = yes\nsyslog = no\npid =\ndebug = 3\n[node]\naccept = 127.0.0.1:{self.port}\n" \
            f"connect = 127.0.0.1:{port}\ncert = {self.authority}\nkey = {folder / 'key.pem'}\n"
        (folder / "stunnel.conf").write_text(settings)
        self.process = subprocess.Popen(["stunnel", folder / "stunnel.conf"], stderr=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit("stunnel does not come up")

    def close(self):
        self.process.terminate()
        self.process.wait()


class Bench:
    def __init__(self, client, reference, port, tunnel, chain, log):
        self.client, self.reference, self.port, self.tunnel, self.log = client, reference, port, tunnel, log
        self.chain = chain
        self.lines = {}

    def command(self, row):
        return {
            LOOP: [self.client, "--executor", "loop"],
            POOL: [self.client, "--executor", "default"],
            VALUES: [self.reference, "--what", "values"],
            RAW: [self.reference, "--what", "raw"],
        }[row]

    def port_of(self, measurement):
        return self.chain if measurement.continuity else self.tunnel.port if measurement.tls else self.port

    def run(self, measurement, row):
        # Two columns may look at one run: that of a percentile, that of another.
        key = (measurement.mode, measurement.url(0, row), measurement.continuity, row)
        if key not in self.lines:
            command = self.command(row) + [
                "--url", measurement.url(self.port_of(measurement), row), "--mode", measurement.mode, "--kind", measurement.kind,
                "--count", str(measurement.count), "--subs", str(measurement.subs),
            ]
            if measurement.consumers != measurement.subs:
                command += ["--consumers", str(measurement.consumers)]
            if measurement.continuity:
                command += ["--continuity", measurement.continuity]
            try:
                environment = os.environ | ({"SSL_CERT_FILE": str(self.tunnel.authority)} if measurement.tls else {})
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=180, env=environment)
                line = json.loads(done.stdout.splitlines()[-1])
            except (subprocess.TimeoutExpired, IndexError, ValueError):
                line = {"error": "no result"}
            line |= {"row": row, "column": measurement.name}
            self.log.write(json.dumps(line) + "\n")
            self.log.flush()
            self.lines[key] = line
        return self.lines[key]


def value_of(measurement, line):
    expected = measurement.count if measurement.mode in ("burst", "rate", "request") else 0
    if line.get("error") or line.get("hang") or line["received"] < expected:
        return None
    return measurement.field(line)


def show(value):
    return "–" if value is None else f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def table(columns, passes):
    """Rows are measurements: there are more of them than of clients."""
    rows = [row for row in (LOOP, POOL, VALUES, RAW) if any(row in column.rows for column in columns)]
    yield "| | unit | " + " | ".join(rows) + " | ratio, loop | ratio, default |"
    yield "| --- | --- |" + " ---: |" * (len(rows) + 2)
    for column in columns:
        cells = [show(median([one.get((column.name, row)) for one in passes])) for row in rows]
        for row in (LOOP, POOL):
            base = (column.base, row) if column.base else (column.name, VALUES)
            ratios = [
                one[column.name, row] / one[base]
                for one in passes
                if one.get((column.name, row)) is not None and one.get(base)
            ]
            cells.append(f"{statistics.median(ratios):.2f}" if ratios else "–")
        yield f"| {column.name} | {column.unit} | " + " | ".join(cells) + " |"


def machine():
    model = next(
        (line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release().split('-')[0]}"


def main():
    groups = list(measurements(1))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--client", required=True, help="the release build of HeadstreamBench")
    parser.add_argument("--conformance", help="the release build of HeadstreamConformance; without it no continuity")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--only", default=",".join(groups), help=f"groups: {', '.join(groups)}")
    parser.add_argument("--scale", type=float, default=1, help="factor for the number of messages")
    options = parser.parse_args()
    chosen = measurements(options.scale)
    for name in options.only.split(","):
        if name not in chosen:
            parser.error(f"{name} is none of {', '.join(groups)}")
    if not options.conformance:
        chosen["continuity"] = []
    columns = [column for name in options.only.split(",") for column in chosen[name]]

    reference = build_reference()
    server = subprocess.Popen([sys.executable, HERE / "server.py"], stdout=subprocess.PIPE, text=True)
    tunnel = chain = None
    try:
        chain_port = None
        if any(column.continuity for column in columns):
            blocks = chosen["continuity"][0].count // BLOCK_LOGS + 3
            chain = subprocess.Popen([options.conformance, "chain-node", str(blocks), str(BLOCK_LOGS)],
                                     stdout=subprocess.PIPE, text=True)
            chain_port = int(chain.stdout.readline().rsplit(":", 1)[1].strip(" /\n"))
        port = json.loads(server.stdout.readline())["port"]
        tunnel = Tunnel(port) if any(column.tls for column in columns) else None
        passes = []
        with open(BUILD / "results.jsonl", "w") as log:
            for number in range(options.passes):
                bench, values = Bench(options.client, reference, port, tunnel, chain_port, log), {}
                for column in columns:
                    print(f"\rpass {number + 1} of {options.passes}: {column.name:40}", end="", file=sys.stderr, flush=True)
                    for row in column.rows:
                        values[column.name, row] = value_of(column, bench.run(column, row))
                passes.append(values)
        print(file=sys.stderr)
    finally:
        if tunnel:
            tunnel.close()
        if chain:
            chain.terminate()
            chain.wait()
        server.terminate()
        server.wait()
    print(f"{machine()}; medians of {options.passes} passes\n")
    print("\n".join(table(columns, passes)))


if __name__ == "__main__":
    main()
