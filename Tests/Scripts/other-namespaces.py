#!/usr/bin/env python3
"""Makes the transcripts in Fixtures/other-namespaces from the messages beside them.

A single recorded message becomes part of a conversation: the subscribe request and its answer are written around it, and
its subscription id is the one of that answer. Results are left as they are. Run from the repository's root.
"""
import json
import pathlib

ROOT = pathlib.Path("Fixtures/other-namespaces")


def load(name):
    return json.loads((ROOT / name).read_text())


class Conversation:
    def __init__(self, remark):
        self.lines = ["// " + remark, "// @0.000 open"]
        self.next_id = 1

    def say(self, direction, message):
        self.lines.append(direction + " " + json.dumps(message, separators=(",", ":")))

    def ask(self, method, params, result):
        self.say(">>", {"jsonrpc": "2.0", "id": self.next_id, "method": method, "params": params})
        self.say("<<", {"jsonrpc": "2.0", "id": self.next_id, "result": result})
        self.next_id += 1

    def tell(self, message, subscription=None):
        for name in ("subscription", "subscription_id"):
            if subscription is not None and name in message["params"]:
                message["params"][name] = subscription
        self.say("<<", message)

    def notify(self, method, subscription, result, name="subscription"):
        self.say("<<", {"jsonrpc": "2.0", "method": method, "params": {name: subscription, "result": result}})

    def write(self, name):
        (ROOT / name).write_text("\n".join(self.lines) + "\n")


substrate = Conversation("Substrate: recorded notifications, requests written around them by other-namespaces.py")
heads = "wSKybsRsQYlGu3fH"
substrate.ask("chain_subscribeNewHead", [], heads)
substrate.tell(load("substrate/vara-chain_newHead-1.json"), heads)
substrate.tell(load("substrate/vara-chain_newHead-2.json"), heads)
finalized = 5812358905834954
substrate.ask("chain_subscribeFinalizedHeads", [], finalized)
for number in ("002", "003"):
    header = load(f"substrate/polkadot-js-Header.{number}.json")["result"]
    substrate.notify("chain_finalizedHead", finalized, header)
substrate.ask("author_submitAndWatchExtrinsic", ["0x280403000b1fe3b4a48701"], 9)
substrate.notify("author_extrinsicUpdate", 9, "ready")
substrate.notify("author_extrinsicUpdate", 9, {"broadcast": ["12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"]})
substrate.tell(load("substrate/polkadot-js-ExtrinsicStatus.001.json"), 9)
messages = [json.loads(line) for line in (ROOT / "substrate/jsonrpsee-messages.txt").read_text().splitlines()]
hello = messages[0]["params"]["subscription"]
substrate.ask("subscribe_hello", [], hello)
substrate.tell(messages[0])
# One more id, so that an end does not meet the heads' subscription.
substrate.ask("my_subscribe", [], 5812358905834955)
substrate.tell(messages[3], 5812358905834955)
substrate.tell(messages[1], 5812358905834955)
substrate.write("substrate.io")

solana = Conversation("Solana: recorded notifications, requests written around them by other-namespaces.py")
solana.ask("logsSubscribe", ["all"], 24040)
solana.ask("logsSubscribe", ["all"], 24040)
solana.tell(load("solana/solana-swift-logsNotification.json"))
solana.tell(load("solana/solders-03-logsNotification.json"))
solana.ask("slotSubscribe", [], 0)
solana.tell(load("solana/solders-06-slotNotification.json"))
solana.ask("rootSubscribe", [], 1)
solana.tell(load("solana/solders-11-rootNotification.json"), 1)
account = load("solana/solana-swift-accountNotification-Native.json")
solana.ask("accountSubscribe", ["11111111111111111111111111111111"], account["params"]["subscription"])
solana.tell(account)
solana.ask("logsUnsubscribe", [24040], True)
solana.write("solana.io")

# Nobody recorded a reorganisation: the messages have the form of Starknet's specification; the first head is a block of
# the Sepolia network, the others are made up behind it.
starknet = Conversation("Starknet: messages written by other-namespaces.py in the form of the specification")
request = load("starknet/pathfinder-subscribe-request.json")
starknet.ask(request["method"], request["params"], "0")
price = {"price_in_fri": "0x411936095dbe", "price_in_wei": "0x45460c02"}


def starknet_head(number, block_hash, parent_hash, timestamp):
    return {
        "block_hash": block_hash,
        "block_number": number,
        "l1_da_mode": "BLOB",
        "l1_gas_price": price,
        "new_root": "0x4cfd667f0ab6ab2e6041564b0b11288e0eb4b81b53d5301c53ea21667d937be",
        "parent_hash": parent_hash,
        "sequencer_address": "0x1176a1bd84444c89232ec27754698e5d2e7e1a7f1539f12027f28b23ec9f3d8",
        "starknet_version": "0.14.3",
        "timestamp": timestamp,
    }


def starknet_tell(kind, result):
    starknet.notify("starknet_subscription" + kind, "0", result, name="subscription_id")


first = "0x66626f1f0038c608f8d4ee10c39c9d4f0b98a9866b086cb32e8f919ee6b43aa"
parent = "0x668a2e83e0daeb3036a80a3007d44f0b8153d1f21209bb82fabdeaf45238a8b"
starknet_tell("NewHeads", starknet_head(11834642, first, parent, 1784019750))
starknet_tell("NewHeads", starknet_head(11834643, "0x2a", first, 1784019753))
starknet_tell("NewHeads", starknet_head(11834644, "0x2b", "0x2a", 1784019756))
starknet_tell(
    "Reorg",
    {
        "starting_block_hash": "0x2a",
        "starting_block_number": 11834643,
        "ending_block_hash": "0x2b",
        "ending_block_number": 11834644,
    },
)
starknet_tell("NewHeads", starknet_head(11834643, "0x3a", first, 1784019759))
starknet.ask("starknet_unsubscribe", {"subscription_id": "0"}, True)
starknet.write("starknet.io")
