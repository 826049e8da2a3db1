#!/usr/bin/python3
"""Searches a mesh, fetches the first file found, and prints its content.

Usage: python_search.py HOST:PORT QUERY      HOST:PORT is a peer's API port

Needs Debian's python3-grpcio and python3-protobuf, and the stubs made from the installed protos (README.md) in a
folder of PYTHONPATH.
"""

import sys

import grpc

from panal.v1 import errors_pb2, file_object_pb2, file_object_pb2_grpc, search_object_pb2, search_object_pb2_grpc

# Seconds for the whole search, which has a limit of its own, and for the fetch.
SEARCH_TIMEOUT_S = 30
FETCH_TIMEOUT_S = 600


def reason_of(error):
    """The reason in the details of a failed call, as in errors.proto; empty where the peer gave none."""
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        for detail in errors_pb2.Status.FromString(value).details:
            if detail.type_url.endswith("/google.rpc.ErrorInfo"):
                return errors_pb2.ErrorInfo.FromString(detail.value).reason
    return ""


def search(channel, query):
    """Prints every hit as it arrives; returns the first file, or None."""
    first = None
    request = search_object_pb2.SearchRequest(query=query)
    for response in search_object_pb2_grpc.SearchObjectStub(channel).Search(request, timeout=SEARCH_TIMEOUT_S):
        if response.HasField("summary"):
            summary = response.summary
            print(f"asked    {summary.peers_reached} of about {summary.mesh_size} peers, recall {summary.recall:.2f}")
            continue
        hit = response.hit
        print(f"hit      {hit.id}  {hit.size_bytes} bytes  {hit.name}")
        if first is None and hit.kind == "file":
            first = hit
    return first


def fetch_and_print(channel, file_id):
    """Brings the file to the peer that is called, every block verified, and prints it from there."""
    files = file_object_pb2_grpc.FileObjectStub(channel)
    fetched = None
    for fetched in files.FetchFile(file_object_pb2.FetchFileRequest(id=file_id), timeout=FETCH_TIMEOUT_S):
        pass  # Each message is progress; the last one says that it is done.
    print(f"fetched  {fetched.received_bytes} bytes from {fetched.sources} peer(s)", flush=True)
    for part in files.ReadFile(file_object_pb2.ReadFileRequest(id=file_id), timeout=FETCH_TIMEOUT_S):
        sys.stdout.buffer.write(part.data)


def main():
    if len(sys.argv) != 3:
        print("usage: python_search.py HOST:PORT QUERY", file=sys.stderr)
        return 2
    try:
        with grpc.insecure_channel(sys.argv[1]) as channel:
            hit = search(channel, sys.argv[2])
            if hit is None:
                return 3
            fetch_and_print(channel, hit.id)
    except grpc.RpcError as error:
        print(f"python_search: {error.details()} [{reason_of(error) or error.code().name}]", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
