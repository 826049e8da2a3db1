#!/usr/bin/env python3
"""Runs the blocks of README.md that are marked `bash test` as they are printed, in order, in one shell.

Ports and folders are the README's own, so the test is skipped (77) where they are taken.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import unittest

import peers

# Text that a block must print, by the command that prints it: what the README promises.
EXPECTED = [
    ("scripts/mesh up 3", "3 peers run"),
    ("scripts/mesh status", '"mesh":"quickstart"'),
    ("search honey year:2024", "panal-readme-honey.txt"),
    ("search honey year:2024", "recall 1.0000"),
    ("cmp /tmp/panal-readme-honey.txt /tmp/panal-readme-copy.txt", "the bytes are equal"),
    ("scripts/mesh kill 1", "killed peer 1"),
    ("cmp /tmp/panal-readme-honey.txt /tmp/panal-readme-second.txt", "the bytes are equal"),
    ("scripts/install-grpcurl", "build/tools/bin/grpcurl"),
    ("list", "panal.v1.FileObject"),
    ("describe", "rpc Search"),
    ("PutFile", '"id"'),
    ("SearchObject/Search", '"greeting.txt"'),
    ("FetchFile", '"done": true'),
    ("ReadFile", "Z29vZCBtb3JuaW5nCg=="),
]
# A block that calls an object of another peer, and the peer as `scripts/mesh status` names it.
CALLED, CALLED_PEER = "panal-object", "127.0.0.1:7420"


def blocks():
    with open(os.path.join(peers.ROOT, "README.md"), encoding="utf-8") as file:
        return re.findall(r"^```bash test\n(.*?)^```$", file.read(), re.S | re.M)


def taken(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run(script, environment):
    return subprocess.run(["bash"], input=script, cwd=peers.ROOT, env=environment, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300)


def main():
    try:
        peers.grpcurl_path()
    except unittest.SkipTest as skip:
        print(f"skipped: {skip}")
        return peers.SKIPPED
    for i in (1, 2, 3):
        if any(taken(7400 + 10 * i + offset) for offset in range(3)):
            print(f"skipped: the README's port {7400 + 10 * i} is taken")
            return peers.SKIPPED
    found = blocks()
    # A block that fails ends the run; the marks divide the output.
    script = "shopt -s expand_aliases\nset -e\n" + "".join(f"echo '@@ {n}'\n{text}" for n, text in enumerate(found))
    script = script.replace("build/release/bin/", os.path.join(peers.BUILD, "bin", ""))
    with tempfile.TemporaryDirectory(prefix="panal-readme-") as folder:
        environment = dict(os.environ, PANAL_MESH_DIR=os.path.join(folder, "mesh"), PANAL_BUILD_DIR=peers.BUILD)
        try:
            done = run(script, environment)
        finally:
            run("scripts/mesh down", environment)
    print(done.stdout)
    failures = [] if done.returncode == 0 else [f"exit code {done.returncode}"]
    outputs = re.split(r"(?m)^@@ \d+\n", done.stdout)[1:]
    if len(found) != 7 or len(outputs) != len(found):
        failures.append(f"{len(outputs)} of {len(found)} blocks ran; 7 are expected")
    for command, text in EXPECTED:
        printed = [output for block, output in zip(found, outputs) if command in block]
        if not any(text in output for output in printed):
            failures.append(f"`{command}` does not print `{text}`")
    status = next((output for block, output in zip(found, outputs) if "scripts/mesh status" in block), "")
    called = re.search(rf'{re.escape(CALLED_PEER)}.*"peer_id":"(\w+)"', status)
    answers = [output for block, output in zip(found, outputs) if CALLED in block]
    if not called or not any(called.group(1) in output for output in answers):
        failures.append(f"`{CALLED}` is not answered by the peer at {CALLED_PEER}: {answers}")
    for failure in failures:
        print("FAILED:", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
