"""SHELL. Where a captured connection was made to, in the form the policy knows."""

from __future__ import annotations

import socket

from sluicegate.wire import names as wire_names


def original(client: socket.socket) -> tuple[str, int]:
    """Where the client connected to: with TPROXY the accepted socket's own address says it."""
    text, port = client.getsockname()[:2]
    return canonical(text), port


def canonical(text: str) -> str:
    """An address of a dual-stack socket in the form the policy knows."""
    text = text.partition("%")[0]
    if text.startswith("::ffff:") and "." in text:
        return text[7:]
    return wire_names.host(text) if ":" in text else text
