#!/usr/bin/env python3
"""Counts the wake-ups of a client at rest: voluntary context switches of all threads of a process over 10 s, after 6 s
of rest, against a node in another process that sends nothing. Prints a table; ends with 1 where the budget is broken.

    idle.py --program PATH [--summary FILE]

libdispatch's manager thread, which wakes once a second for ever when the default pool has been used, is counted apart:
it is the process's and not the library's, and with everything on the loop it is not even started.
"""
import argparse, os, subprocess, sys, time

STATES = [
    ("connected", "connected, nothing else"),
    ("subscriptions", "10 subscriptions, a consumer waits on each"),
    ("request", "a request pending"),
    ("suspended", "a consumer that does not come back, items buffered"),
    ("closed", "closed in order with a request pending"),
]
REST, SPAN, BUDGET = 6, 10, 1


def threads(pid):
    """For each thread its name and its voluntary context switches."""
    found = {}
    for tid in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, tid)) as file:
            fields = dict(line.rstrip("\n").split(":", 1) for line in file)
        found[tid] = (fields["Name"].strip(), int(fields["voluntary_ctxt_switches"]))
    return found


def cpu_ticks(pid):
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def waits_in_epoll(pid, tid):
    # The system call that a sleeping thread is in: 232 and 281 are epoll_wait and epoll_pwait, 22 the latter on arm64.
    try:
        with open("/proc/%d/task/%s/syscall" % (pid, tid)) as file:
            return file.read().split()[0] in {"232", "281", "22"}
    except OSError:
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="the program HeadstreamConformance")
    parser.add_argument("--summary", help="a file for the table")
    options = parser.parse_args()
    node = subprocess.Popen([options.program, "silent-node"], stdout=subprocess.PIPE, text=True)
    clients = []
    try:
        port = node.stdout.readline().split()[1]
        for executor in ("loop", "default"):
            for state, _ in STATES:
                client = subprocess.Popen([options.program, "idle", state, port, executor], stdout=subprocess.PIPE, text=True)
                clients.append((state, executor, client))
        for state, executor, client in clients:
            line = client.stdout.readline().strip()
            if line != "ready":
                print("%s on %s: %s" % (state, executor, line or "ended"))
                return 1
        time.sleep(REST)
        before = [(threads(client.pid), cpu_ticks(client.pid)) for _, _, client in clients]
        time.sleep(SPAN)
        after = [(threads(client.pid), cpu_ticks(client.pid)) for _, _, client in clients]
        table = ["| at rest | consumer on | wake-ups in %d s | of libdispatch's manager | CPU, ms |" % SPAN, "| --- | --- | ---: | ---: | ---: |"]
        broken = False
        for (state, executor, client), (old, old_ticks), (new, new_ticks) in zip(clients, before, after):
            ours, managers = 0, 0
            for tid, (name, count) in new.items():
                grown = count - old.get(tid, (name, 0))[1]
                # The loop's thread has a name of its own, the main thread its process's id.
                is_manager = not name.startswith("headstream") and int(tid) != client.pid and waits_in_epoll(client.pid, tid)
                if is_manager:
                    managers += grown
                else:
                    ours += grown
            total = ours + (managers if executor == "loop" else 0)
            broken = broken or total > BUDGET
            ms = (new_ticks - old_ticks) * 1000 // os.sysconf("SC_CLK_TCK")
            table.append("| %s | %s | %d | %d | %d |" % (dict(STATES)[state], executor, ours, managers, ms))
        print("\n".join(table))
        if options.summary:
            with open(options.summary, "w") as file:
                file.write("\n".join(table) + "\n")
        return 1 if broken else 0
    finally:
        for _, _, client in clients:
            client.kill()
        node.kill()


if __name__ == "__main__":
    sys.exit(main())
