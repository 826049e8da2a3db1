#!/usr/bin/python3
"""Whether searches of a real mesh keep what they say, before, right after and some time after half of it was killed.

Usage: real_mesh_test.py [--processes N] [--peers N] [--searches N] [--seed S]

Processes of several peers each (mesh_host) publish files; half of the processes, chosen by the seed, get SIGKILL. What
each search says it found is held against the truth, which is asked of every peer that lives. Prints one JSON object of
figures: times in seconds, memory in MiB and processor time in percent of a core, a peer.
"""

import argparse
import glob
import json
import os
import random
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import peers  # noqa: E402
from peers import ROOT, wait_for  # noqa: E402

HOST = os.path.join(peers.BUILD, "bin", "mesh_host")
PLUGIN = "/usr/bin/grpc_python_plugin"
# Files a peer publishes, and groups that a search asks for one of.
FILES, GROUPS = 3, 6
RECALL = 0.99
# How far the share that was found may lie below the recall that was said, in the mean of all searches.
TOLERANCE = 0.01
IDLE_SECONDS = 10
MESH_SECONDS = 300


def make_stubs(folder):
    os.mkdir(folder)
    subprocess.run([peers.tool("protoc"), "-I", os.path.join(ROOT, "proto"), f"--python_out={folder}",
                    f"--grpc_out={folder}", f"--plugin=protoc-gen-grpc={PLUGIN}",
                    *glob.glob(os.path.join(ROOT, "proto", "panal", "v1", "*.proto"))], check=True)
    sys.path.insert(0, folder)


class Peer:
    """A peer of a host process, as its API shows it. Calls wait for the connection: of many that gRPC opens at once one
    fails now and then, with ENOENT."""

    def __init__(self, ready):
        import grpc
        from panal.v1 import file_object_pb2_grpc, peer_object_pb2_grpc, search_object_pb2_grpc
        self.id, self.mesh_address = ready["peer_id"], ready["mesh"]
        self.channel = grpc.insecure_channel(ready["api"])
        self.peer = peer_object_pb2_grpc.PeerObjectStub(self.channel)
        self.files = file_object_pb2_grpc.FileObjectStub(self.channel)
        self.searches = search_object_pb2_grpc.SearchObjectStub(self.channel)

    def size(self):
        from panal.v1 import peer_object_pb2
        return self.peer.GetPeer(peer_object_pb2.GetPeerRequest(), timeout=60, wait_for_ready=True).mesh_size

    def neighbors(self):
        from panal.v1 import peer_object_pb2
        return {n.peer_id for n in self.peer.ListNeighbors(peer_object_pb2.ListNeighborsRequest(), timeout=60, wait_for_ready=True).neighbors}

    def publish(self, name, group):
        from panal.v1 import file_object_pb2
        self.files.PutFile(file_object_pb2.PutFileRequest(name=name, content=name.encode(),
                                                          attributes={"group": str(group)}), timeout=60, wait_for_ready=True)

    def own_files(self):
        from panal.v1 import file_object_pb2
        listed = self.files.ListFiles(file_object_pb2.ListFilesRequest(), timeout=60, wait_for_ready=True).files
        return {(file.name, file.attributes["group"]) for file in listed}

    def search(self, query):
        """Names found, the summary, and the seconds it took."""
        from panal.v1 import search_object_pb2
        begun, names, summary = time.monotonic(), set(), None
        request = search_object_pb2.SearchRequest(query=query, recall=RECALL, limit=10000)
        for response in self.searches.Search(request, timeout=60, wait_for_ready=True):
            if response.HasField("summary"):
                summary = response.summary
            else:
                names.add(response.hit.name)
        return names, summary, time.monotonic() - begun


class Host:
    """A process of peers."""

    def __init__(self, folder, count, join):
        self.log = open(folder + ".log", "wb")
        self.count, self.peers = count, []
        self.process = subprocess.Popen([HOST, str(count), folder, "real-mesh", *join], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.log)

    def wait_ready(self):
        end, said = time.monotonic() + MESH_SECONDS, b""
        while said.count(b"\n") < self.count:
            readable, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            chunk = os.read(self.process.stdout.fileno(), 65536) if readable else b""
            if not chunk:
                raise AssertionError(f"a host process did not start; see {self.log.name}")
            said += chunk
        self.peers = [Peer(json.loads(line[len("ready "):])) for line in said.decode().splitlines()]
        return self.peers

    def ticks(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
            return sum(int(x) for x in file.read().rsplit(")", 1)[1].split()[11:13])

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="utf-8") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def log_end(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            return file.read()[-1000:]

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process.stdout.close()
        self.log.close()


class RealMesh:
    def __init__(self, arguments, folder):
        self.random = random.Random(arguments.seed)
        self.arguments, self.folder = arguments, folder
        self.hosts = []
        self.pool = ThreadPoolExecutor(16)
        self.figures = {"processes": arguments.processes, "peers": arguments.processes * arguments.peers,
                        "seed": arguments.seed}

    def live(self):
        return [peer for host in self.hosts if host.process.poll() is None for peer in host.peers]

    def of_all(self, what):
        """what(peer) of every live peer, several at a time."""
        return list(self.pool.map(what, self.live()))

    def add_host(self):
        known = [peer.mesh_address for peer in self.live()]
        join = self.random.sample(known, min(len(known), self.arguments.peers))
        host = Host(os.path.join(self.folder, str(len(self.hosts))), self.arguments.peers, join)
        self.hosts.append(host)
        return host

    def knows_itself(self):
        count = len(self.live())
        return all(abs(size / count - 1) <= 0.1 for size in self.of_all(Peer.size))

    def grow(self):
        begun = time.monotonic()
        for _ in range(self.arguments.processes):
            self.add_host().wait_ready()
        wait_for(self.knows_itself, "every peer knows the size of the mesh", MESH_SECONDS, 0.5)
        self.figures["grown_s"] = round(time.monotonic() - begun, 2)

    def publish(self):
        begun = time.monotonic()

        def publish(numbered):
            number, peer = numbered
            for i in range(FILES):
                peer.publish(f"comb-{number}-{i}", (FILES * number + i) % GROUPS)

        list(self.pool.map(publish, enumerate(self.live())))
        self.figures["published_s"] = round(time.monotonic() - begun, 2)
        truth = self.truth()
        wait_for(lambda: all(self.judge(self.random.choice(self.live()), truth, group)["found"] >= RECALL
                             for group in range(GROUPS)), "what was published is found", MESH_SECONDS, 0.5)
        self.figures["searchable_s"] = round(time.monotonic() - begun, 2)

    def truth(self):
        """Names by group, of everything that live peers publish."""
        groups = {str(group): set() for group in range(GROUPS)}
        for files in self.of_all(Peer.own_files):
            for name, group in files:
                groups[group].add(name)
        return groups

    @staticmethod
    def judge(peer, truth, group):
        names, summary, seconds = peer.search(f"group={group}")
        there = truth[str(group)]
        return {"found": len(names & there) / len(there), "said": summary.recall, "complete": summary.complete,
                "seconds": seconds, "reached": summary.peers_reached, "size": summary.mesh_size}

    def search(self, when, count):
        """Searches from random peers, one after the other; their figures."""
        truth = self.truth()
        results = [self.judge(self.random.choice(self.live()), truth, self.random.randrange(GROUPS))
                   for _ in range(count)]
        seconds = sorted(result["seconds"] for result in results)
        figures = {key: round(statistics.mean(result[key] for result in results), 5)
                   for key in ("found", "said", "complete", "reached", "size")}
        figures.update(searches=count, p50_ms=round(1000 * statistics.median(seconds), 1),
                       p99_ms=round(1000 * seconds[int(0.99 * (len(seconds) - 1))], 1))
        self.figures[when] = figures
        return figures

    def measure_idle(self):
        hosts = [host for host in self.hosts if host.process.poll() is None]
        before, begun = [host.ticks() for host in hosts], time.monotonic()
        wait_for(lambda: time.monotonic() - begun >= IDLE_SECONDS, "the interval is over", 2 * IDLE_SECONDS)
        elapsed = time.monotonic() - begun
        used = sum(host.ticks() - ticks for host, ticks in zip(hosts, before)) / os.sysconf("SC_CLK_TCK")
        count = len(self.live())
        self.figures["idle_cpu_percent"] = round(100 * used / elapsed / count, 3)
        self.figures["resident_mib"] = round(sum(host.resident_mib() for host in hosts) / count, 1)

    def measure_join(self):
        """A further process, whose peers know nothing: how long until each finds what is there."""
        host = self.add_host()
        begun = time.monotonic()
        host.wait_ready()
        truth = self.truth()

        def searchable(peer):
            wait_for(lambda: self.judge(peer, truth, 0)["found"] >= RECALL, "a newcomer finds", MESH_SECONDS, 0.05)
            return time.monotonic() - begun

        self.figures["join_to_searchable_s"] = round(statistics.median(self.pool.map(searchable, host.peers)), 2)

    def kill_half(self):
        victims = self.random.sample(self.hosts, len(self.hosts) // 2)
        dead = {peer.id for host in victims for peer in host.peers}
        for host in victims:
            host.process.send_signal(signal.SIGKILL)
        begun = time.monotonic()
        for host in victims:
            host.process.wait()
        self.figures["killed"] = len(dead)
        return dead, begun

    def wait_mended(self, dead, begun):
        wait_for(lambda: not any(dead & neighbors for neighbors in self.of_all(Peer.neighbors)),
                 "no peer has a dead neighbor", MESH_SECONDS, 0.1)
        self.figures["detected_s"] = round(time.monotonic() - begun, 2)
        wait_for(self.knows_itself, "every peer knows the new size", MESH_SECONDS, 0.5)
        self.figures["mended_s"] = round(time.monotonic() - begun, 2)

    def run(self):
        third = self.arguments.searches // 3
        self.grow()
        self.publish()
        rows = [self.search("before", third)]
        self.measure_idle()
        self.measure_join()
        dead, begun = self.kill_half()
        rows.append(self.search("at_once", third))
        self.wait_mended(dead, begun)
        rows.append(self.search("mended", self.arguments.searches - 2 * third))
        return rows

    def end(self):
        list(self.pool.map(Host.end, self.hosts))
        self.pool.shutdown()


def check(rows):
    """Nothing is claimed that is not so."""
    for row in rows:
        assert row["found"] >= row["said"] - TOLERANCE, f"less was found than was said: {row}"
    for row in rows[0], rows[-1]:
        assert row["complete"] == 1, f"a search of a mesh that stands was incomplete: {row}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--peers", type=int, default=8)
    parser.add_argument("--searches", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    try:
        import google.protobuf  # noqa: F401
        import grpc  # noqa: F401
    except ImportError:
        print("skipped: python3-grpcio or python3-protobuf is not installed; scripts/install-deps test")
        return peers.SKIPPED
    folder = tempfile.mkdtemp(prefix="panal-real-mesh-")
    mesh = RealMesh(arguments, folder)
    try:
        make_stubs(os.path.join(folder, "stubs"))
        rows = mesh.run()
    except BaseException:
        print(json.dumps(mesh.figures))
        print(f"replay: {' '.join(sys.argv[:1])} --processes {arguments.processes} --peers {arguments.peers}"
              f" --searches {arguments.searches} --seed {arguments.seed}", file=sys.stderr)
        for host in mesh.hosts:
            print(f"log of process {host.process.pid} ends:\n{host.log_end()}", file=sys.stderr)
        raise
    finally:
        mesh.end()
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(mesh.figures))
    check(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
