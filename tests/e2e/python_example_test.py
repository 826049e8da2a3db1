#!/usr/bin/env python3
"""The Python example as its README says it: stubs from the installed protos, run against a mesh of two."""

import glob
import os
import subprocess
import unittest

import peers
from peers import MeshTest, tool, wait_for

EXAMPLE = os.path.join(peers.ROOT, "client", "examples", "python_search", "python_search.py")
# Debian's Python, which sees Debian's packages; another one in PATH would not.
PYTHON = "/usr/bin/python3"
PLUGIN = "/usr/bin/grpc_python_plugin"


class PythonExample(MeshTest):

    @classmethod
    def setUpClass(cls):
        imported = subprocess.run([PYTHON, "-c", "import grpc, google.protobuf"], capture_output=True, text=True)
        if imported.returncode != 0:
            raise unittest.SkipTest("python3-grpcio or python3-protobuf is not installed; scripts/install-deps test")
        if not os.path.exists(PLUGIN):
            raise unittest.SkipTest("protobuf-compiler-grpc is not installed; scripts/install-deps build")

    def stubs(self):
        """A folder with the stubs made from the protos as they are installed."""
        prefix, folder = self.path("prefix"), self.path("stubs")
        subprocess.run(["cmake", "--install", peers.BUILD, "--prefix", prefix, "--component", "development"],
                       check=True, capture_output=True, timeout=peers.PATIENCE)
        protos = os.path.join(prefix, "share", "panal", "proto")
        os.mkdir(folder)
        subprocess.run([tool("protoc"), "-I", protos, f"--python_out={folder}", f"--grpc_out={folder}",
                        f"--plugin=protoc-gen-grpc={PLUGIN}", *glob.glob(os.path.join(protos, "panal", "v1", "*.proto"))],
                       check=True, timeout=peers.PATIENCE)
        return folder

    def test_searches_fetches_and_tells_reasons(self):
        stubs = self.stubs()
        a, b = self.mesh_of(2)
        with open(self.path("bees.txt"), "w", encoding="utf-8") as file:
            file.write("bees build in hexagons\n")
        file_id = a.add(self.path("bees.txt"))["id"]
        wait_for(lambda: b.hits("bees"), "the file is found")

        def run(api, query):
            return subprocess.run([PYTHON, EXAMPLE, api, query], capture_output=True, text=True,
                                  timeout=peers.PATIENCE, env=dict(os.environ, PYTHONPATH=stubs))

        found = run(b.api, "bees")
        self.assertEqual(found.returncode, 0, found.stderr)
        self.assertEqual(found.stdout.splitlines(),
                         [f"hit      {file_id}  23 bytes  bees.txt", "asked    2 of about 2 peers, recall 1.00",
                          "fetched  23 bytes from 1 peer(s)", "bees build in hexagons"])
        self.assertEqual(run(b.api, "nosuchword").returncode, 3)
        wrong = run(b.api, "(")
        self.assertEqual(wrong.returncode, 1)
        with open(os.path.join(os.path.dirname(EXAMPLE), "README.md"), encoding="utf-8") as file:
            shown = [line for line in file if line.startswith("python_search: ")]
        self.assertEqual([wrong.stderr], shown)
        self.assertRegex(run("127.0.0.1:1", "bees").stderr, r"\[UNAVAILABLE\]\n$")


if __name__ == "__main__":
    peers.main()
