#!/bin/bash
# Installs what was built into a folder of its own, builds the example program against it as a stranger
# would, and runs it against a mesh of two installed peers.
#
# Usage: tests/e2e/install_test.sh      PANAL_BUILD_DIR (default build/release) says what to install
source "$(dirname "$0")/../../scripts/lib.sh"

BUILD=$(build_dir)
DIR=$(mktemp -d)
PIDS=()

end() {
  for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$DIR"
}
trap end EXIT

# expect WHAT PATTERN FILE: a line of the file matches.
expect() { grep -qE "$2" "$3" || { cat "$3" >&2; die "$1: no line matches $2"; }; }

# start I [JOIN]: starts peer I and sets API_I and MESH_I.
start() {
  local i=$1
  mkfifo "$DIR/ready$i"
  "$DIR/prefix/bin/panald" --data-dir "$DIR/peer$i" --mesh install-test --policy open --mesh-listen 127.0.0.1:0 \
    --api-listen 127.0.0.1:0 --http-listen off ${2:+--join "$2"} >"$DIR/ready$i" 2>"$DIR/log$i" &
  PIDS+=($!)
  local line
  read -r -t 60 line <"$DIR/ready$i" || { cat "$DIR/log$i" >&2; die "peer $i did not start"; }
  printf -v "API_$i" %s "$(sed -E 's/.*"api":"([^"]*)".*/\1/' <<<"$line")"
  printf -v "MESH_$i" %s "$(sed -E 's/.*"mesh":"([^"]*)".*/\1/' <<<"$line")"
}

say "installing"
cmake --install "$BUILD" --prefix "$DIR/prefix" >"$DIR/installed"
for file in bin/panald bin/panal include/client/proxy/client.h include/panal/v1/file_object.grpc.pb.h \
  share/panal/proto/panal/v1/file_object.proto; do
  [ -f "$DIR/prefix/$file" ] || die "$file was not installed"
done
! grep -rlF "$ROOT" "$DIR/prefix/lib" --include='*.cmake' || die "the package refers to the source folder"

say "checking that the protos are complete by themselves"
protoc -I "$DIR/prefix/share/panal/proto" --descriptor_set_out=/dev/null \
  "$DIR"/prefix/share/panal/proto/panal/v1/*.proto

say "building the example against the installed package"
cp -r client/examples/cpp_search "$DIR/example"
cmake -S "$DIR/example" -B "$DIR/example/build" -DCMAKE_PREFIX_PATH="$DIR/prefix" >"$DIR/configured" ||
  { cat "$DIR/configured" >&2; die "the example does not configure"; }
cmake --build "$DIR/example/build" >"$DIR/built" 2>&1 || { cat "$DIR/built" >&2; die "the example does not build"; }

say "running it against two peers"
start 1
start 2 "$MESH_1"
printf 'bees build in hexagons\n' >"$DIR/bees.txt"
"$DIR/prefix/bin/panal" --api "$API_1" add "$DIR/bees.txt" -o json >"$DIR/added"
ID=$(sed -E 's/.*"id": ?"([^"]*)".*/\1/' "$DIR/added")
for _ in $(seq 600); do
  "$DIR/prefix/bin/panal" --api "$API_2" status -o json >"$DIR/status"
  grep -qE '"neighbors": ?1\b' "$DIR/status" && break
  sleep 0.1
done
expect "peer 2 has a neighbor" '"neighbors": ?1\b' "$DIR/status"

"$DIR/example/build/cpp_search" "$API_2" bees >"$DIR/out"
expect "the hit" "^hit +$ID +23 bytes +bees.txt$" "$DIR/out"
expect "the summary" '^asked +2 of about 2 peers, recall 1.00$' "$DIR/out"
expect "the fetch" '^fetched +23 bytes from 1 peer' "$DIR/out"
expect "the content" '^bees build in hexagons$' "$DIR/out"

if "$DIR/example/build/cpp_search" "$API_2" '(' 2>"$DIR/out"; then die "a wrong query succeeded"; fi
[ "$(cat "$DIR/out")" = "$(grep '^cpp_search: ' client/examples/cpp_search/README.md)" ] ||
  die "not the error that the README shows: $(cat "$DIR/out")"
if "$DIR/example/build/cpp_search" 127.0.0.1:1 bees >"$DIR/out" 2>&1; then die "no peer, no error"; fi
expect "the reason" '\[PEER_UNREACHABLE\]$' "$DIR/out"
say "ok"
