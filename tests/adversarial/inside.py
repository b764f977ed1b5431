"""What every attack script begins with: names of the world and a few clients. Runs on the system's own Python.

Addresses and names are those of `tests/world.py`; TOK is this run's canary. Never imported by the tests.
"""

# ruff: noqa: ANN001, ANN002, ANN003, ANN201, ANN202
import json
import os
import random
import socket
import ssl
import struct
import subprocess
import sys
import time

TOK, OUTPUT = sys.argv[1], []
OK, NO, FRONTED, ZONE = "allowed.test", "denied.test", "fronted.test", "zone.test"
SINK4, SINK6 = "203.0.113.66", "2001:db8::66"
PXH, PXP = "192.0.2.1", 8118
PX = f"http://{PXH}:{PXP}"
OUT = ["203.0.113.20", "10.9.9.9", "172.17.0.1", "10.0.0.1", "192.168.122.1"]


def say(*what):
    print(json.dumps(what if len(what) != 1 else what[0]), flush=True)


def attempt(what, *given, **named):
    """What it gives, or the name of its error."""
    try:
        return what(*given, **named)
    except OSError as error:
        return f"{type(error).__name__} {error.errno}"


def tcp(host, port, data, patience=4):
    """All that comes back for `data`, and why it ended."""
    begin, got = time.monotonic(), b""
    try:
        with socket.create_connection((host, port), patience) as stream:
            stream.sendall(data if isinstance(data, bytes) else data.encode())
            stream.shutdown(socket.SHUT_WR)
            while piece := stream.recv(65536):
                got += piece
        end = "eof"
    except OSError as error:
        end = type(error).__name__
    return {"got": got.decode("latin-1")[:400], "end": end, "seconds": time.monotonic() - begin}


def tls(host, data, patience=4):
    """As `tcp`, within TLS to port 443, whoever the server is."""
    begin, got = time.monotonic(), b""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    inner = ssl._create_unverified_context().wrap_bio(into, out, server_hostname=host)

    def done(step):
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                stream.sendall(out.read())
                piece = stream.recv(65536)
                into.write(piece) if piece else into.write_eof()
                continue
            stream.sendall(out.read())
            return result

    try:
        with socket.create_connection((host, 443), patience) as stream:
            done(inner.do_handshake)
            inner.write(data if isinstance(data, bytes) else data.encode())
            try:
                inner.unwrap()  # nothing follows; it does not wait, and reads nothing that is not here yet
            except ssl.SSLWantReadError:
                stream.sendall(out.read())
            while piece := done(lambda: inner.read(65536)):
                got += piece
        end = "eof"
    except OSError as error:
        end = type(error).__name__
    return {"got": got.decode("latin-1")[:400], "end": end, "seconds": time.monotonic() - begin}


def px(data, patience=4):
    """As `tcp`, at the proxy that a program believes in."""
    return tcp(PXH, PXP, data, patience)


def udp(host, port, data, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        return sock.sendto(data if isinstance(data, bytes) else data.encode(), (host, port))


def question(name, kind=1, number=None, flags=0x0100):
    number = random.randrange(65536) if number is None else number
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
    return (
        struct.pack(">6H", number, flags, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", kind, 1)
    )


def ask(server, name, kind=1, patience=3, over_tcp=False):
    """The answer's rcode and address count, or how it failed."""
    data = question(name, kind)
    try:
        if over_tcp:
            with socket.create_connection((server, 53), patience) as stream:
                stream.sendall(struct.pack(">H", len(data)) + data)
                reader = stream.makefile("rb")
                reply = reader.read(struct.unpack(">H", reader.read(2))[0])
        else:
            family = socket.AF_INET6 if ":" in server else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.settimeout(patience)
                sock.connect((server, 53))
                sock.send(data)
                reply = sock.recv(4096)
    except (OSError, struct.error) as error:
        return type(error).__name__
    return [reply[3] & 15, struct.unpack_from(">H", reply, 6)[0]]


def curl(*arguments):
    """Exit code, status and body."""
    line = ["curl", "-gsk", "-m8", "-w", "\n%{http_code} %{errormsg}", *arguments]
    done = subprocess.run(
        line, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL
    )
    return {"code": done.returncode, "out": done.stdout[-1500:]}


def shell(line, patience=15):
    """Exit code and what was printed."""
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, errors="replace", timeout=patience,
        stdin=subprocess.DEVNULL, env={**os.environ, "TOK": TOK, "SINK4": SINK4},
    )  # fmt: skip
    return {"code": done.returncode, "out": (done.stdout + done.stderr)[-4000:]}
