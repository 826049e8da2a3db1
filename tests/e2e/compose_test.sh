#!/bin/bash
# Brings up the five peers of docker-compose.yml and uses them from the host with grpcurl alone: put, search and
# read on three different peers; then kills a container, gives another one a new address, and takes the publisher
# away with its data after a fetch. Last, the blocks of README.md that are marked `docker`, and its grpcurl lines,
# as they are printed, where the README's ports are free.
#
# Usage: tests/e2e/compose_test.sh
#
# Exit code 77: skipped, since no Docker engine answers (or no docker-compose or grpcurl can be had).
source "$(dirname "$0")/../../scripts/lib.sh"

skip() { echo "skipped: $*"; exit 77; }
docker version --format '{{.Server.Version}}' >/dev/null 2>&1 || skip "no Docker engine answers"
command -v docker-compose >/dev/null || skip "docker-compose is not installed"
grpcurl=$(scripts/install-grpcurl) || skip "grpcurl cannot be built here"

project=panal-e2e-$$
image=panal:$project kept_image=$(docker image inspect --format '{{.Id}}' panal:latest 2>/dev/null || true)
export PANAL_IMAGE=$image COMPOSE_PROJECT_NAME=$project
# Free ports of the host, all held until all are known.
mapfile -t ports < <(python3 -c '
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
print(*[s.getsockname()[1] for s in held], sep="\n")')
for i in 1 2 3 4 5; do export "PANAL_API_PORT_$i=${ports[i - 1]}"; done

work=$(mktemp -d)
cleanup() {
  [ "${passed:-}" = 1 ] || docker-compose logs --tail 40 2>&1 | tail -200 || true
  docker rm -f "$project-squatter" >/dev/null 2>&1 || true
  docker-compose down -v --timeout 5 >/dev/null 2>&1 || true
  if [ -n "${readme_tagged:-}" ]; then
    COMPOSE_PROJECT_NAME=$project-readme docker-compose down -v --timeout 5 >/dev/null 2>&1 || true
    docker image rm panal:latest >/dev/null 2>&1 || true
    [ -z "$kept_image" ] || docker tag "$kept_image" panal:latest
  fi
  docker image rm -f "$image" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

# call PEER METHOD JSON: a call from the host to the API that PEER publishes.
call() { "$grpcurl" -plaintext -max-time 60 -d "$3" "127.0.0.1:${ports[$1 - 1]}" "panal.v1.$2"; }
on() { "$grpcurl" -plaintext "127.0.0.1:${ports[$1 - 1]}" "${@:2}"; }
# through PEER ID: GetPeer of the peer ID, called at PEER.
through() {
  "$grpcurl" -plaintext -H "panal-object: panal://$2/panal.v1.PeerObject/" "127.0.0.1:${ports[$1 - 1]}" panal.v1.PeerObject/GetPeer
}
peer_id() { call "$1" PeerObject/GetPeer '{}' | jq -r .peer_id; }
address_of() { docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$(docker-compose ps -q "$1")"; }
equal() { [ "$1" = "$2" ] || die "$3: \`$1\` is not \`$2\`"; }

# until SECONDS WHAT COMMAND…: waits for a command to succeed.
until_true() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || die "not in time: $what"
    sleep 0.5
  done
}
healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' $(docker-compose ps -q) | grep -c '^healthy$')" = "$1" ]; }
mesh_size() { [ "$(call "$1" PeerObject/GetPeer '{}' | jq -r .mesh_size)" = "$2" ]; }
finds() { call "$1" SearchObject/Search "{\"query\": \"$2\"}" | jq -es --arg id "$3" 'any(.hit.id == $id)'; }

say "making the image"
scripts/docker-image "$PANAL_IMAGE"

say "docker-compose up"
docker-compose up -d --no-build 2>/dev/null
until_true 240 "five healthy containers" healthy 5
for i in 1 2 3 4 5; do until_true 60 "peer$i knows five peers" mesh_size "$i" 5; done
docker-compose ps | grep -q '0\.0\.0\.0:' && die "a port is published on other addresses than the host's loopback"
equal "$(docker-compose exec -T peer1 id -u)" 1000 "the user in the container"

say "grpcurl lists and describes"
on 1 list | tee "$work/services"
for service in panal.v1.PeerObject panal.v1.FileObject panal.v1.SearchObject; do
  grep -qx "$service" "$work/services" || die "$service is not listed"
  on 1 describe "$service" | grep -q "service ${service##*.}" || die "$service is not described"
done

say "a file put on peer1 is found by peer2 and read on peer3"
content=$(printf 'clover, linden and heather\n' | base64 -w0)
file=$(call 1 FileObject/PutFile "{\"name\": \"honey list\", \"content\": \"$content\", \"attributes\": {\"year\": \"2024\"}}" | jq -r .id)
until_true 30 "peer2 finds the file" finds 2 'honey year:2024' "$file"
call 2 SearchObject/Search '{"query": "honey"}' | jq -e 'select(.summary) | .summary | .complete and .peers_reached == "5"' >/dev/null ||
  die "the search was not complete"
call 3 FileObject/FetchFile "{\"id\": \"$file\"}" | jq -e 'select(.done)' >/dev/null || die "peer3 cannot fetch"
equal "$(call 3 FileObject/ReadFile "{\"id\": \"$file\"}" | jq -r .data)" "$content" "the content that peer3 reads"

say "a call at peer1 that names peer5 is answered by peer5"
id5=$(peer_id 5)
equal "$(through 1 "$id5" | jq -r .peer_id)" "$id5" "the peer that answered"

say "peer4 is killed; the others go on"
docker kill --signal KILL "$(docker-compose ps -q peer4)" >/dev/null
until_true 90 "the mesh notices" mesh_size 1 4
docker-compose up -d --no-build peer4 2>/dev/null
until_true 120 "peer4 is back" mesh_size 4 5

say "peer2 is made anew with another address and the same volume"
id2=$(peer_id 2) before=$(address_of peer2)
docker-compose stop peer2 2>/dev/null
equal "$(docker inspect --format '{{.State.ExitCode}}' "$(docker-compose ps -q peer2)")" 0 "exit code of process 1 after SIGTERM"
docker-compose rm -f peer2 >/dev/null 2>&1
# Something else takes the address that became free.
docker run -d --rm --name "$project-squatter" --network "${project}_mesh" --ip "$before" --entrypoint sleep "$PANAL_IMAGE" 600 >/dev/null 2>&1 ||
  docker run -d --rm --name "$project-squatter" --network "${project}_mesh" --entrypoint sleep "$PANAL_IMAGE" 600 >/dev/null
docker-compose up -d --no-build peer2 2>/dev/null
until_true 120 "peer2 is back" mesh_size 2 5
[ "$(address_of peer2)" != "$before" ] || die "peer2 came back at its old address $before"
equal "$(peer_id 2)" "$id2" "the id of peer2 after it moved"
until_true 60 "peer3 calls peer2 at its new address" through 3 "$id2"
docker rm -f "$project-squatter" >/dev/null

say "the publisher goes for good, with its volume; peer5 fetches from the swarm"
docker-compose rm -f -s -v peer1 >/dev/null 2>&1
docker volume rm "${project}_peer1" >/dev/null
call 5 FileObject/FetchFile "{\"id\": \"$file\", \"timeout\": \"30s\"}" | jq -e 'select(.done)' >/dev/null || die "peer5 cannot fetch"
equal "$(call 5 FileObject/ReadFile "{\"id\": \"$file\"}" | jq -r .data)" "$content" "the content from the swarm"

docker-compose down -v --timeout 5 >/dev/null 2>&1

# readme_blocks MARK [PATTERN]: the README's blocks with this mark, in order, those with a line like PATTERN.
readme_blocks() {
  python3 - "$@" <<'PYTHON'
import re, sys
text = open("README.md", encoding="utf-8").read()
for block in re.findall(rf"^```bash {sys.argv[1]}\n(.*?)^```$", text, re.S | re.M):
    if len(sys.argv) < 3 or re.search(sys.argv[2], block):
        print(block, end="")
PYTHON
}
readme_ports_free() {
  local i
  for i in 1 2 3 4 5; do
    ! (exec 3<>"/dev/tcp/127.0.0.1/$((7400 + 10 * i))") 2>/dev/null || return 1
  done
}
if ! readme_ports_free; then
  passed=1
  skip "all but the README's blocks passed; a port of 7410, 7420 … 7450 is taken"
fi

say "the README's blocks, as they are printed"
readme_blocks docker >"$work/docker"
readme_blocks test '(?m)^grpcurl ' >"$work/grpcurl"
equal "$(grep -c . "$work/docker")" 4 "lines of the README's docker blocks"
equal "$(grep -c '^grpcurl ' "$work/grpcurl")" 7 "grpcurl lines of the README"
for block in docker grpcurl; do
  equal "$(head -1 "$work/$block")" scripts/install-grpcurl "first line of the README's $block block"
done
docker tag "$image" panal:latest
readme_tagged=1
export COMPOSE_PROJECT_NAME=$project-readme
unset PANAL_IMAGE "${!PANAL_API_PORT_@}"
ports=(7410 7420 7430 7440 7450)
# A reader takes a while between the blocks: the second is begun when all peers know of one another.
timeout 240 bash -e <(sed '/^docker-compose down/d' "$work/docker") 2>"$work/err" || { cat "$work/err" >&2; die "the README's docker block fails"; }
for i in 1 2 3 4 5; do until_true 60 "peer$i knows five peers" mesh_size "$i" 5; done
timeout 240 bash -e -O expand_aliases <(cat "$work/grpcurl") >"$work/out" || { cat "$work/out" >&2; die "the README's grpcurl lines fail"; }
for text in panal.v1.FileObject 'rpc Search' '"greeting.txt"' '"done": true' Z29vZCBtb3JuaW5nCg== '"peer_id"'; do
  grep -qF "$text" "$work/out" || { cat "$work/out" >&2; die "the README's grpcurl lines do not print $text"; }
done
timeout 120 bash -e <(sed -n '/^docker-compose down/p' "$work/docker") 2>"$work/err" || { cat "$work/err" >&2; die "docker-compose down fails"; }
equal "$(docker ps -aq --filter "name=$project-readme" | wc -l)" 0 "containers left"

passed=1
echo "compose: passed"
