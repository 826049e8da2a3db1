"""An invite mesh of real peers under attack, and what an honest caller and the attacked process go through meanwhile.

The attacked peer is `victim`; `friend` is a member whose programs call it over the mesh; `founder` made the mesh. Every
attack runs inside attacked(), which measures an honest caller before, while and after, and fails where the attacked
process grew, died or stopped to serve.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import identity  # noqa: E402
import peers  # noqa: E402
import speaker  # noqa: E402
from peers import MeshTest, wait_for  # noqa: E402

# Honest calls before and after an attack, and at least while it lasts.
CALLS, CALLS_DURING = 100, 20
# How much an attack may make the attacked process grow, in MiB. What is queued of one neighbor may take 64
# (kHeldFramesMax), of one that does not read 8 (kLinkQueueMax); an idle peer has 30. glibc keeps what was freed, so that a
# limit for what is left afterwards would be the same. Whether it grows for ever is shown by attacked_twice().
GROWTH_MIB = 128
# An honest call that takes longer than this was not answered at all, on however busy a machine.
CALL_SECONDS = 60


class HonestCaller:
    """Programs of `friend` calling the object of `victim`: over the API, then the mesh port of the attacked peer."""

    def __init__(self, friend, victim):
        import grpc
        self.channel = grpc.insecure_channel(friend.api)
        self.metadata = (("panal-object", f"panal://{victim.id}/panal.v1.PeerObject/"),)
        self.victim, self.last = victim, None

    def call(self):
        """Seconds that one call took."""
        begun = time.monotonic()
        answer = self.channel.unary_unary("/panal.v1.PeerObject/GetPeer")(b"", metadata=self.metadata, timeout=CALL_SECONDS)
        assert speaker.pb2("peer_object").GetPeerResponse.FromString(answer).peer_id == self.victim.id
        return time.monotonic() - begun

    def before(self):
        """Those after the attack before, where there was one: it is the same moment."""
        return self.last or self.after()

    def after(self):
        self.last = [self.call() for _ in range(CALLS)]
        return self.last


class CallsMeanwhile:
    """Honest calls on a thread, one after the other, until end()."""

    def __init__(self, caller):
        self.seconds, self.failure, self.caller = [], None, caller
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while not self.over.is_set() or len(self.seconds) < CALLS_DURING:
                self.seconds.append(self.caller.call())
        except Exception as failure:  # Whatever it is, the test fails with it.
            self.failure = failure

    def end(self):
        self.over.set()
        self.thread.join()
        if self.failure is not None:
            raise AssertionError(f"an honest call failed during the attack: {self.failure}")
        return self.seconds


def p99_ms(seconds):
    return 1000 * sorted(seconds)[int(0.99 * (len(seconds) - 1))]


def memory_mib(pid, field):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(field + ":"))


def reset_peak(pid):
    with open(f"/proc/{pid}/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")


class HostileTest(MeshTest):
    """Tests of one class share a mesh: founder (admin), victim (inviter), friend (member)."""

    ROOT_OF_VICTIM = None
    FLAGS = ()

    @classmethod
    def setUpClass(cls):
        try:
            import google.protobuf  # noqa: F401
            import grpc  # noqa: F401
        except ImportError:
            raise unittest.SkipTest("python3-grpcio or python3-protobuf is not installed; scripts/install-deps test") from None
        cls.shared = tempfile.mkdtemp(prefix="panal-hostile-")
        cls.running = []
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.addClassCleanup(lambda: [peer.end() for peer in cls.running])
        speaker.make_stubs()
        cls.founder = cls._first()
        cls.victim = cls._member("victim", "inviter")
        cls.friend = cls._member("friend", "member")
        for peer in cls.running:
            wait_for(lambda: peer.status()["mesh_size"] == 3, f"{peer.folder} knows a mesh of 3")
        cls.caller = HonestCaller(cls.friend, cls.victim)
        cls.root = identity.Key(os.path.join(cls.founder.data_dir, "mesh-root.key"))
        cls.mesh_id = cls.root.id
        cls.names = iter(range(1_000_000))

    @classmethod
    def _peer(cls, name):
        peer = peers.Peer(os.path.join(cls.shared, name), mesh="secret", policy="invite", flags=cls.FLAGS)
        cls.running.append(peer)
        return peer

    @classmethod
    def _first(cls):
        peer = cls._peer("founder")
        subprocess.run([peers.PANAL, "init", "--data-dir", peer.data_dir, "--mesh", "secret"], check=True, capture_output=True)
        return peer.start()

    @classmethod
    def _member(cls, name, role):
        peer = cls._peer(name).start()
        peer.panal("join", cls.ticket_line("--role", role))
        peer.start_line = peer.ready
        peer.ready = dict(peer.ready, mesh=peer.status()["addresses"][0])
        return peer

    @classmethod
    def ticket_line(cls, *arguments, of=None):
        return (of or cls.founder).json("invite", *arguments)[0]["ticket"]

    # Whom the attacks come from.

    def stranger(self, claims=None):
        """A key and a certificate that nobody let in."""
        return identity.Identity(self.shared, f"hostile{next(self.names)}", claims)

    def speak(self, who=None, to=None, **shown):
        """A speaker without a credential, unless one is given."""
        peer = to or self.victim
        made = speaker.Speaker(who or self.stranger(), peer.mesh_address, **dict({"mesh_id": self.mesh_id}, **shown))
        self.addCleanup(made.close)
        return made

    def member(self, role="member", to=None):
        """A speaker that got in with a ticket, as everybody does: it holds a valid credential."""
        made = self.speak(to=to)
        answer = made.join(identity.Ticket(self.ticket_line("--role", role)))
        self.assertIsInstance(answer, bytes, answer)
        made.credential = answer
        return made

    def rooted(self, key, role=identity.MEMBER, begin=-60, end=identity.DAY, serial=None):
        """A credential that the root of the mesh gave to `key`, for whatever time."""
        now = time.time()
        return identity.chain(self.root.public, identity.grant(self.mesh_id, self.root, key.public, role, now + begin, now + end, serial))

    # What is asked of the attacked peer.

    @contextlib.contextmanager
    def attacked(self, what, peer=None, growth=GROWTH_MIB):
        """Measures around an attack. It must leave the peer that it hits alive, of its size, and serving."""
        pid = (peer or self.victim).process.pid
        before, begun = self.caller.before(), memory_mib(pid, "VmRSS")
        reset_peak(pid)
        meanwhile = CallsMeanwhile(self.caller)
        try:
            yield
        finally:
            during = meanwhile.end()
        after = self.caller.after()
        highest, now = memory_mib(pid, "VmHWM"), memory_mib(pid, "VmRSS")
        print(f"    {what}: p99 of an honest call {p99_ms(before):.1f} / {p99_ms(during):.1f} / {p99_ms(after):.1f} ms"
              f" (before, during, after); memory {begun:.0f}, at most {highest:.0f}, now {now:.0f} MiB", flush=True)
        self.assertIsNone((peer or self.victim).process.poll(), "the attacked peer is gone")
        self.assertLess(highest - begun, growth, "the attacked peer grew")

    def attacked_twice(self, what, attack, growth):
        """For what takes much memory once: the second time finds it there, and so would the hundredth."""
        for limit, when in ((growth, ""), (growth / 2, ", again")):
            with self.attacked(what + when, growth=limit):
                attack()

    def metric(self, name, peer=None):
        with urllib.request.urlopen(f"http://{(peer or self.victim).ports['http']}/metrics", timeout=peers.PATIENCE) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name + " "):
                    return float(line.split()[1])
        raise AssertionError(f"no metric {name}")

    def assert_refused(self, refusal, code, reason, opened=False):
        self.assertIsInstance(refusal, speaker.Refusal)
        self.assertEqual((refusal.code, refusal.reason), (code, reason), refusal)
        self.assertEqual(refusal.opened, opened, f"initial metadata with {refusal}")

    def assert_link_refused(self, made, code, reason, **changed):
        """A Link stream with what `made` shows is refused before it opens."""
        self.assert_refused(made.open(speaker.LINK, **changed).wait_refused(), code, reason)


def plain_connection(address):
    return socket.create_connection(speaker.split(address), timeout=peers.PATIENCE)
