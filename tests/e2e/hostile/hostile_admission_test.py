#!/usr/bin/python3
"""Who gets in, and who does not: a program that speaks the wire tries what a stranger, a member, and somebody who was
thrown out could try at the door of a real mesh."""

import os
import ssl
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import hostile_mesh
import identity
import peers
import speaker
from hostile_mesh import HostileTest
from identity import Ticket
from peers import wait_for

# What a stranger may be told, and nothing else of it.
REFUSED = ("UNAUTHENTICATED", "CREDENTIAL_INVALID")


class Strangers(HostileTest):
    """Without a credential of this mesh."""

    def refuses(self, who, version=None):
        """The TLS connection does not come about, or ends before it answers anything."""
        try:
            with speaker.tls_connect(self.victim.mesh_address, who, version) as connection:
                connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"))
                # TLS 1.3 tells a client that its certificate is refused after its own handshake is over.
                return connection.recv(1000) == b""
        except (ssl.SSLError, ConnectionError):
            return True

    def test_without_a_certificate(self):
        with self.attacked("no client certificate"):
            self.assertTrue(self.refuses(None))
            self.assertFalse(self.refuses(self.stranger()), "TLS itself lets in whoever has a key")

    def test_with_a_certificate_that_names_another_peer(self):
        thief = self.stranger(claims=self.friend.id)
        with self.attacked("certificate that names another peer"):
            self.assertTrue(self.refuses(thief))

    def test_with_a_certificate_of_another_kind_of_key(self):
        other = self.stranger()
        identity.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", other.path, "-out", other.certificate_path,
                         "-subj", f"/CN={other.text}", "-addext", f"subjectAltName=DNS:{other.text}")
        with self.attacked("certificate of an RSA key"):
            self.assertTrue(self.refuses(other))

    def test_downgraded_tls(self):
        who = self.stranger()
        with self.attacked("TLS 1.2, 1.1 and 1.0"):
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1):
                with self.subTest(version=version), self.assertRaises((ssl.SSLError, ConnectionError)):
                    speaker.tls_connect(self.victim.mesh_address, who, version).close()
            with speaker.tls_connect(self.victim.mesh_address, who) as connection:
                self.assertEqual(connection.version(), "TLSv1.3")

    def test_gets_one_refusal_and_nothing_else(self):
        made = self.speak()
        methods = ("/panal.v1.PeerObject/Link", "/panal.v1.PeerObject/Call", "/panal.v1.FileObject/Blocks",
                   "/panal.v1.PeerObject/GetPeer", "/panal.v1.PeerObject/ListMembers", "/panal.v1.FileObject/ListFiles",
                   "/panal.v1.PeerObject/CreateTicket", "/panal.v1.SearchObject/Search", "/panal.v1.No/Method", "/",
                   "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                   "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "/grpc.health.v1.Health/Check")
        with self.attacked("every method without a credential"):
            said = set()
            for method in methods:
                refusal = made.open(method).wait_refused()
                self.assert_refused(refusal, *REFUSED)
                said.add(refusal.words)
        self.assertEqual(len(said), 1, said)
        words = said.pop()
        for told in (self.victim.id, self.friend.id, self.founder.id, self.root.text, "secret", self.friend.mesh_address):
            self.assertNotIn(told, words)

    def test_with_metadata_that_is_none(self):
        made = self.speak()
        mesh = identity.text_of(self.mesh_id)
        with self.attacked("metadata that is missing, doubled, damaged or too long"):
            self.assert_link_refused(made, "PERMISSION_DENIED", "MESH_MISMATCH", mesh=None)
            self.assert_link_refused(made, "PERMISSION_DENIED", "MESH_MISMATCH", mesh="x" * 52)
            self.assert_link_refused(made, "PERMISSION_DENIED", "MESH_MISMATCH", mesh="../../../etc/passwd")
            twice = [("panal-mesh", mesh), ("panal-mesh", mesh), ("panal-credential-bin", b"x")]
            self.assert_link_refused(made, "PERMISSION_DENIED", "MESH_MISMATCH", metadata=twice)
            good = self.rooted(made.who)
            twice = [("panal-mesh", mesh), ("panal-credential-bin", good), ("panal-credential-bin", good)]
            self.assert_link_refused(made, *REFUSED, metadata=twice)
            for credential in (b"", b"\0", good[:-1], good + b"\0", os.urandom(551), os.urandom(4097)):
                with self.subTest(size=len(credential)):
                    self.assert_link_refused(made, *REFUSED, credential=credential)

    def test_of_another_mesh(self):
        made, other_root = self.speak(), identity.Key(os.path.join(self.shared, "other-root.key"))
        now = time.time()
        other = identity.chain(other_root.public, identity.grant(other_root.id, other_root, made.who.public, identity.ADMIN,
                                                                 now - 60, now + 600))
        with self.attacked("credential of another mesh"):
            self.assert_link_refused(made, "PERMISSION_DENIED", "MESH_MISMATCH", mesh=other_root.text, credential=other)
            self.assert_link_refused(made, *REFUSED, credential=other)
            self.assert_link_refused(made, *REFUSED, credential=identity.open_credential(self.mesh_id, made.who))

    def test_with_the_credential_of_another(self):
        honest, thief = self.member(), self.speak()
        # Whoever opens a stream is shown the acceptor's: it is no secret.
        shown = honest.open(speaker.LINK)
        theirs = shown.metadata()["panal-credential-bin"]
        shown.cancel()
        with self.attacked("credentials of others"):
            for credential in (theirs, honest.credential):
                self.assert_link_refused(thief, *REFUSED, credential=credential)

    def test_with_a_credential_out_of_its_time(self):
        made = self.speak()
        with self.attacked("credentials that have expired or are not valid yet"):
            expired = self.rooted(made.who, begin=-600, end=-1)
            self.assert_link_refused(made, "UNAUTHENTICATED", "CREDENTIAL_EXPIRED", credential=expired)
            for credential in (self.rooted(made.who, begin=400), self.rooted(made.who, begin=60, end=30),
                               self.rooted(made.who, end=1826 * identity.DAY)):
                self.assert_link_refused(made, *REFUSED, credential=credential)

    def test_with_a_chain_that_leads_nowhere(self):
        made, now = self.speak(), time.time()
        links = [identity.Key(os.path.join(self.shared, f"link{i}.key")) for i in range(5)]
        good = self.rooted(made.who)
        with self.attacked("chains that are forged, too long, or of no peer"):
            forged = identity.grant(self.mesh_id, links[0], made.who.public, identity.ADMIN, now - 60, now + 600)
            raised = bytearray(good)
            raised[35 + 32] = identity.ADMIN
            long = []
            for issuer, subject in zip([self.root, *links], [*(link.public for link in links[:4]), made.who.public]):
                long.append(identity.grant(self.mesh_id, issuer, subject, identity.ADMIN, now - 60, now + 600))
            for credential in (identity.chain(self.root.public, forged), bytes(raised), identity.chain(self.root.public, *long),
                               identity.chain(self.root.public), bytes([1, 3]) + good[2:], bytes([2, 2]) + good[2:],
                               self.rooted(made.who, role=0), self.rooted(made.who, role=5), self.rooted(made.who, role=0x82)):
                self.assert_link_refused(made, *REFUSED, credential=credential)

    def test_gives_many_refusals_without_growing(self):
        made = self.speak()
        with self.attacked("1,000 streams with made-up credentials"):
            for _ in range(1000):
                self.assert_link_refused(made, *REFUSED, credential=os.urandom(164))


class Joiners(HostileTest):
    """At the one method that needs no credential."""

    def other_key(self):
        return self.speak(), self.speak()

    def test_replayed_ticket(self):
        one, other = self.other_key()
        ticket = Ticket(self.ticket_line())
        with self.attacked("a ticket, and its proof, used again"):
            proof = ticket.proof(one.who.id, identity.raw_of(one.peer_text))
            self.assertIsInstance(one.join(ticket, proof=proof), bytes)
            self.assert_refused(other.join(ticket, proof=proof), "INVALID_ARGUMENT", "TICKET_INVALID")
            self.assert_refused(other.join(ticket), "FAILED_PRECONDITION", "TICKET_USED_UP")
            self.assertIsInstance(one.join(ticket), bytes)

    def test_raced_ticket(self):
        uses, runners = 3, 12
        ticket = Ticket(self.ticket_line("--uses", str(uses), of=self.victim))
        made = [self.speak() for _ in range(runners)]
        begin = threading.Barrier(runners)

        def run(racer):
            begin.wait()
            return racer.join(ticket)

        with self.attacked(f"a ticket for {uses}, raced by {runners}"), ThreadPoolExecutor(runners) as pool:
            results = list(pool.map(run, made))
        self.assertEqual(sum(isinstance(result, bytes) for result in results), uses, results)
        for result in results:
            if not isinstance(result, bytes):
                self.assert_refused(result, "FAILED_PRECONDITION", "TICKET_USED_UP")
        for racer, result in zip(made, results):
            if isinstance(result, bytes):
                racer.credential = result
                link = racer.link()
                wait_for(link.greeted.is_set, "who got in is greeted")
                link.cancel()

    def test_ticket_that_is_none(self):
        made = self.speak()
        line = self.ticket_line()
        ticket, now = Ticket(line), time.time()
        key = identity.Key(os.path.join(self.shared, "ticket.key"))
        with self.attacked("tickets that are forged, raised, cut or expired"):
            raised = bytearray(ticket.chain)
            raised[-129 + 32] = identity.TICKET_BIT | identity.ADMIN
            by_root = identity.chain(self.root.public, identity.grant(self.mesh_id, self.root, key.public, 0x82, now - 9, now + 600,
                                                                      os.urandom(14) + b"\0\1"))
            for chain in (bytes(raised), ticket.chain[:-1], b"", os.urandom(300), self.rooted(made.who), by_root):
                with self.subTest(size=len(chain)):
                    self.assert_refused(made.join(ticket, chain=chain), "INVALID_ARGUMENT", "TICKET_INVALID")
            for changed in ({"proof": bytes(64)}, {"proof": b""}, {"public_key": key.public}, {"public_key": b"short"}):
                self.assert_refused(made.join(ticket, **changed), "INVALID_ARGUMENT", "TICKET_INVALID")
            old = self.granted_ticket(key, 0x82, -600, -1)
            self.assert_refused(made.join(old), "FAILED_PRECONDITION", "TICKET_EXPIRED")
            for uses in (0, 1001):
                self.assert_refused(made.join(self.granted_ticket(key, 0x82, -60, 600, uses)), "INVALID_ARGUMENT", "TICKET_INVALID")

    def granted_ticket(self, key, role, begin, end, uses=1):
        """A ticket of an admin that the root made, with any fields."""
        now, admin = time.time(), identity.Key(os.path.join(self.shared, "admin.key"))
        chain = identity.chain(
            self.root.public, identity.grant(self.mesh_id, self.root, admin.public, identity.ADMIN, now - 900, now + 9000),
            identity.grant(self.mesh_id, admin, key.public, role, now + begin, now + end, os.urandom(14) + struct.pack(">H", uses)))
        return Ticket(identity.ticket_line("secret", chain, key.seed, []))

    def test_ticket_made_by_a_member(self):
        member, now = self.member(), time.time()
        key = identity.Key(os.path.join(self.shared, "own-ticket.key"))
        grants = identity.grants_of(member.credential)
        chain = identity.chain(self.root.public, *grants, identity.grant(
            self.mesh_id, member.who, key.public, 0x82, now - 9, now + 600, os.urandom(14) + b"\0\1"))
        other = self.speak()
        with self.attacked("tickets and grants that a member made"):
            self.assert_refused(other.join(Ticket(identity.ticket_line("secret", chain, key.seed, []))), "INVALID_ARGUMENT",
                                "TICKET_INVALID")
            for role in (identity.READER, identity.MEMBER, identity.ADMIN):
                mine = identity.grant(self.mesh_id, member.who, other.who.public, role, now - 9, now + 600)
                self.assert_link_refused(other, *REFUSED, credential=identity.chain(self.root.public, *grants, mine))

    def test_request_that_is_none(self):
        made = self.speak()
        with self.attacked("requests to join that are too large or no messages"):
            self.assert_refused(made.unary(speaker.JOIN, b"\x0a" + b"\xff" * 10), "INVALID_ARGUMENT", "MESSAGE_INVALID")
            self.assert_refused(made.unary(speaker.JOIN, bytes(4097)), "RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE")
            self.assertEqual(made.unary(speaker.JOIN, bytes(1 << 20)).code, "RESOURCE_EXHAUSTED")

    def test_flood_of_requests_is_shed(self):
        made, ticket = self.speak(), Ticket(self.ticket_line())
        with self.attacked("400 requests to join at once"), ThreadPoolExecutor(40) as pool:
            answers = list(pool.map(lambda _: made.join(ticket, proof=bytes(64), patient=False), range(400)))
        self.assertEqual({answer.reason for answer in answers}, {"TICKET_INVALID", "OVERLOADED"})
        self.assertIsInstance(wait_for(lambda: self.bytes_or_none(made.join(ticket)), "who has a ticket is let in"), bytes)

    @staticmethod
    def bytes_or_none(answer):
        return answer if isinstance(answer, bytes) else None

    def test_streams_that_ask_for_nothing_end(self):
        made = self.speak()
        with self.attacked("streams to join without a request"):
            opened = [made.open(speaker.JOIN) for _ in range(30)]
            reasons = sorted(stream.wait_refused().reason for stream in opened)
        # 16 may ask at once, at a rate that those of before took from.
        waited = reasons.count("DEADLINE_EXCEEDED")
        self.assertTrue(1 <= waited <= 16, reasons)
        self.assertEqual(reasons.count("OVERLOADED"), 30 - waited, reasons)
        self.assertIsInstance(self.speak().join(Ticket(self.ticket_line())), bytes)


class ThrownOut(HostileTest):
    """With a credential that was good."""

    def test_revocation_ends_every_stream_within_seconds(self):
        made = self.member()
        link, call, blocks = made.link(), made.open(speaker.CALL), made.open(speaker.BLOCKS)
        for stream in (call, blocks):
            self.assertIn("panal-credential-bin", stream.metadata())
        wait_for(link.greeted.is_set, "the link is up")
        with self.attacked("streams that are open when their peer is revoked, and new ones"):
            begun = time.monotonic()
            self.founder.panal("revoke", made.who.text, "--reason", "hostile")
            for stream in (link.stream, call, blocks):
                self.assert_refused(stream.wait_refused(), "PERMISSION_DENIED", "CREDENTIAL_REVOKED", opened=True)
            print(f"    revoked: every stream ended {time.monotonic() - begun:.2f} s after the command began")
            for method in (speaker.LINK, speaker.CALL, speaker.BLOCKS):
                self.assert_refused(made.open(method).wait_refused(), "PERMISSION_DENIED", "CREDENTIAL_REVOKED")
            again = made.join(Ticket(self.ticket_line()))
            self.assert_refused(again, "PERMISSION_DENIED", "CREDENTIAL_REVOKED")

    def test_expiry_ends_every_stream(self):
        made = self.speak()
        made.credential = self.rooted(made.who, begin=-60, end=4)
        call = made.open(speaker.CALL)
        self.assertIn("panal-credential-bin", call.metadata())
        with self.attacked("a stream that outlives its credential"):
            self.assert_refused(call.wait_refused(), "UNAUTHENTICATED", "CREDENTIAL_EXPIRED", opened=True)

    def revoked(self, peer_id):
        return [m for m in self.victim.json("members") if "revoked" in m and m["peer_id"] == peer_id]

    def test_facts_of_who_may_say_none_change_nothing(self):
        made, now = self.member(), time.time()
        link = made.link().become_neighbor()
        victims = [identity.raw_of(peer.id) for peer in (self.friend, self.founder)]
        nobody, frames = os.urandom(32), speaker.pb2("frames")

        def say(*facts):
            link.send(fact_bodies=frames.FactBodies(asked=False, facts=facts))

        with self.attacked("revocations by a member, by nobody, and a thousand made-up facts"):
            for victim in victims:
                body = identity.revocation_of(victim)
                say(identity.fact(self.mesh_id, 1, made.credential, made.who, now, body))
                say(identity.fact(self.mesh_id, 1, identity.chain(self.root.public), made.who, now, body))
            say(identity.fact(self.mesh_id, 1, identity.chain(self.root.public), self.root, now, identity.revocation_of(nobody)))
            wait_for(lambda: self.revoked(identity.text_of(nobody)), "what the root says is believed, whoever brings it")
            for _ in range(1000):
                say(*(os.urandom(200) for _ in range(8)))
            say(os.urandom(1024))
            link.flush()
        self.assertFalse(link.stream.ended.is_set(), link.stream.refusal)
        self.assertFalse(self.revoked(self.friend.id) or self.revoked(self.founder.id))
        link.send(fact_bodies=frames.FactBodies(asked=False, facts=[os.urandom(1025)]))
        self.assert_refused(link.wait_refused(), "INVALID_ARGUMENT", "FRAME_INVALID", opened=True)


if __name__ == "__main__":
    peers.main()
