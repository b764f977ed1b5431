"""What Python's own library does with a network; `python3 ask.py HOW HOST PORT`, ends with 1 if it was refused."""

import asyncio
import http.client
import select
import socket
import ssl
import sys
import urllib.request

TLS = ssl.create_default_context(cafile="ca.pem")


def echo(host: str, port: int) -> None:
    """Sends, ends its side, reads to the end."""
    with socket.create_connection((host, port)) as stream:
        stream.sendall(b"half a ")
        stream.sendall(b"dialogue")
        stream.shutdown(socket.SHUT_WR)
        print(b"".join(iter(lambda: stream.recv(4096), b"")).decode())


def ping(host: str, port: int) -> None:
    """A protocol in lines of text."""
    with socket.create_connection((host, port)) as stream:
        stream.sendall(b"PING\r\n")
        print(stream.recv(100).decode())


def mapped(host: str, port: int) -> None:
    """IPv4 from a socket of IPv6."""
    with socket.socket(socket.AF_INET6) as stream:
        stream.connect(("::ffff:" + host, port))
        print("peer", stream.getpeername()[0])
        stream.sendall(b"\0mapped")
        print(stream.recv(100).decode().strip("\0"))


def patient(host: str, port: int) -> None:
    """Connects without waiting."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as stream:
        stream.setblocking(False)
        stream.connect_ex((host, port))
        select.select([], [stream], [], 5)
        print("error", stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        stream.send(b"\0no hurry")
        select.select([stream], [], [], 5)
        print(stream.recv(100).decode().strip("\0"))


def page(host: str, port: int) -> None:
    """Two requests on one connection."""
    connection = http.client.HTTPConnection(host, port)
    if port == 443:
        connection = http.client.HTTPSConnection(host, port, context=TLS)
    for path in ("/first", "/second"):
        connection.request("GET", path)
        answer = connection.getresponse()
        print(answer.status, answer.read().decode())
        if answer.status != 200:
            sys.exit(1)


def url(host: str, port: int) -> None:
    """As a script does it, with the proxies that the environment names."""
    scheme = "https" if port == 443 else "http"
    with urllib.request.urlopen(f"{scheme}://{host}:{port}/url", context=TLS) as answer:
        print(answer.status, answer.read().decode())


def tasks(host: str, port: int) -> None:
    """Five at a time."""

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection(host, port, ssl=TLS)
        head = f"GET /task{number} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        await writer.drain()
        print((await reader.read()).decode())
        writer.close()

    async def all_() -> None:
        await asyncio.gather(*map(one, range(5)))

    asyncio.run(all_())


try:
    known = {work.__name__: work for work in (echo, ping, mapped, patient, page, url, tasks)}
    known[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
except (OSError, EOFError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
