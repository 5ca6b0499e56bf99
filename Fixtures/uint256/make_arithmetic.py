#!/usr/bin/env python3
"""Writes arithmetic.txt: cases of 256-bit arithmetic worked out with Python's integers, the same at every run.

One case a line: operation, operands and results, in hex without prefix, separated by blanks.
"""
import os
import random

random.seed(0x68656164)
M = 1 << 256
WORDS = [0, 1, 2, 3, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0x8000000000000001, 0xFFFFFFFFFFFFFFFE, 0xFFFFFFFFFFFFFFFF]


def number():
    choice = random.randrange(5)
    if choice == 0:
        return random.getrandbits(random.randrange(1, 257))
    if choice == 1:
        return random.getrandbits(256)
    if choice == 2:
        bit = 1 << random.randrange(256)
        return (bit + random.randrange(-2, 3)) % M
    # Words at their edges, where carries and the estimates of a division go wrong.
    value = 0
    for _ in range(random.randrange(1, 5)):
        value = value << 64 | (random.choice(WORDS) if random.randrange(4) else random.getrandbits(64))
    return value


lines = []


def case(*parts):
    lines.append(" ".join(p if isinstance(p, str) else format(p, "x") for p in parts))


for _ in range(250):
    a, b = number(), number()
    case("add", a, b, (a + b) % M, int(a + b >= M))
    case("sub", a, b, (a - b) % M, int(a < b))
    case("mul", a, b, a * b >> 256, a * b % M)
    case("cmp", a, b, int(a < b), int(a == b))
    case("bits", a, b, a & b, a | b, a ^ b)
    s = random.choice([0, 1, 63, 64, 65, 127, 128, 191, 192, 255, 256, 257, 1000, random.randrange(300)])
    case("shift", a, s, (a << s) % M if s < 1000 else 0, a >> s)
    case("text", a, "d" + str(a))
for _ in range(700):
    a, b = number(), number() or 1
    case("div", a, b, a // b, a % b)
for _ in range(700):
    d = number() or 1
    high, low = number() % d, number()
    # Half of them with a quotient whose words are at their edges.
    if random.randrange(2):
        q, r = number(), number() % d
        n = q * d + r
        high, low = n >> 256, n % M
    n = high << 256 | low
    case("wide", high, low, d, n // d, n % d)

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "arithmetic.txt"), "w") as file:
    file.write("\n".join(lines) + "\n")
