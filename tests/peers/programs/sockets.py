"""A conversation over a WebSocket, by `websockets` or `aiohttp`: sockets.py NAME URL."""

# ruff: noqa: ANN201, ANN001
import asyncio
import sys


async def by_websockets(url):
    import websockets

    try:
        async with websockets.connect(url, max_size=None) as peer:
            print("compression", peer.protocol.extensions)
            await peer.send("gr\u00fc\u00df dich")
            print("said", await peer.recv() == "gr\u00fc\u00df dich")
            await peer.send([b"one ", b"two"])
            print("said", await peer.recv())
            await peer.send(bytes(300_000))
            print("said", len(await peer.recv()))
            await (await peer.ping(b"still?"))
        print("closed", peer.close_code)
    except websockets.InvalidStatus as error:
        print("status", error.response.status_code, error.response.body.decode())


async def by_aiohttp(url):
    import aiohttp

    async with aiohttp.ClientSession(trust_env=True) as session:
        try:
            async with session.ws_connect(url, compress=15) as peer:
                print("compression", peer.compress)
                await peer.send_str("hello")
                print("said", await peer.receive_str())
                await peer.ping(b"still?")
                await peer.send_bytes(bytes(300_000))
                print("said", len(await peer.receive_bytes()))
            print("closed", peer.close_code)
        except aiohttp.WSServerHandshakeError as error:
            print("status", error.status)


asyncio.run({"websockets": by_websockets, "aiohttp": by_aiohttp}[sys.argv[1]](sys.argv[2]))
