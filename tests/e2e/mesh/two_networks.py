"""Two network namespaces whose only connection delays packets, loses them or is cut.

Each namespace has a TUN device; a thread carries IP packets between the two with a delay. Losing and cutting is done by
nftables in the namespaces, as a firewall would.
"""

import ctypes
import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import subprocess
import threading
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
PACKET_MAX = 65536
# Packets on their way in one direction; more are lost, as a full router would.
QUEUE_MAX = 10000


def run(*command):
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)


class TwoNetworks:
    """Raises CalledProcessError where namespaces or TUN devices cannot be made."""

    def __init__(self, delay_s, jitter_s=0.0):
        self.delay_s, self.jitter_s = delay_s, jitter_s
        self.names = [f"panal-{side}-{os.getpid()}" for side in "ab"]
        number = os.getpid() % 250
        self.hosts = [f"10.214.{number}.1", f"10.214.{number}.2"]
        self.descriptors, self.stopping, self.thread = [], False, None
        try:
            for name in self.names:
                run("ip", "netns", "add", name)
            self.descriptors = [self._open_tun(name) for name in self.names]
            for name, here, there in zip(self.names, self.hosts, reversed(self.hosts)):
                run("ip", "-n", name, "address", "add", here, "peer", there, "dev", "tun0")
                run("ip", "-n", name, "link", "set", "tun0", "up")
                run("ip", "-n", name, "link", "set", "lo", "up")
        except BaseException:
            self.close()
            raise
        self.thread = threading.Thread(target=self._carry, daemon=True)
        self.thread.start()

    def within(self, side):
        """What a command in the namespace of `side`, 0 or 1, begins with."""
        return ["ip", "netns", "exec", self.names[side]]

    @staticmethod
    def _open_tun(name):
        """A TUN device of the namespace, read and written here."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net", "rb") as own, open(f"/run/netns/{name}", "rb") as other:
            if libc.setns(other.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
                fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH", b"tun0", IFF_TUN | IFF_NO_PI))
            finally:
                libc.setns(own.fileno(), CLONE_NEWNET)
        return descriptor

    def _carry(self):
        queue, order = [], itertools.count()
        other = dict(zip(self.descriptors, reversed(self.descriptors)))
        while not self.stopping:
            wait = min(0.1, max(0.0, queue[0][0] - time.monotonic())) if queue else 0.1
            readable, _, _ = select.select(self.descriptors, [], [], wait)
            now = time.monotonic()
            for descriptor in readable:
                packet = os.read(descriptor, PACKET_MAX)
                if len(queue) < QUEUE_MAX:
                    due = now + self.delay_s + self.jitter_s * random.random()
                    heapq.heappush(queue, (due, next(order), other[descriptor], packet))
            while queue and queue[0][0] <= time.monotonic():
                _, _, descriptor, packet = heapq.heappop(queue)
                try:
                    os.write(descriptor, packet)
                except OSError:
                    pass  # The device is full or going away: lost.

    def lose(self, percent):
        """From now on this share of the packets is lost in either direction; 100 cuts, 0 heals."""
        some = "" if percent >= 100 else f"numgen random mod 100 < {percent}"
        for name in self.names:
            rule = f"""
                table inet panal {{
                  chain arriving {{
                    type filter hook input priority 0; policy accept;
                    iifname "tun0" {some} drop
                  }}
                }}
                """
            subprocess.run(["ip", "netns", "exec", name, "nft", "delete", "table", "inet", "panal"], capture_output=True)
            if percent > 0:
                subprocess.run(["ip", "netns", "exec", name, "nft", "-f", "-"], input=rule, text=True, check=True)

    def close(self):
        self.stopping = True
        if self.thread is not None:
            self.thread.join()
        for descriptor in self.descriptors:
            os.close(descriptor)
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
