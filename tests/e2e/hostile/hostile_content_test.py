#!/usr/bin/python3
"""What a source of files may do to who fetches from it: wrong bytes, lies about what it has, names that leave a folder."""

import hashlib
import os
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor

import hostile_mesh  # noqa: F401  (sets the path)
import identity
import pages
import peers
import speaker
from hostile_mesh import HostileTest
from identity import raw_of, text_of
from peers import FAILED

BLOCK = 256 * 1024
FILE, DIRECTORY = 1, 2


def manifest_of(content, kind=FILE):
    blocks = [content[i:i + BLOCK] for i in range(0, len(content), BLOCK)]
    return (b"panal manifest v1\0" + struct.pack(">BQI", kind, len(content), BLOCK) +
            b"".join(hashlib.sha256(block).digest() for block in blocks))


def listing_of(*names):
    """A listing of files of three bytes; nothing is checked, so that it may name what none should."""
    content = b"panal listing v1\0" + struct.pack(">I", len(names))
    for name in names:
        content += struct.pack(">H", len(name)) + name + struct.pack(">BBQ", FILE, 0, 3) + file_id(b"abc")
    return content


def file_id(content, kind=FILE):
    return hashlib.sha256(manifest_of(content, kind)).digest()


class Source:
    """Serves Blocks on a port of its own, by a function of what is wanted."""

    def __init__(self, made):
        import grpc
        self.made, self.answer, self.asked = made, None, 0
        self.server = grpc.server(ThreadPoolExecutor(16))
        handlers = {"Blocks": grpc.stream_stream_rpc_method_handler(self._serve)}
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("panal.v1.FileObject", handlers),))
        keys = [(made.who.key_pem, made.who.certificate_pem)]
        self.address = f"127.0.0.1:{self.server.add_secure_port('127.0.0.1:0', grpc.ssl_server_credentials(keys))}"
        self.server.start()

    def _serve(self, wants, context):
        context.send_initial_metadata(self.made.shown())
        for want in wants:
            self.asked += 1
            yield from (response if isinstance(response, bytes) else response.SerializeToString()
                        for response in self.answer(speaker.pb2("file_object").BlocksRequest.FromString(want)))

    def end(self):
        self.server.stop(None)


class Content(HostileTest):

    def setUp(self):
        super().setUp()
        self.made = self.member()
        self.source = Source(self.made)
        self.addCleanup(self.source.end)
        self.link = self.made.link(speaker.Link.hello(addresses=[self.source.address])).become_neighbor()
        self.addCleanup(self.link.cancel)
        self.target = self.path("got")
        os.mkdir(self.target)

    def offer(self, raw_id, name="honey", kind="FILE", size=1):
        """Every query that names the id is answered: here it is."""
        def answer(cast, answer):
            if text_of(raw_id) in cast.query.query:
                hit = answer.hits.add(publisher=self.made.who.id, addresses=[self.source.address], publisher_version=1)
                hit.record.CopyFrom(pages.record(name, kind, raw_id, size_bytes=size))
        self.link.answer = answer

    def serve(self, content, kind=FILE, manifest=None, inline=None, spoil=None):
        """Serves `content`, its blocks changed by `spoil`(index, bytes) to what chunks carry."""
        files = speaker.pb2("file_object")
        raw_id = file_id(content, kind)

        def answer(want):
            if want.HasField("manifest"):
                part = files.ManifestPart(file_id=want.manifest.file_id, manifest=manifest or manifest_of(content, kind))
                if inline is not None:
                    part.inline_content, part.has_inline_content = inline, True
                yield files.BlocksResponse(manifest=part)
                return
            index = want.block.index
            block = content[index * BLOCK:(index + 1) * BLOCK]
            yield from (files.BlocksResponse(chunk=chunk) for chunk in
                        (spoil or self.whole)(files, raw_id, index, block))

        self.source.answer = answer
        return raw_id

    @staticmethod
    def whole(files, raw_id, index, block):
        yield files.BlockChunk(file_id=raw_id, index=index, offset_bytes=0, data=block, last=True)

    def get(self, raw_id, code, *options, timeout="4s", **more):
        return self.victim.panal("get", text_of(raw_id), "--timeout", timeout, *options, code=code, cwd=self.target, **more)

    def assert_nothing_written(self):
        self.assertEqual(os.listdir(self.target), [])

    def test_honest_source_is_believed(self):
        content = os.urandom(3 * BLOCK + 5)
        raw_id = self.serve(content)
        self.offer(raw_id, size=len(content))
        with self.attacked("nothing: a source that this program plays honestly"):
            self.get(raw_id, peers.OK, "-O", "whole")
        with open(os.path.join(self.target, "whole"), "rb") as file:
            self.assertEqual(file.read(), content)

    def test_wrong_manifests(self):
        content = os.urandom(2 * BLOCK)
        with self.attacked("manifests of other contents, cut, or of impossible sizes"):
            good = manifest_of(content)
            for bad in (manifest_of(os.urandom(2 * BLOCK)), good[:-1], good + b"\0", b"", os.urandom(300), good.replace(b"v1", b"v2"),
                        b"panal manifest v1\0" + struct.pack(">BQI", FILE, 2**63, BLOCK)):
                raw_id = self.serve(content, manifest=bad or b"\0")
                self.offer(raw_id, size=len(content))
                self.get(raw_id, None, "-O", "bad", timeout="1s")
                self.assert_nothing_written()
        self.assertGreater(self.source.asked, 6)

    def spoilers(self):
        def wrong(files, raw_id, index, block):
            yield files.BlockChunk(file_id=raw_id, index=index, data=bytes(len(block)), last=True)

        def short(files, raw_id, index, block):
            yield files.BlockChunk(file_id=raw_id, index=index, data=block[:-1], last=True)

        def long(files, raw_id, index, block):
            yield files.BlockChunk(file_id=raw_id, index=index, data=block + b"x", last=True)

        def displaced(files, raw_id, index, block):
            yield files.BlockChunk(file_id=raw_id, index=index, offset_bytes=2**32 - 1, data=block, last=True)

        def another(files, raw_id, index, block):
            yield files.BlockChunk(file_id=raw_id, index=2**32 - 1, data=block, last=True)

        def endless(files, raw_id, index, block):
            for _ in range(1000):
                yield files.BlockChunk(file_id=raw_id, index=index, data=bytes(1 << 20))

        def huge(files, raw_id, index, block):
            yield files.BlockChunk(file_id=raw_id, index=index, data=bytes(5 << 20), last=True)

        return {f.__name__: f for f in (wrong, short, long, displaced, another, endless, huge)}

    def test_wrong_blocks_are_refused_and_nothing_is_written(self):
        content = os.urandom(2 * BLOCK)
        with self.attacked("blocks that are wrong, short, long, displaced, another's, endless"):
            for name, spoil in self.spoilers().items():
                with self.subTest(spoil=name):
                    content = os.urandom(2 * BLOCK)
                    raw_id = self.serve(content, spoil=spoil)
                    self.offer(raw_id, size=len(content))
                    asked = self.source.asked
                    done = self.get(raw_id, None, "-O", "bad", timeout="1s")
                    self.assertNotEqual(done.returncode, peers.OK)
                    self.assertGreater(self.source.asked, asked + 1, "blocks were asked for")
                    self.assert_nothing_written()

    def test_wrong_blocks_beside_an_honest_source(self):
        content = os.urandom(8 * BLOCK)
        path = os.path.join(self.folder, "content")
        with open(path, "wb") as file:
            file.write(content)
        added = raw_of(self.founder.add(path)["id"])
        self.assertEqual(added, file_id(content))
        self.serve(content, spoil=self.spoilers()["wrong"])
        self.offer(added, size=len(content))
        with self.attacked("wrong blocks beside an honest source"):
            self.get(added, peers.OK, "-O", "whole", timeout="60s")
        with open(os.path.join(self.target, "whole"), "rb") as file:
            self.assertEqual(file.read(), content)

    def test_wrong_content_sent_with_the_manifest(self):
        content = b"linden and heather"
        with self.attacked("a wrong content within the answer"):
            for inline in (b"linden and heathen", b"", bytes(16_385)):
                raw_id = self.serve(content, inline=inline, spoil=self.spoilers()["wrong"])
                self.offer(raw_id, size=len(content))
                done = self.get(raw_id, None, "-O", "bad", timeout="1s")
                self.assertNotEqual(done.returncode, peers.OK)
                self.assert_nothing_written()

    def test_answers_that_are_none(self):
        raw_id = self.serve(os.urandom(BLOCK))
        files = speaker.pb2("file_object")
        self.offer(raw_id, size=BLOCK)
        unasked = files.BlocksResponse(chunk=files.BlockChunk(file_id=raw_id, index=0, data=b"x", last=True))
        refused = files.BlocksResponse(refusal=files.BlockRefusal(file_id=raw_id, manifest=True, reason="../../" * 100))
        with self.attacked("answers that decode to nothing, nobody asked for, or never come"):
            for answers in ([b"\xff\xff"], [pages.nested(60_000)], [unasked], [refused], [b""], []):
                self.source.answer = lambda want, answers=answers: answers
                done = self.get(raw_id, None, "-O", "bad", timeout="1s")
                self.assertNotEqual(done.returncode, peers.OK)
                self.assert_nothing_written()

    def test_listing_with_names_that_leave_the_folder(self):
        with self.attacked("directories whose entries leave the folder"):
            for names in ((b"..",), (b".",), (b"../outside",), (b"/etc/outside",), (b"a/b",), (b"a\0b",), (b"",), (b"b", b"a"), (b"a", b"a")):
                with self.subTest(names=names):
                    content = listing_of(*names)
                    raw_id = self.serve(content, DIRECTORY)
                    self.offer(raw_id, kind="DIRECTORY", size=len(content))
                    done = self.get(raw_id, FAILED, "-O", "bad")
                    self.assert_fails(done, "LISTING_INVALID")
                    self.assert_nothing_written()
        self.assertFalse(os.path.exists(self.path("outside")) or os.path.exists("/etc/outside"))

    def test_published_names_that_leave_the_folder(self):
        content = b"x" * 20_000
        raw_id = self.serve(content)
        with self.attacked("hits whose names leave the folder"):
            for name in ("../../outside", "/etc/outside", "a/../../outside", "..", "a\0b"):
                with self.subTest(name=name):
                    self.offer(raw_id, name, size=len(content))
                    self.victim.hits(f"id={text_of(raw_id)}", code=None)
                    refusal = self.link.wait_refused()
                    self.assert_refused(refusal, "INVALID_ARGUMENT", "FRAME_INVALID", opened=True)
                    self.link = self.made.link(speaker.Link.hello(addresses=[self.source.address])).become_neighbor()
            self.offer(raw_id, "etc/outside", size=len(content))
            self.get(raw_id, peers.OK)
        self.assertEqual(len(os.listdir(self.target)), 1)
        self.assertIn(os.listdir(self.target)[0], (text_of(raw_id), "outside"))
        self.assertFalse(os.path.exists(self.path("outside")) or os.path.exists("/etc/outside"))


class Names(HostileTest):
    """Names that a peer is given and that might become paths."""

    def test_mesh_name_and_ticket_that_would_be_paths(self):
        folder, before = self.path("names"), set(os.listdir(self.shared))
        os.mkdir(folder)
        with self.attacked("meshes named as paths", peer=self.founder):
            for i, name in enumerate(("../../outside", "/etc/outside", "..", "a/b")):
                data = os.path.join(folder, str(i))
                subprocess.run([peers.PANAL, "init", "--data-dir", data, "--mesh", name], check=True, capture_output=True)
                self.assertTrue(os.path.exists(os.path.join(data, "membership")))
            self.assertEqual(sorted(os.listdir(folder)), ["0", "1", "2", "3"])
            waiting = self.peer(mesh="secret", policy="invite").start()
            ticket = identity.Ticket(self.ticket_line())
            for name in ("../../outside", b"\xff\xfe", b"", b"x" * 65):
                line = identity.ticket_line(name, ticket.chain, ticket.seed, ticket.contacts)
                waiting.panal("join", line, code=None)
            for contact in ("../../etc/passwd:1", "/etc/passwd", "127.0.0.1:99999"):
                line = identity.ticket_line("secret", ticket.chain, ticket.seed, [(ticket.contacts[0][0], contact)])
                self.assertNotEqual(waiting.panal("join", line, code=None).returncode, peers.OK)
        self.assertFalse(os.path.exists(self.path("outside")) or os.path.exists("/etc/outside"))
        self.assertEqual(set(os.listdir(self.shared)) - before, set())

    def test_ticket_file_that_is_none(self):
        for content in (b"../../etc/passwd", b"panal1-" + b"a" * 5000, os.urandom(2000), b"\0"):
            path = self.path("ticket")
            with open(path, "wb") as file:
                file.write(content)
            peer = self.peer(mesh="secret", policy="invite", flags=["--ticket-file", path])
            done = peers.run_panald(*peer.arguments())
            self.assertNotEqual(done.returncode, peers.OK)
            self.assertIn("TICKET_INVALID", done.stderr)


if __name__ == "__main__":
    peers.main()
