#!/usr/bin/env python3
"""Measures a real mesh on loopback: what docs/benchmarks.md states, with its command.

Usage: tests/bench/mesh_bench.py [--bin DIR] [--only NAME] [--size-mib N] [--files N] [--runs N]

Prints one JSON object a line and a median table at the end. Absolute times mean little on a shared
machine: compare within one run.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

IDLE_SECONDS = 20
ROOT = pathlib.Path(__file__).resolve().parents[2]


class Peer:
    """One panald with a data directory of its own."""

    def __init__(self, binary, folder, join=None):
        self.binary, self.folder = binary, folder
        command = [binary / "panald", "--data-dir", folder, "--mesh", "bench", "--policy", "open",
                   "--mesh-listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0",
                   "--http-listen", "off", "--root", "/", "--log-level", "warning"]
        if join:
            command += ["--join", join]
        begun = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.start_seconds = time.monotonic() - begun
        if not line.startswith("ready "):
            sys.exit("panald did not start")
        self.ready = json.loads(line[len("ready "):])

    def panal(self, *arguments):
        """Runs the command line against this peer; its JSON lines and how long it took."""
        begun = time.monotonic()
        done = subprocess.run([self.binary / "panal", "--api", self.ready["api"], "-o", "json",
                               *arguments], capture_output=True, text=True, check=False)
        seconds = time.monotonic() - begun
        if done.returncode not in (0, 3):
            sys.exit(f"panal {' '.join(map(str, arguments))}: {done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()], seconds

    def rss_mib(self, key="VmRSS"):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(key + ":")[1].split()[0]) / 1024

    def threads(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("Threads:")[1].split()[0])

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)


def mesh(binary, folder, count):
    """A mesh of so many peers, each of which knows its number."""
    peers = [Peer(binary, folder / "1")]
    for i in range(2, count + 1):
        peers.append(Peer(binary, folder / str(i), peers[0].ready["mesh"]))
    deadline = time.monotonic() + 60
    while any(peer.panal("status")[0][0]["mesh_size"] != count for peer in peers):
        if time.monotonic() > deadline:
            sys.exit("the mesh did not form within 60 s")
        time.sleep(0.05)  # Between two looks only.
    return peers


def small_files(folder, count):
    """Real text: slices of what lies in /usr/share/doc, 1 to 12 KiB each."""
    source = b"".join(path.read_bytes() for path in sorted(pathlib.Path("/usr/share/doc").rglob("copyright"))[:200]
                      if path.is_file())
    rng = random.Random(1)
    folder.mkdir(parents=True)
    for i in range(count):
        size = rng.randint(1024, 12 * 1024)
        offset = rng.randrange(max(1, len(source) - size))
        sub = folder / f"{i % 100:02d}"
        sub.mkdir(exist_ok=True)
        (sub / f"note-{i:06d}.txt").write_bytes(b"%d\n" % i + source[offset:offset + size])


def bench_start(args, folder):
    peer = Peer(args.bin, folder / "1")
    seconds = peer.start_seconds
    peer.stop()
    again = Peer(args.bin, folder / "1")
    restart = again.start_seconds
    again.stop()
    return {"start_s": seconds, "restart_s": restart}


def bench_publish(args, folder):
    small_files(folder / "files", args.files)
    copied = time.monotonic()
    shutil.copytree(folder / "files", folder / "copy")
    copy_seconds = time.monotonic() - copied
    peers = mesh(args.bin, folder / "mesh", 5)
    added, seconds = peers[0].panal("add", folder / "files")
    found, search_seconds = peers[1].panal("search", "note-000007")
    in_mesh = found[-1]["summary"]["elapsed_ms"]
    place, place_seconds = peers[2].panal("add", "--in-place", folder / "copy")
    result = {"files": added[0]["files"], "add_s": seconds, "files_per_s": added[0]["files"] / seconds,
              "in_place_s": place_seconds, "copy_s": copy_seconds, "search_ms": in_mesh,
              "search_process_s": search_seconds, "rss_mib": peers[0].rss_mib()}
    fetched, fetch_seconds = peers[3].panal("get", added[0]["id"], "-O", folder / "out")
    result.update(fetch_dir_s=fetch_seconds, fetch_files_per_s=added[0]["files"] / fetch_seconds)
    for peer in peers:
        peer.stop()
    return result


def bench_transfer(args, folder):
    size = args.size_mib * 1024 * 1024
    big = folder / "big"
    with open(big, "wb") as out:
        for _ in range(args.size_mib):
            out.write(os.urandom(1024 * 1024))
    copied = time.monotonic()
    shutil.copyfile(big, folder / "copy")
    copy_seconds = time.monotonic() - copied
    peers = mesh(args.bin, folder / "mesh", 2)
    added, add_seconds = peers[0].panal("add", big)
    before = [peer.cpu_seconds() for peer in peers]
    got, seconds = peers[1].panal("get", added[0]["id"], "-O", folder / "out")
    cpu = [peer.cpu_seconds() - start for peer, start in zip(peers, before)]
    gib = size / 2**30
    result = {"gib": gib, "add_s": add_seconds, "get_s": seconds, "gib_per_s": gib / seconds,
              "copy_s": copy_seconds, "sender_cpu_s": cpu[0], "receiver_cpu_s": cpu[1],
              "sender_peak_mib": peers[0].rss_mib("VmHWM"), "receiver_peak_mib": peers[1].rss_mib("VmHWM")}
    if (folder / "out").read_bytes() != big.read_bytes():
        sys.exit("the bytes differ")
    for peer in peers:
        peer.stop()
    return result


def bench_idle(args, folder):
    peers = mesh(args.bin, folder / "mesh", 5)
    before = [peer.cpu_seconds() for peer in peers]
    time.sleep(IDLE_SECONDS)  # The interval that is measured.
    cpu = [(peer.cpu_seconds() - start) / IDLE_SECONDS for peer, start in zip(peers, before)]
    result = {"rss_mib": statistics.median(peer.rss_mib() for peer in peers),
              "cpu_share": statistics.median(cpu), "threads": peers[0].threads()}
    for peer in peers:
        peer.stop()
    return result


BENCHES = {"start": bench_start, "publish": bench_publish, "transfer": bench_transfer, "idle": bench_idle}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin")
    parser.add_argument("--only", choices=BENCHES)
    parser.add_argument("--size-mib", type=int, default=1024)
    parser.add_argument("--files", type=int, default=10000)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    for name, bench in BENCHES.items():
        if args.only and args.only != name:
            continue
        rows = []
        for _ in range(args.runs):
            with tempfile.TemporaryDirectory(prefix="panal-bench-") as folder:
                rows.append(bench(args, pathlib.Path(folder)))
            print(json.dumps({"bench": name, **rows[-1]}), flush=True)
        medians = {key: round(statistics.median(row[key] for row in rows), 4) for key in rows[0]}
        print(json.dumps({"bench": name, "median_of": len(rows), **medians}), flush=True)


if __name__ == "__main__":
    main()
