"""Real peers as processes on loopback, for the end-to-end tests.

Every peer gets free ports (port 0, then its `ready` line says which) and a data directory below one temporary folder,
and is gone when its test ends. Waits are for a condition, with a deadline that is generous since the machine may be
busy; a deadline that passes fails the test and shows the peer's log.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("PANAL_BUILD_DIR", os.path.join(ROOT, "build", "release"))
PANALD = os.path.join(BUILD, "bin", "panald")
PANAL = os.path.join(BUILD, "bin", "panal")

# Exit code of a test program that ran nothing; ctest shows it as skipped (SKIP_RETURN_CODE).
SKIPPED = 77

# Seconds that anything that should happen at once may take on a machine that does other things too.
PATIENCE = 60

# Exit codes of panal (docs/cli.md).
OK, FAILED, USAGE, NOT_FOUND, INCOMPLETE, UNREACHABLE = range(6)


def wait_for(condition, what, seconds=PATIENCE, every=0.05):
    """The first true value of condition(); fails with `what` when there is none within `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(every)


def random_file(path, size):
    """Writes `size` random bytes; returns the path."""
    with open(path, "wb") as file:
        while size > 0:
            file.write(os.urandom(min(size, 1 << 20)))
            size -= 1 << 20
    return path


def same_bytes(a, b):
    with open(a, "rb") as one, open(b, "rb") as other:
        while True:
            x, y = one.read(1 << 20), other.read(1 << 20)
            if x != y:
                return False
            if not x:
                return True


def allocated(folder):
    """Bytes that the files below `folder` take on disk: grows while a sparse file is filled."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


def tool(name):
    """The path of a program, or a skipped test."""
    path = shutil.which(name)
    if path is None:
        raise unittest.SkipTest(f"{name} is not installed; scripts/install-deps test")
    return path


def grpcurl_path():
    """grpcurl, built by scripts/install-grpcurl where it is missing, or a skipped test."""
    built = subprocess.run([os.path.join(ROOT, "scripts", "install-grpcurl")], capture_output=True, text=True)
    if built.returncode != 0:
        raise unittest.SkipTest("grpcurl cannot be built here: " + built.stderr.strip())
    return built.stdout.strip()


def run_panald(*arguments, env=None, seconds=PATIENCE):
    """Runs panald to its end; the finished process."""
    return subprocess.run([PANALD, *arguments], capture_output=True, text=True, timeout=seconds,
                          env=dict(os.environ, **(env or {})))


class Peer:
    """One panald. start() and stop() may alternate; ports stay as first given out unless changed."""

    def __init__(self, folder, mesh="e2e", join=(), flags=(), root="/", data_dir=None, host="127.0.0.1", within=(), policy="open"):
        """`host`: of the mesh port. `within`: what every command of it begins with (`ip netns exec NAME`)."""
        os.makedirs(folder, exist_ok=True)
        self.within = list(within)
        self.folder = folder
        self.data_dir = data_dir or os.path.join(folder, "data")
        self.mesh = mesh
        self.policy = policy
        self.join = list(join)
        self.flags = list(flags)
        self.root = root
        self.ports = {"mesh": f"{host}:0", "api": "127.0.0.1:0", "http": "127.0.0.1:0"}
        self.process = None
        self.ready = None

    @property
    def log_path(self):
        return os.path.join(self.folder, "log")

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def arguments(self):
        arguments = ["--data-dir", self.data_dir, "--mesh", self.mesh, "--policy", self.policy, "--mesh-listen", self.ports["mesh"],
                     "--api-listen", self.ports["api"], "--http-listen", self.ports["http"]]
        if self.join:
            arguments += ["--join", ",".join(self.join)]
        if self.root:
            arguments += ["--root", self.root]
        return arguments + self.flags

    def start(self, keep_ports=True):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*self.within, PANALD, *self.arguments()], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log)
        line = self._read_line()
        self.process.stdout.close()  # Nothing more is said there.
        assert line.startswith("ready "), f"panald said {line!r}; its log ends:\n{self.log()[-2000:]}"
        self.ready = json.loads(line[len("ready "):])
        if keep_ports:
            self.ports.update({name: self.ready[name] for name in ("mesh", "api", "http") if self.ready[name]})
        return self

    def _read_line(self):
        end, line = time.monotonic() + PATIENCE, b""
        descriptor = self.process.stdout.fileno()
        while not line.endswith(b"\n"):
            readable, _, _ = select.select([descriptor], [], [], max(0, end - time.monotonic()))
            chunk = os.read(descriptor, 1) if readable else b""
            if not chunk:
                break
            line += chunk
        return line.decode()

    @property
    def id(self):
        return self.ready["peer_id"]

    @property
    def api(self):
        return self.ready["api"]

    @property
    def mesh_address(self):
        return self.ready["mesh"]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE)

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def panal(self, *arguments, code=OK, seconds=300, **options):
        """Runs panal against this peer, checks its exit code (None: any); the finished process."""
        done = subprocess.run([*self.within, PANAL, "--api", self.api, *arguments], capture_output=True, timeout=seconds,
                              **options)
        done.stdout = done.stdout.decode(errors="surrogateescape")
        done.stderr = done.stderr.decode(errors="replace")
        assert code is None or done.returncode == code, (
            f"panal {' '.join(arguments)}: exit code {done.returncode}, not {code}\n{done.stdout[-2000:]}"
            f"\n{done.stderr[-2000:]}\nlog of the peer ends:\n{self.log()[-1500:]}")
        return done

    def begin_panal(self, *arguments):
        """Starts panal and does not wait for it."""
        return subprocess.Popen([*self.within, PANAL, "--api", self.api, *arguments], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def json(self, *arguments, code=OK, **options):
        """The objects that `panal … -o json` prints, one a line."""
        return [json.loads(line) for line in
                self.panal(*arguments, "-o", "json", code=code, **options).stdout.splitlines()]

    def status(self):
        return self.json("status")[0]

    def add(self, path, *options):
        return self.json("add", path, *options)[0]

    def hits(self, query, code=None):
        """The hits of a search, without its summary."""
        return [row for row in self.json("search", query, code=code) if "summary" not in row]


class MeshTest(unittest.TestCase):
    """A test with a temporary folder and peers that are ended with it."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="panal-e2e-")
        self.peers = []
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(self._end_peers)

    def _end_peers(self):
        for peer in self.peers:
            peer.end()

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def peer(self, **options):
        """One more peer, not started."""
        peer = Peer(self.path(f"peer{len(self.peers) + 1}"), **options)
        self.peers.append(peer)
        return peer

    def mesh_of(self, count, **options):
        """Started peers that have found one another."""
        peers = []
        for _ in range(count):
            join = [peers[0].mesh_address] if peers else []
            peers.append(self.peer(join=join, **options).start())
        self.wait_for_size(peers, count)
        return peers

    def wait_for_size(self, peers, count):
        for peer in peers:
            wait_for(lambda: peer.status()["mesh_size"] == count and peer.status()["neighbors"] > 0,
                     f"{peer.folder} knows a mesh of {count}")

    def assert_fails(self, done, reason, *words):
        """A failed command says the reason, and the words that make its message useful."""
        self.assertIn(f"[{reason}]", done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)


def main():
    """Runs the tests of the program. Prints each that was skipped and why; exits 77 where none was left."""
    result = unittest.main(verbosity=2, exit=False).result
    for test, reason in result.skipped:
        print(f"skipped: {test}: {reason}")
    # A class that skips in setUpClass has no entry in testsRun.
    skipped = {str(test) for test, _ in result.skipped if isinstance(test, unittest.TestCase)}
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if result.skipped and result.testsRun == len(skipped) else 0)
