"""Real ClientHellos, as OpenSSL makes them."""

from __future__ import annotations

import ssl

import pytest


def hello(name: str) -> bytes:
    context = ssl.create_default_context()
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(inward, outward, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return outward.read()
