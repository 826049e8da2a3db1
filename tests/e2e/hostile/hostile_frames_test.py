#!/usr/bin/python3
"""What a member may do to its neighbors with frames: a program with a valid credential sends frames, pages and calls that
are broken, forged, stale, another's, too many, or too large.
"""

import os
import struct
import sys
import time
import unittest

import hostile_mesh  # noqa: F401  (sets the path)
import identity
import pages
import peers
import speaker
from hostile_mesh import HostileTest
from peers import wait_for

FRAME_MAX = 256 * 1024
PAGES, MANY_PAGES = 20_000, 1_000_000
BAD = ("INVALID_ARGUMENT", "FRAME_INVALID")


class BrokenFrames(HostileTest):

    def assert_ends(self, made, message, code, reason, first=False):
        """A link, or one that was greeted before, ends when this comes."""
        link = speaker.Link(made.open(speaker.LINK)) if first else made.link()
        if not first:
            wait_for(link.greeted.is_set, "the Hello is answered")
            link.stream.send(b"")
        link.stream.send(message)
        self.assert_refused(link.wait_refused(), code, reason, opened=True)

    def frame(self, **fields):
        return speaker.pb2("frames").LinkFrame(**fields).SerializeToString()

    def test_first_frame_that_is_no_hello(self):
        made, frames = self.member(), speaker.pb2("frames")
        with self.attacked("first frames that are no Hello"):
            for first in (self.frame(join=frames.Join()), b"\xff" * 20, self.frame(hello=frames.Hello()),
                          self.frame(hello=speaker.Link.hello(addresses=["no address"])),
                          self.frame(hello=speaker.Link.hello(addresses=["127.0.0.1:1"] * 9)),
                          self.frame(hello=speaker.Link.hello(features=["x"] * 33))):
                self.assert_ends(made, first, *BAD, first=True)
            self.assert_ends(made, self.frame(hello=speaker.Link.hello()), *BAD)

    def test_compressed_frames(self):
        import grpc
        made = self.member()
        with self.attacked("compressed messages, which might be bombs"):
            for kind in (grpc.Compression.Gzip, grpc.Compression.Deflate):
                call = made.channel.stream_stream(speaker.LINK)(iter([self.frame(hello=speaker.Link.hello())]), metadata=made.shown(),
                                                                compression=kind)
                with self.assertRaises(grpc.RpcError) as refused:
                    list(call)
                self.assertEqual(refused.exception.code().name, "UNIMPLEMENTED")

    def test_protocol_version_of_the_future(self):
        made = self.member()
        with self.attacked("protocol versions that nobody speaks"):
            for low, high in ((2, 9), (2**32 - 1, 2**32 - 1)):
                refusal = made.link(speaker.Link.hello(low=low, high=high)).wait_refused()
                self.assert_refused(refusal, "FAILED_PRECONDITION", "PROTOCOL_VERSION_UNSUPPORTED", opened=True)

    def test_oversized_frames(self):
        made = self.member()
        with self.attacked("frames above the limit, and far above"):
            filler = b"\x82\x7d" + b"\x80\x80\x10" + bytes(FRAME_MAX)  # A field that is not known, of 256 KiB.
            self.assert_ends(made, filler, "RESOURCE_EXHAUSTED", "FRAME_TOO_LARGE")
            for size in (600 << 10, 16 << 20):
                link = made.link()
                wait_for(link.greeted.is_set, "the Hello is answered")
                link.stream.send(bytes(size))
                self.assertEqual(link.wait_refused().code, "RESOURCE_EXHAUSTED")

    def test_truncated_and_random_frames(self):
        made, frames = self.member(), speaker.pb2("frames")
        whole = self.frame(cast=pages.query_cast(made.who.id, "honey"))
        with self.attacked("frames cut short, and random bytes"):
            for size in (1, 3, 17, 40, len(whole) - 1):
                self.assert_ends(made, whole[:size], *BAD)
            for _ in range(50):
                self.assert_ends(made, b"\x4a" + os.urandom(200), *BAD)  # A Cast of some length.
            self.assertGreater(self.metric("panal_link_frames_undecodable_total"), 50)
            self.assertEqual(frames.LinkFrame.FromString(whole).cast.query.query, "honey")

    def test_fields_out_of_their_ranges(self):
        made, frames = self.member(), speaker.pb2("frames")
        contact = frames.PeerContact(peer_id=os.urandom(32), addresses=["127.0.0.1:1"])
        mine = made.who.id
        with self.attacked("fields out of their ranges"):
            for fields in ({"forward_join": frames.ForwardJoin(newcomer=contact, ttl=17)},
                           {"forward_join": frames.ForwardJoin(newcomer=frames.PeerContact(peer_id=b"short"))},
                           {"shuffle": frames.Shuffle(ttl=3, path=[mine] * 18)},
                           {"shuffle": frames.Shuffle(ttl=3, path=[mine], peers=[contact] * 17)},
                           {"measure": frames.Measure(sequence=1, round=1, fish=float("nan"), count=1)},
                           {"measure": frames.Measure(sequence=1, round=1, count=-1.0)},
                           {"measure": frames.Measure(sequence=1, round=1, count=float("inf"))},
                           {"cast": pages.query_cast(mine, "x", end=1_000_001)},
                           {"cast": pages.query_cast(mine, "x", hops=65)},
                           {"cast": pages.query_cast(mine, "x" * 1025)},
                           {"cast": pages.query_cast(mine, "x", bubble_id=b"short")},
                           {"digest": frames.Digest(version=1, filter=bytes(65))},
                           {"digest_delta": frames.DigestDelta(version=1)},
                           {"fact_digest": frames.FactDigest(count=16_385, names_hash=bytes(32))},
                           {"fact_want": frames.FactWant(names=bytes(13))},
                           {"fact_names": frames.FactNames(names=bytes(12 * 16_385))}):
                with self.subTest(fields=str(fields)[:80]):
                    self.assert_ends(made, self.frame(**fields), *BAD)

    def test_nesting_and_text_that_is_not_utf8(self):
        made, frames = self.member(), speaker.pb2("frames")
        raw = bytearray(self.frame(cast=pages.query_cast(made.who.id, "hOnEy")))
        raw[raw.index(b"hOnEy")] = 0xff
        hello = bytearray(self.frame(hello=speaker.Link.hello(addresses=["127.0.0.1:1"])))
        hello[hello.index(b"127.")] = 0xff
        with self.attacked("deep nesting, and text that is not UTF-8"):
            for depth in (101, 60_000):
                self.assert_ends(made, pages.nested(depth), *BAD)
            self.assert_ends(made, bytes(raw), *BAD)
            self.assert_ends(made, bytes(hello), *BAD, first=True)
            link = made.link().become_neighbor()
            for query in ("(" * 1024, "-" * 1024, "(" * 512 + "x" + ")" * 511, "a OR " * 200 + "a", '"' * 1024, "name:" * 200):
                made_cast = pages.query_cast(made.who.id, query)
                link.send(cast=made_cast)
                self.assertTrue(link.answer_to(made_cast.bubble_id).final)
            self.assertEqual(frames.LinkFrame.FromString(pages.nested(99)).WhichOneof("frame"), None)
            self.assertFalse(link.stream.ended.is_set(), link.stream.refusal)

    def test_frames_of_who_is_no_neighbor_are_ignored(self):
        made, frames = self.member(), speaker.pb2("frames")
        before = {n["peer_id"] for n in self.victim.json("peers")}
        link = made.link()
        wait_for(link.greeted.is_set, "the Hello is answered")
        link.stream.send(b"")
        with self.attacked("10,000 walks and shuffles of one who is no neighbor, and unknown frames"):
            for _ in range(5000):
                contact = frames.PeerContact(peer_id=os.urandom(32), addresses=["127.0.0.1:1"])
                link.send(forward_join=frames.ForwardJoin(newcomer=contact, ttl=6))
                link.send(shuffle=frames.Shuffle(ttl=6, path=[made.who.id], peers=[contact] * 16))
                link.stream.send(b"\xfa\x3e\x00")
            link.flush()
        self.assertEqual({n["peer_id"] for n in self.victim.json("peers")}, before)


class PublisherTest(HostileTest):
    """A member that is a neighbor of the attacked peer."""

    def setUp(self):
        super().setUp()
        self.made = self.member()
        self.link = self.made.link().become_neighbor()
        self.addCleanup(self.link.cancel)
        self.mine = self.made.who

    def found(self, word):
        return {hit["name"] for hit in self.victim.hits(word, code=None)}

    def send_forged_pages(self, count):
        made, mine = pages.page(self.mesh_id, self.mine, [pages.record("marjoram")]), pages.peer_page(self.mesh_id, self.mine)
        frame = bytearray(speaker.pb2("frames").LinkFrame(cast=pages.page_cast(self.mine.id, made, mine)).SerializeToString())
        at = bytes(frame).index(made.signature)
        counts = lambda: [self.metric(name) for name in ("panal_page_refused_total", "panal_link_frames_shed_total")]
        before = counts()
        with self.attacked(f"{count:,} forged pages"):
            for i in range(count):
                frame[at:at + 8] = struct.pack(">Q", i)
                self.link.stream.send(bytes(frame))
                if i % 1000 == 0:
                    self.link.flush()
            self.link.flush()
            wait_for(lambda: sum(counts()) - sum(before) >= count, "all are dealt with", seconds=600)
            refused, shed = (now - then for now, then in zip(counts(), before))
            print(f"    refused {refused:,.0f}, dropped unread {shed:,.0f}")
        self.assertFalse(self.link.stream.ended.is_set(), self.link.stream.refusal)
        self.assertEqual(self.found("marjoram"), set())


@unittest.skipUnless("MillionPages" in sys.argv, "takes many minutes: name it to run it")
class MillionPages(PublisherTest):

    def test_flood_of_a_million_forged_pages(self):
        self.send_forged_pages(MANY_PAGES)


class Pages(PublisherTest):

    def keep(self, some_page, its_peer_page):
        """Has the attacked peer visit a page; whether it keeps it."""
        made = pages.page_cast(self.mine.id, some_page, its_peer_page)
        self.link.send(cast=made)
        return self.link.answer_to(made.bubble_id).kept > 0

    def test_good_page_is_kept_and_stale_ones_change_nothing(self):
        mine = pages.peer_page(self.mesh_id, self.mine)
        make = lambda name, version, **other: pages.page(self.mesh_id, self.mine, [pages.record(name, version=version)], number=3,
                                                         version=version, **other)
        with self.attacked("stale and replayed pages"):
            first = make("clover one", 5)
            self.assertTrue(self.keep(first, mine))
            self.assertEqual(self.found("clover"), {"clover one"})
            self.assertTrue(self.keep(make("clover two", 7), mine))
            for stale in (first, make("clover three", 6), make("clover four", 7, expires_s=time.time() + 60)):
                self.keep(stale, mine)
            self.assertEqual(self.found("clover"), {"clover two"})

    def test_page_that_lives_too_long_or_is_over(self):
        mine, now = pages.peer_page(self.mesh_id, self.mine), time.time()
        refused = self.metric("panal_page_refused_total")
        with self.attacked("pages that are over, or live for ever"):
            for end in (now - 1, 1, now + 3700, 2**40):
                some = pages.page(self.mesh_id, self.mine, [pages.record("heather")], number=4, expires_s=end)
                self.link.send(cast=pages.page_cast(self.mine.id, some, mine))
            wait_for(lambda: self.metric("panal_page_refused_total") >= refused + 4, "they are refused")
        self.assertEqual(self.found("heather"), set())

    def test_page_of_another_mesh_or_in_the_name_of_another(self):
        mine, other = pages.peer_page(self.mesh_id, self.mine), self.stranger()
        founder = identity.Key(os.path.join(self.founder.data_dir, "peer.key"))
        in_name = {"publisher": (founder.id, founder.public)}
        theirs = pages.page(self.mesh_id, self.mine, [pages.record(founder.text, "PEER", founder.id, addresses=["127.0.0.1:9"])],
                            number=0, version=2**60, **in_name)
        refused = self.metric("panal_page_refused_total")
        with self.attacked("pages in another's name, or of another mesh"):
            in_their_name = pages.page(self.mesh_id, self.mine, [pages.record("linden")], **in_name)
            for some, its_peer_page in ((in_their_name, theirs), (theirs, None), (pages.page(os.urandom(32), self.mine, [pages.record("linden")]), mine)):
                self.link.send(cast=pages.page_cast(self.mine.id, some, its_peer_page))
            wait_for(lambda: self.metric("panal_page_refused_total") >= refused + 3, "they are refused")
            self.link.send(cast=pages.page_cast(self.mine.id, in_their_name, mine))
            self.assert_refused(self.link.wait_refused(), *BAD, opened=True)
            self.link = self.made.link().become_neighbor()
            self.assertTrue(self.keep(pages.page(self.mesh_id, other, [pages.record("acacia")]), pages.peer_page(self.mesh_id, other)),
                            "who carries a page needs not have signed it")
        self.assertEqual(self.found("linden"), set())
        self.assertEqual([a for hit in self.victim.hits(f"id:{self.founder.id}", code=None) for a in hit.get("addresses", ())
                          if a == "127.0.0.1:9"], [])

    def test_page_with_records_that_none_may_publish(self):
        someone = os.urandom(32)
        bad = {"peer record of another": (0, pages.record(identity.text_of(someone), "PEER", someone, addresses=["127.0.0.1:9"])),
               "peer record elsewhere": (5, pages.record(self.mine.text, "PEER", self.mine.id)),
               "parent folder": (5, pages.record("../../etc/passwd")), "absolute": (5, pages.record("/etc/passwd")),
               "dot": (5, pages.record("a/./b")), "empty part": (5, pages.record("a//b")), "NUL": (5, pages.record("a\0b")),
               "no name": (5, pages.record("")), "long name": (5, pages.record("x" * 1025)),
               "attribute": (5, pages.record("x", attributes={"publisher": "me"})),
               "many attributes": (5, pages.record("x", attributes={f"k{i}": "v" for i in range(33)})),
               "size": (5, pages.record("x", size_bytes=2**62 + 1))}
        with self.attacked("pages with records out of their limits, paths that leave their folder among them"):
            for what, (number, record) in bad.items():
                with self.subTest(what=what):
                    link = self.made.link().become_neighbor()
                    some = pages.page(self.mesh_id, self.mine, [record], number=number)
                    link.send(cast=pages.page_cast(self.mine.id, some, pages.peer_page(self.mesh_id, self.mine) if number else None))
                    self.assert_refused(link.wait_refused(), *BAD, opened=True)

    def test_flood_of_forged_pages(self):
        self.send_forged_pages(PAGES)

    def test_more_pages_than_a_publisher_may_have(self):
        with self.attacked("pages numbered above the limit"):
            some = pages.page(self.mesh_id, self.mine, [pages.record("thyme")], number=16_385)
            self.link.send(cast=pages.page_cast(self.mine.id, some, pages.peer_page(self.mesh_id, self.mine)))
            self.assert_refused(self.link.wait_refused(), *BAD, opened=True)

    def test_flood_of_queries_is_answered_or_refused(self):
        with self.attacked("3,000 casts of an expensive query at once"):
            made = [pages.query_cast(self.mine.id, " OR ".join(f"{a}*" for a in "abcdefghijklmnop"), begin=0, end=1000) for _ in range(3000)]
            for one in made:
                self.link.send(cast=one)
            wait_for(lambda: all(one.bubble_id in self.link.answers for one in made), "all are answered", seconds=120)


class Calls(HostileTest):

    PEER, FILES = "/panal.v1.PeerObject/", "/panal.v1.FileObject/"

    def setUp(self):
        super().setUp()
        self.made = self.member()
        self.stream = self.made.open(speaker.CALL)
        self.addCleanup(self.stream.cancel)
        self.assertIn("panal-mesh", self.stream.metadata())
        self.last = -1

    def call(self, method, request=b"", reference="", wait=True):
        """What a call ends with: code and reason."""
        self.last += 2
        self.stream.send(pages.batch(*pages.opened(self.last, method, reference, request)))
        return self.status_of(self.last) if wait else None

    def status_of(self, call_id):
        while True:
            for frame in speaker.pb2("frames").CallBatch.FromString(self.stream.next()).frames:
                if frame.call_id == call_id and frame.HasField("status"):
                    return frame.status.code, self.reason_of(frame.status.details)

    def end_of(self, call_id):
        """What a call ends with; None where the stream ends before."""
        try:
            return self.status_of(call_id)
        except AssertionError:
            if not self.stream.ended.is_set():
                raise
            return None

    @staticmethod
    def reason_of(details):
        if not details:
            return ""
        errors = speaker.pb2("errors")
        return errors.ErrorInfo.FromString(errors.Status.FromString(details).details[0].value).reason

    def test_what_is_for_programs_is_refused_to_peers(self):
        files, found = speaker.pb2("file_object"), os.path.join(self.shared, "hostile-was-here")
        with self.attacked("methods that store, fetch, invite or revoke"):
            self.assertEqual(self.call(self.PEER + "GetPeer"), (0, ""))
            for method in (self.FILES + "PutFile", self.FILES + "AddPath", self.FILES + "UploadFile", self.FILES + "FetchFile",
                           self.FILES + "RemoveFile", self.PEER + "Diagnose", self.PEER + "CreateTicket", self.PEER + "JoinMesh",
                           self.PEER + "Revoke", self.PEER + "MoveTo", "/panal.v1.SearchObject/Subscribe",
                           "/panal.v1.SearchObject/Unsubscribe"):
                self.assertEqual(self.call(method), (7, "NOT_PERMITTED"), method)
            for name in ("../../hostile-was-here", found):
                self.assertEqual(self.call(self.FILES + "PutFile", files.PutFileRequest(name=name, content=b"x").SerializeToString()),
                                 (7, "NOT_PERMITTED"))
            for method in ("Link", "Call", "Join"):
                self.assertEqual(self.call(self.PEER + method)[1], "METHOD_NOT_FOUND")
        self.assertFalse(os.path.exists(found))

    def test_references_and_names_that_are_none(self):
        files = speaker.pb2("file_object")
        with self.attacked("references to third peers, and names that leave a folder"):
            third = f"panal://{self.friend.id}/panal.v1.PeerObject/"
            self.assertEqual(self.call(self.PEER + "GetPeer", reference=third)[1], "OBJECT_NOT_FOUND")
            for reference in ("panal://../../x", "file:///etc/passwd", "panal://" + "a" * 52 + "/x/%00"):
                self.assertEqual(self.call(self.PEER + "GetPeer", reference=reference)[1], "REFERENCE_INVALID", reference)
            for method in ("/", "/a/b/c", "/../etc/passwd", "/panal.v1.PeerObject/"):
                self.assertEqual(self.call(method)[1], "METHOD_NOT_FOUND", method)
            for name in ("../../etc/passwd", "/etc/passwd", "%2e%2e"):
                request = files.GetFileRequest(id=name).SerializeToString()
                self.assertEqual(self.call(self.FILES + "GetFile", request)[1], "FILE_ID_INVALID", name)
            self.assertEqual(self.call(self.PEER + "GetPeer", request=b"\xff\xff")[1], "MESSAGE_INVALID")

    def test_batches_that_are_none(self):
        frames = speaker.pb2("frames")
        get = lambda call_id: pages.batch(*pages.opened(call_id, self.PEER + "GetPeer"))
        with self.attacked("batches that break the rules of the stream"):
            for messages, reason in (([b"\xff" * 9], "FRAME_INVALID"), ([get(2)], "FRAME_INVALID"), ([get(5), get(3)], "FRAME_INVALID"),
                                     ([pages.nested(60_000)], "FRAME_INVALID"),
                                     ([pages.batch(*[frames.CallFrame(call_id=1)] * 1025)], "FRAME_TOO_LARGE"),
                                     ([b"\x82\x7d" + b"\x80\x80\x10" + bytes(FRAME_MAX)], "FRAME_TOO_LARGE"),
                                     ([pages.batch(*pages.opened(1, "/" + "x" * 257))], "FRAME_INVALID"),
                                     ([pages.batch(*pages.opened(1, ""))], "FRAME_INVALID"),
                                     ([pages.batch(*pages.opened(1, self.PEER + "GetPeer", request=bytes(65_537)))], "FRAME_INVALID")):
                with self.subTest(reason=reason, size=len(messages[0])):
                    stream = self.made.open(speaker.CALL)
                    self.assertIn("panal-mesh", stream.metadata())
                    for message in messages:
                        stream.send(message)
                    self.assertEqual(stream.wait_refused().reason, reason)

    def test_more_bytes_than_a_message_or_the_window_holds(self):
        frames = speaker.pb2("frames")
        with self.attacked("a message of 300 MB, and a call that spends more than its window"):
            self.stream.send(pages.batch(pages.opened(1, self.PEER + "GetPeer")[0]))
            part = frames.CallFrame(call_id=1, message=frames.CallMessage(data=bytes(60_000), more=True))
            for _ in range(5000):
                self.stream.send(pages.batch(part))
            self.assertEqual(self.status_of(1), (8, "MESSAGE_TOO_LARGE"))
            whole = frames.CallFrame(call_id=3, message=frames.CallMessage(data=bytes(60_000)))
            self.stream.send(pages.batch(pages.opened(3, self.PEER + "GetPeer")[0]))
            for _ in range(20):
                self.stream.send(pages.batch(whole))
            ended = self.end_of(3)
        # The call may be over before its window is spent: then no rule was broken.
        if ended is None:
            self.assert_refused(self.stream.wait_refused(), *BAD, opened=True)
        else:
            self.assertNotEqual(ended[0], 0, ended)

    def test_more_calls_than_may_be_open(self):
        with self.attacked("5,000 calls that are never half-closed"):
            self.stream.on_bytes = self.count_refusals
            self.refused = 0
            for i in range(5000):
                self.stream.send(pages.batch(pages.opened(2 * i + 1, self.PEER + "GetPeer", timeout_ms=0)[0]))
            wait_for(lambda: self.refused >= 5000 - 1024 or self.stream.ended.is_set(), "those beyond 1,024 are refused")
            print(f"    refused: {self.refused}; the stream: {self.stream.refusal}")
        self.assertGreaterEqual(self.refused, 5000 - 1024)

    def count_refusals(self, message):
        for frame in speaker.pb2("frames").CallBatch.FromString(message).frames:
            if frame.HasField("status") and self.reason_of(frame.status.details) == "OVERLOADED":
                self.refused += 1
        return True

    def test_more_streams_than_a_peer_may_have(self):
        with self.attacked("60 streams of one peer, of each kind"):
            for method in (speaker.CALL, speaker.BLOCKS):
                streams = [self.made.open(method) for _ in range(25)]
                reasons = [stream.wait_refused().reason for stream in streams if not self.stays_open(stream)]
                self.assertEqual(set(reasons), {"OVERLOADED"})
                self.assertGreaterEqual(len(reasons), 25 - 4)
                for stream in streams:
                    stream.cancel()

    @staticmethod
    def stays_open(stream):
        """Whether it was admitted: then its initial metadata came."""
        try:
            return "panal-mesh" in stream.metadata()
        except Exception:  # gRPC's: the call has ended.
            return False


if __name__ == "__main__":
    peers.main()
