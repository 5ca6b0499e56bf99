#!/usr/bin/env python3
"""Runs Autobahn|Testsuite against this package's WebSocket code, both roles, and writes the summary to a file.

    autobahn.py --driver PATH [--compression] [--tls] [--cases 1.* 2.*] [--summary FILE]

The suite is Python 2.7 code: it needs CPython 2.7 (python2.7 on the path, PYTHON2, or pyenv's) and installs the suite
with pip into .build/autobahn. Where no such interpreter is, it says so and ends with 0: nothing was run, nothing failed.
"""
import argparse, collections, json, os, shutil, socket, subprocess, sys, time

SUITE = "autobahntestsuite==25.10.1"
VIRTUALENV = "virtualenv==20.15.1"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOME = os.path.join(ROOT, ".build", "autobahn")
PLAIN = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*"]
DEFLATE = ["12.*", "13.*"]
# Short and long messages, fragments, text, closing: what TLS could disturb by cutting bytes elsewhere.
SAMPLE = ["1.*", "2.*", "3.*", "5.*", "6.1.*", "6.2.*", "6.4.*", "7.1.*", "7.3.*", "9.1.*", "9.2.*", "9.3.*", "10.*"]
PASSED = {"OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED"}

# wstest listens on every interface, whatever host its URL names.
LAUNCHER = """
import sys
from autobahntestsuite import wstest
from twisted.internet import reactor
listen, listen_tls = reactor.listenTCP, reactor.listenSSL
reactor.listenSSL = lambda port, factory, context, backlog=50, interface='': \\
    listen_tls(port, factory, context, backlog, '127.0.0.1')
reactor.listenTCP = lambda port, factory, backlog=50, interface='': listen(port, factory, backlog, '127.0.0.1')
wstest.run()
"""


def interpreter():
    named = os.environ.get("PYTHON2")
    candidates = [named] if named else []
    candidates += [shutil.which("python2.7")] if shutil.which("python2.7") else []
    pyenv = os.path.join(os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv")), "versions")
    if os.path.isdir(pyenv):
        candidates += [os.path.join(pyenv, name, "bin", "python2.7") for name in sorted(os.listdir(pyenv)) if name.startswith("2.7")]
    for candidate in candidates:
        try:
            subprocess.run([candidate, "-c", "import sys; assert sys.version_info[:2] == (2, 7)"], check=True, capture_output=True)
            return candidate
        except (OSError, subprocess.CalledProcessError):
            continue
    return None


def prepare():
    """The suite's python, installed where it is missing."""
    python = os.path.join(HOME, "env", "bin", "python")
    if os.path.exists(os.path.join(HOME, "installed")):
        return python
    base = interpreter()
    if base is None:
        return None
    os.makedirs(HOME, exist_ok=True)
    pip = [base, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    tools = os.path.join(HOME, "tools")
    subprocess.run(pip + ["--target", tools, VIRTUALENV], check=True, stderr=subprocess.DEVNULL)
    environment = dict(os.environ, PYTHONPATH=tools)
    subprocess.run([base, "-m", "virtualenv", "--quiet", os.path.join(HOME, "env")], check=True, env=environment)
    subprocess.run([python, "-m", "pip", "install", "--quiet", SUITE], check=True, stderr=subprocess.DEVNULL)
    open(os.path.join(HOME, "installed"), "w").write(SUITE)
    return python


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def certificate():
    """A key and a certificate of its own for 127.0.0.1, and both in one file."""
    key, cert, both = (os.path.join(HOME, name) for name in ("key.pem", "cert.pem", "both.pem"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True, stderr=subprocess.DEVNULL)
    with open(both, "w") as file:
        file.write(open(cert).read() + open(key).read())
    return key, cert, both


def suite(python, mode, spec, log):
    folder = os.path.join(HOME, mode)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "launcher.py"), "w") as file:
        file.write(LAUNCHER)
    with open(os.path.join(folder, "spec.json"), "w") as file:
        json.dump(spec, file)
    arguments = [python, "launcher.py", "-m", mode, "-s", "spec.json"]
    if mode == "fuzzingserver":
        arguments += ["-u", "0"]
    return subprocess.Popen(arguments, cwd=folder, stdout=log, stderr=log)


def test_client(python, driver, cases, compression, tls, log):
    """The suite's server against our client."""
    port = free_port()
    spec = {"url": "%s://127.0.0.1:%d" % ("wss" if tls else "ws", port), "outdir": "reports", "cases": cases, "exclude-cases": [], "exclude-agent-cases": {}}
    if tls:
        spec.update(key=tls[0], cert=tls[1])
    server = suite(python, "fuzzingserver", spec, log)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        command = [driver, "autobahn-client", "127.0.0.1", str(port), "headstream"]
        command += ["deflate"] * bool(compression) + ["tls"] * bool(tls)
        environment = dict(os.environ, SSL_CERT_FILE=tls[1]) if tls else None
        subprocess.run(command, check=True, stdout=log, env=environment)
    finally:
        server.terminate()
        server.wait()
    return report("fuzzingserver")


def test_server(python, driver, cases, compression, tls, log):
    """The suite's client against our server."""
    command = [driver, "autobahn-server"] + ["deflate"] * bool(compression) + (["tls", tls[2]] if tls else [])
    ours = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        port = int(ours.stdout.readline().split()[1])
        spec = {
            "outdir": "reports",
            "servers": [{"agent": "headstream", "url": "%s://127.0.0.1:%d" % ("wss" if tls else "ws", port)}],
            "cases": cases, "exclude-cases": [], "exclude-agent-cases": {},
        }
        if suite(python, "fuzzingclient", spec, log).wait() != 0:
            raise SystemExit("the suite's client failed; see %s" % log.name)
    finally:
        ours.terminate()
        ours.wait()
    return report("fuzzingclient")


def report(mode):
    with open(os.path.join(HOME, mode, "reports", "index.json")) as file:
        return next(iter(json.load(file).values()))


def summarize(role, results):
    groups = collections.OrderedDict()
    failed = []
    for case in sorted(results, key=lambda name: [int(part) for part in name.split(".")]):
        result = results[case]
        row = groups.setdefault(case.split(".")[0], collections.Counter())
        row[result["behavior"]] += 1
        # A closing that is informational has no rule to break; all others must be as prescribed.
        if result["behavior"] not in PASSED or result["behaviorClose"] not in {"OK", "INFORMATIONAL"}:
            failed.append("%s (%s, close %s)" % (case, result["behavior"], result["behaviorClose"]))
    lines = []
    for group, counts in groups.items():
        lines.append("| %s | %s.* | %d | %d | %d | %d | %d |" % (
            role, group, sum(counts.values()), counts["OK"], counts["NON-STRICT"], counts["INFORMATIONAL"],
            sum(counts.values()) - counts["OK"] - counts["NON-STRICT"] - counts["INFORMATIONAL"]))
    return lines, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", required=True, help="the program HeadstreamConformance")
    parser.add_argument("--cases", nargs="+", help="patterns of cases; without it all but compression's")
    parser.add_argument("--compression", action="store_true", help="offer and accept permessage-deflate")
    parser.add_argument("--tls", action="store_true", help="over wss; a sample of the cases unless they are named")
    parser.add_argument("--roles", nargs="+", choices=["client", "server"], default=["client", "server"])
    parser.add_argument("--summary", help="a file for the table")
    options = parser.parse_args()
    python = prepare()
    if python is None:
        print("autobahn: not run: the suite is Python 2.7 code and there is no CPython 2.7 here.\n"
              "Debian has none since 11; pyenv builds one (pyenv install 2.7.18). Then: make autobahn PYTHON2=PATH")
        return 0
    cases = options.cases or (DEFLATE if options.compression else SAMPLE if options.tls else PLAIN)
    tls = certificate() if options.tls else None
    table = ["| end | cases | run | OK | non-strict | informational | other |", "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    failures = []
    with open(os.path.join(HOME, "log"), "w") as log:
        for role in options.roles:
            run = test_client if role == "client" else test_server
            began = time.time()
            lines, failed = summarize(role, run(python, options.driver, cases, options.compression, tls, log))
            print("%s: %d s, %d failed" % (role, time.time() - began, len(failed)))
            table += lines
            failures += ["%s %s" % (role, text) for text in failed]
    print("\n".join(table + failures))
    if options.summary:
        with open(options.summary, "w") as file:
            file.write("\n".join(table) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
