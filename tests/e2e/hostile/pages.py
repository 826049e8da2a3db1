"""Pages, casts and calls, made from docs/protocol/records.md, bubbles.md and objects.md alone."""

import hashlib
import os
import struct
import time

from speaker import pb2

# A page may live for 60 minutes at most.
LIFE = 1800


def record(name, kind="FILE", raw_id=None, version=1, **fields):
    frames = pb2("frames")
    return frames.Record(kind=getattr(frames, f"RECORD_KIND_{kind}"), name=name, id=os.urandom(32) if raw_id is None else raw_id,
                         version=version, **fields)


def page(mesh_id, key, records, number=1, version=1, expires_s=None, publisher=None):
    """A page signed by `key`; `publisher` (id, public key): in whose name, if another's."""
    frames = pb2("frames")
    body = frames.PageBody(records=records).SerializeToString()
    expires_ms = int(1000 * (time.time() + LIFE if expires_s is None else expires_s))
    publisher_id, public_key = publisher or (key.id, key.public)
    digest = hashlib.sha256(body).digest()
    layout = publisher_id + struct.pack(">IQQ", number, version, expires_ms) + digest
    return frames.SignedPage(public_key=public_key, number=number, version=version, expires_ms=expires_ms, body_hash=digest,
                             signature=key.sign("panal page v1", mesh_id, layout), body=body, has_body=True)


def peer_page(mesh_id, key, addresses=("127.0.0.1:1",), version=1):
    """The page 0 of a peer: where it is dialled."""
    return page(mesh_id, key, [record(key.text, "PEER", key.id, addresses=addresses)], number=0, version=version)


def cast(origin, **payload):
    """A bubble of one position, the receiver's."""
    return pb2("frames").Cast(bubble_id=os.urandom(16), origin=origin, seed=1, begin=0, end=1, budget_ms=10_000, **payload)


def page_cast(origin, some_page, its_peer_page=None):
    return cast(origin, page=pb2("frames").PagePayload(page=some_page, peer_page=its_peer_page))


def query_cast(origin, query, **changed):
    made = cast(origin)
    made.query.query, made.query.limit = query, 100
    for name, value in changed.items():
        setattr(made, name, value)
    return made


def batch(*call_frames):
    return pb2("frames").CallBatch(frames=call_frames).SerializeToString()


def opened(call_id, method, reference="", request=b"", timeout_ms=20_000):
    """The frames of a call with one message."""
    frames = pb2("frames")
    return [frames.CallFrame(call_id=call_id, open=frames.CallOpen(method=method, reference=reference, timeout_ms=timeout_ms)),
            frames.CallFrame(call_id=call_id, message=frames.CallMessage(data=request)),
            frames.CallFrame(call_id=call_id, half_close=frames.CallHalfClose())]


def nested(depth):
    """Groups in groups of an unknown field: what a careless decoder recurses into."""
    return b"\xa3\x06" * depth + b"\xa4\x06" * depth
