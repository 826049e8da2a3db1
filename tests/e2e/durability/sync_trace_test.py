#!/usr/bin/env python3
"""Checks by a system call trace that what is acknowledged was synced before.

Runs sync_trace_program under strace and replays the trace: every write to a file of the block store and
of the catalog (database, WAL) makes it unsynced, fsync and fdatasync clean it again, a creation or
rename makes its folder unsynced until the folder is. At each line that the program writes to stdout
nothing may be unsynced but what needs no promise: data and maps without claims of a receive that has
only begun, the dirty byte of a map, what was removed, and the shared-memory index of SQLite.

Usage: sync_trace_test.py PROGRAM. Exit 77 where strace is missing or may not trace.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
CALLS = "openat,open,creat,close,write,pwrite64,pwritev,writev,ftruncate,fsync,fdatasync,rename,unlink"
LINE = re.compile(r"^(?:\[pid\s+)?(\d+)\]?\s+(.*)$")
RESUMED = re.compile(r"^<\.\.\. \w+ resumed>(.*)$")
CALL = re.compile(r"^(\w+)\((.*)\)\s+=\s+(-?\d+)(?:<([^>]*)>)?")
FD = re.compile(r"^\d+<([^>]*)>")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')

# What each acknowledgement must have made durable since the last one.
MUST_SYNC = {
    "put_inline": {"wal"},
    "put_stored": {"wal", "data", "map", "folder"},
    "add_folder": {"wal", "data", "map", "folder"},
    "upload_stored": {"wal", "data", "map", "folder"},
    "begin_receive": {"wal"},
    "checkpoint_stored": {"data", "map", "folder"},
    "complete_stored": {"wal", "data", "map"},
    "publish_fetched": {"wal"},
    "remove": {"wal"},
}


def calls_of(path):
    """Yields (name, arguments, result, path of a returned descriptor) in order of completion."""
    pending = {}
    with open(path, encoding="utf-8", errors="replace") as trace:
        for line in trace:
            match = LINE.match(line.rstrip("\n"))
            if not match:
                continue
            pid, text = match.groups()
            if text.endswith("<unfinished ...>"):
                pending[pid] = text[: -len("<unfinished ...>")].rstrip()
                continue
            resumed = RESUMED.match(text)
            if resumed:
                text = pending.pop(pid, "") + resumed.group(1).lstrip()
            call = CALL.match(text)
            if call and int(call.group(3)) >= 0:
                yield call.group(1), call.group(2), int(call.group(3)), call.group(4)


def kind_of(path, folder):
    if path.startswith(folder + "/catalog.db"):
        return None if path.endswith("-shm") else "wal" if path.endswith("-wal") else "database"
    if not path.startswith(folder + "/blocks"):
        return None
    if os.path.basename(path).endswith((".map", ".map.new")):
        return "map"
    return "data"


class Replay:
    def __init__(self, folder):
        self.folder = folder
        self.unsynced = {}  # path -> kind
        self.synced = set()  # kinds synced since the last acknowledgement
        self.acknowledged = []
        self.problems = []

    def wrote(self, path, length):
        kind = kind_of(path, self.folder)
        if kind is None or (kind == "map" and length == 1 and path.endswith(".map")):
            return
        self.unsynced[path] = kind

    def changed_folder(self, path):
        # Names in the folder of what is being written are dropped at the next start.
        if kind_of(path, self.folder) in ("data", "map") and "/blocks/tmp/" not in path:
            self.unsynced[os.path.dirname(path)] = "folder"

    def sync(self, path):
        kind = self.unsynced.pop(path, None)
        if kind:
            self.synced.add(kind)

    def renamed(self, old, new):
        # What the name stood for before needs no promise any more.
        self.unsynced.pop(new, None)
        if old in self.unsynced:
            self.unsynced[new] = self.unsynced.pop(old)
        self.changed_folder(new)

    def removed(self, path):
        self.unsynced.pop(path, None)

    def acknowledge(self, what):
        self.acknowledged.append(what)
        left = {p: k for p, k in self.unsynced.items() if k in ("wal", "data", "map", "folder")}
        if what in ("opened", "begin_receive"):
            left = {p: k for p, k in left.items() if k == "wal" and what != "opened"}
        if left:
            self.problems.append(f"{what}: acknowledged with unsynced {sorted(left.items())}")
        missing = MUST_SYNC.get(what, set()) - self.synced
        if missing:
            self.problems.append(f"{what}: acknowledged without a sync of {sorted(missing)}")
        self.synced = set()


def replay(path, folder):
    state = Replay(folder)
    for name, arguments, result, opened in calls_of(path):
        fd = FD.match(arguments)
        target = fd.group(1) if fd else None
        strings = STRING.findall(arguments)
        if name in ("openat", "open", "creat"):
            if opened and "O_CREAT" in arguments and opened not in SEEN:
                SEEN.add(opened)
                state.changed_folder(opened)
        elif name in ("fsync", "fdatasync"):
            state.sync(target)
        elif name == "rename":
            SEEN.discard(strings[0])
            SEEN.add(strings[1])
            state.renamed(strings[0], strings[1])
        elif name == "unlink":
            SEEN.discard(strings[0])
            state.removed(strings[0])
        elif name in ("write", "pwrite64", "pwritev", "writev", "ftruncate"):
            if name == "write" and strings and strings[0].startswith("ack "):
                state.acknowledge(strings[0][4:].replace("\\n", ""))
            elif target:
                state.wrote(target, result)
    return state


SEEN = set()  # Files that exist: opening them with O_CREAT again makes no name.


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    strace = shutil.which("strace")
    if strace is None:
        print("skipped: strace is not installed")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="panal_trace_") as folder:
        folder = os.path.realpath(folder)
        trace = folder + ".trace"
        try:
            run = subprocess.run(
                [strace, "-f", "-y", "-s", "64", "-e", "trace=" + CALLS, "-o", trace, sys.argv[1], folder],
                capture_output=True, text=True, timeout=100, check=False)
            if run.returncode != 0 and "ptrace" in run.stderr:
                print("skipped: tracing is not allowed here:", run.stderr.strip())
                return SKIPPED
            if run.returncode != 0:
                print("the program failed:", run.stderr)
                return 1
            state = replay(trace, folder)
        finally:
            if os.path.exists(trace):
                os.remove(trace)
    expected = ["opened"] + list(MUST_SYNC)
    if state.acknowledged != expected:
        state.problems.append(f"acknowledged {state.acknowledged}, expected {expected}")
    for problem in state.problems:
        print("FAILED", problem)
    if not state.problems:
        print(f"{len(expected)} acknowledgements, each after its syncs")
    return 1 if state.problems else 0


if __name__ == "__main__":
    sys.exit(main())
