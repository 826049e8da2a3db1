#!/usr/bin/env python3
"""scripts/quickstart on a small folder, with ports of its own, and what its printed hints do with the mesh it keeps.

Peer 3 runs in a network namespace, so this needs root; without, it is skipped.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

import peers

PEERS = 5
FILES = 24


def free_port_base():
    """A multiple of 10 such that the three ports of each of the five peers above it are free."""
    for base in range(21000, 29000, 100):
        held = []
        try:
            for i in range(1, PEERS + 1):
                for port in range(base + 10 * i, base + 10 * i + 3):
                    held.append(socket.create_server(("127.0.0.1", port)))
            return base
        except OSError:
            continue
        finally:
            for listener in held:
                listener.close()
    raise AssertionError("no free range of ports")


class Quickstart(unittest.TestCase):

    def setUp(self):
        self.require_namespaces()
        self.folder = tempfile.mkdtemp(prefix="panal-quickstart-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.mesh_dir = os.path.join(self.folder, "mesh")
        self.shared = os.path.join(self.folder, "shared")
        for i in range(FILES):
            place = os.path.join(self.shared, f"part {i % 3}")
            os.makedirs(place, exist_ok=True)
            peers.random_file(os.path.join(place, f"comb-{i}"), 100 + 1000 * i)
        self.base = free_port_base()
        self.addCleanup(self.mesh, "down")

    def require_namespaces(self):
        name = f"panal-probe-{os.getpid()}"
        made = subprocess.run([peers.tool("ip"), "netns", "add", name], capture_output=True, text=True)
        if made.returncode != 0:
            self.skipTest("no network namespace can be made: " + made.stderr.strip())
        subprocess.run(["ip", "netns", "del", name], check=True)

    def script(self, name, *arguments, **environment):
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PANAL_")}
        return subprocess.run([os.path.join(peers.ROOT, "scripts", name), *arguments], text=True, timeout=240,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=dict(inherited, PANAL_BUILD_DIR=peers.BUILD, PANAL_MESH_DIR=self.mesh_dir, **environment))

    def mesh(self, *arguments):
        """scripts/mesh as the hints say it: nothing but PANAL_MESH_DIR is set."""
        return self.script("mesh", *arguments)

    def quickstart(self, *options):
        """A run that must succeed: its output, and the network namespace of peer 3."""
        done = self.script("quickstart", "--folder", self.shared, *options, PANAL_PORT_BASE=str(self.base))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"all {FILES} files are equal, byte for byte", done.stdout)
        self.assertIn("the file's bytes are equal", done.stdout)
        return done.stdout, re.search(r"network namespace (panal-\d+)", done.stderr).group(1)

    def assert_gone(self, namespace):
        listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
        self.assertNotIn(namespace, listed)
        links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
        self.assertNotIn(namespace.replace("panal-", "pnl"), links)

    def test_leaves_nothing_behind(self):
        _, namespace = self.quickstart()

        self.assert_gone(namespace)
        self.assertFalse(os.path.exists(self.mesh_dir))

    def test_kept_mesh_is_handled_by_the_printed_commands(self):
        printed, namespace = self.quickstart("--keep")
        self.assertIn(f"export PANAL_MESH_DIR={self.mesh_dir}", printed)

        states = self.mesh("status").stdout.splitlines()
        self.assertEqual([line.split("  ")[:2] for line in states],
                         [[f"peer {i}", f"127.0.0.1:{self.base + 10 * i}"] for i in range(1, PEERS + 1)])
        for line in states:
            self.assertEqual(json.loads(line.split("  ")[2])["mesh_size"], PEERS)

        file_id, dir_id = re.findall(r" get ([a-z2-7]{52}) ", printed)
        copy = os.path.join(self.folder, "copy")
        got = self.mesh("panal", "4", "get", file_id, "-O", copy)
        self.assertEqual(got.returncode, 0, got.stderr)
        self.assertEqual(self.mesh("kill", "1").returncode, 0)
        swarm = self.mesh("panal", "5", "get", dir_id, "-O", os.path.join(self.folder, "swarm"))
        self.assertEqual(swarm.returncode, 0, swarm.stderr)

        self.assertEqual(self.mesh("down").returncode, 0)
        self.assert_gone(namespace)
        self.assertFalse(os.path.exists(self.mesh_dir))

    def test_status_survives_peers_that_do_not_answer(self):
        self.quickstart("--keep")
        self.mesh("kill", "1")
        with open(os.path.join(self.mesh_dir, "3", "pid"), encoding="utf-8") as file:
            stopped = int(file.read())
        os.kill(stopped, signal.SIGSTOP)
        self.addCleanup(os.kill, stopped, signal.SIGKILL)

        status = self.mesh("status")

        self.assertEqual(status.returncode, 0, status.stderr)
        states = status.stdout.splitlines()
        self.assertEqual(len(states), PEERS)
        self.assertIn("not running", states[0])
        self.assertIn("does not answer", states[2])
        self.assertIn('"mesh_size"', states[4])

    def test_next_run_replaces_a_kept_mesh(self):
        _, first = self.quickstart("--keep")
        _, second = self.quickstart("--keep")

        self.assert_gone(first)
        addresses = subprocess.run(["ip", "-o", "-4", "address"], capture_output=True, text=True, check=True).stdout
        networks = re.findall(r"\b10\.213\.\d+\.1/", addresses)
        self.assertEqual(len(networks), len(set(networks)), addresses)
        self.assertEqual(self.mesh("down").returncode, 0)
        self.assert_gone(second)


if __name__ == "__main__":
    peers.main()
