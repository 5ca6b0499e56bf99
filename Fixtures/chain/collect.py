#!/usr/bin/env python3
"""Gathers headers, logs, receipts, transactions and blocks from a directory of recorded chain data.

    python3 collect.py <vectors>

Writes one JSON line a value, {"source": file, "value": …}, to headers.jsonl and so on beside this script. Every header is
kept, without its block's transactions; of the rest a few of each file, and of each set of keys. SOURCES.md tells where
the data comes from.
"""
import json
import os
import sys

ROOT = sys.argv[1]
HERE = os.path.dirname(os.path.abspath(__file__))
# mainnet-flume and mainnet-run are left out for their repository's licence; the heads of that run come from `derived`.
DIRECTORIES = ["chain", "subscriptions", "rpc-recorded", "execution-apis/tests", "derived"]
LEFT_OUT = ("chain/mainnet-flume", "chain/mainnet-run", "derived/decoded-logs")
LIMITS = {"logs": 3, "receipts": 2, "transactions": 2, "blocks": 1}

seen = set()
counts = {}
shapes = {}
out = {}


def kind_of(value):
    if "parentHash" in value and "stateRoot" in value and "extrinsicsRoot" not in value and "blockHash" not in value:
        return "headers"
    if "topics" in value and "data" in value and "address" in value and ("logIndex" in value or "blockHash" in value):
        return "logs"
    if "cumulativeGasUsed" in value:
        return "receipts"
    if "input" in value and "from" in value and "nonce" in value and "hash" in value:
        return "transactions"
    return None


def keep(kind, value, source):
    line = json.dumps(value, separators=(",", ":"), sort_keys=False)
    if (kind, line) in seen:
        return
    shape = (kind, tuple(value), value.get("type"))
    per_file = counts.get((kind, source), 0)
    if kind == "headers" and "simulate" in source:
        if shapes.get(shape, 0) >= 20:
            return
    elif kind != "headers":
        limit = LIMITS[kind]
        if per_file >= limit and shapes.get(shape, 0) >= 2 or shapes.get(shape, 0) >= 40 or len(line) > 30000:
            return
    seen.add((kind, line))
    shapes[shape] = shapes.get(shape, 0) + 1
    counts[kind, source] = per_file + 1
    out.setdefault(kind, []).append(json.dumps({"source": source, "value": value}, separators=(",", ":")))


def walk(value, source):
    if isinstance(value, dict):
        kind = kind_of(value)
        if kind == "headers":
            stripped = {k: v for k, v in value.items() if k not in ("transactions", "uncles", "withdrawals", "calls")}
            keep("headers", stripped, source)
            if "transactions" in value:
                block = dict(value)
                block.pop("calls", None)
                block["transactions"] = value["transactions"][:4]
                if value.get("withdrawals"):
                    block["withdrawals"] = value["withdrawals"][:3]
                keep("blocks", block, source)
        elif kind == "receipts":
            receipt = dict(value)
            receipt["logs"] = value["logs"][:3]
            keep("receipts", receipt, source)
        elif kind:
            keep(kind, value, source)
        for child in value.values():
            walk(child, source)
    elif isinstance(value, list):
        for child in value:
            walk(child, source)


for directory in DIRECTORIES:
    for folder, _, names in sorted(os.walk(os.path.join(ROOT, directory))):
        for name in sorted(names):
            path = os.path.join(folder, name)
            source = os.path.relpath(path, ROOT)
            if source.startswith(LEFT_OUT) or not name.endswith((".json", ".io", ".txt")):
                continue
            text = open(path, encoding="utf-8").read()
            try:
                walk(json.loads(text), source)
            except ValueError:
                for line in text.splitlines():
                    try:
                        walk(json.loads(line.strip().lstrip("<>- ")), source)
                    except ValueError:
                        pass

for kind, lines in out.items():
    with open(os.path.join(HERE, kind + ".jsonl"), "w") as file:
        file.write("\n".join(lines) + "\n")
    print(kind, len(lines))
