#!/usr/bin/env python3
"""Writes the table of numbered edge cases and their tests into Docs/Conformance.md, from the tests' titles.

    conformance.py          writes it
    conformance.py --check  ends with 1 where it is not up to date

A test for a known failure of other clients begins with its number: "Edge case 3: …", "Edge cases 22, 96: …".
"""
import glob, os, re, sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "Docs", "Conformance.md")
BEGIN, END = "<!-- edge cases: written by Tests/Scripts/conformance.py -->", "<!-- end of edge cases -->"

GROUPS = [
    ("A. Framing and parsing", range(1, 16)),
    ("B. Requests", range(16, 25)),
    ("C. Subscribing", range(25, 35)),
    ("F. Keepalive and half-open connections", range(51, 59)),
    ("G. Slow consumers", range(59, 67)),
    ("I. Unsubscribing and shutting down", range(81, 86)),
    ("J. Seen with real nodes", [91, 92, 93, 94, 95, 96, 97]),
    ("K. Sockets, TLS, providers", range(103, 121)),
    ("Others", []),
]
# What needs a session that reconnects, fills gaps and knows reorganisations.
CONTINUITY = {30, 56, 57, 63, 92, 96, 107, 115, 117}

TITLE = re.compile(r'@Test\(\s*"((?:[^"\\]|\\.)*)"')
NUMBERS = re.compile(r"^Edge cases? ([0-9, and]+?):")


def titles():
    found = {}
    for path in sorted(glob.glob(os.path.join(ROOT, "Tests", "**", "*.swift"), recursive=True)):
        with open(path, encoding="utf-8") as file:
            for title in TITLE.findall(file.read()):
                match = NUMBERS.match(title)
                if not match:
                    continue
                name = os.path.relpath(path, os.path.join(ROOT, "Tests"))
                for number in re.findall(r"[0-9]+", match.group(1)):
                    found.setdefault(int(number), []).append((title[match.end():].strip(), name))
    return found


def table(found):
    named = {number for _, numbers in GROUPS for number in numbers}
    lines, missing = [], []
    for group, numbers in GROUPS:
        numbers = list(numbers) or sorted(set(found) - named)
        lines += ["", "### " + group, "", "| edge case | test | file |", "| ---: | --- | --- |"]
        for number in numbers:
            tests = found.get(number, [])
            for title, name in tests:
                lines.append("| %d | %s | `%s` |" % (number, title.replace("|", "\\|").replace('\\"', '"'), name))
            if not tests and number in CONTINUITY:
                lines.append("| %d | comes with sessions that reconnect | |" % number)
            elif not tests:
                lines.append("| %d | **no test yet** | |" % number)
                missing.append(number)
    return "\n".join(lines).strip("\n"), missing


def main():
    text, missing = table(titles())
    with open(PAGE, encoding="utf-8") as file:
        page = file.read()
    before, rest = page.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    wanted = before + BEGIN + "\n\n" + text + "\n\n" + END + after
    if missing:
        print("without a test: " + ", ".join(map(str, missing)))
    if "--check" in sys.argv:
        if wanted != page:
            print("Docs/Conformance.md is not up to date: run Tests/Scripts/conformance.py")
            return 1
        return 0
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
