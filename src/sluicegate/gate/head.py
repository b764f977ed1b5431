"""The head of a request as the gate sends it upstream. Pure."""

from __future__ import annotations

from dataclasses import replace

from sluicegate.facts import Facts, Protocol
from sluicegate.wire import http, websocket


def head(request: http.Request, facts: Facts) -> bytes:
    """The head to send upstream. Its Host is the judged name."""
    if request.host is not None and request.upgrade is None:
        return http.write_request(request)
    headers, upgrade = request.headers, None
    if request.upgrade == websocket.PROTOCOL:
        headers, upgrade = websocket.offer(headers), request.upgrade
    host, port = request.host, request.host_port
    if host is None:
        host = facts.synthetic or facts.target or facts.address
        port = facts.port if facts.target_port is None else facts.target_port
        port = None if port == (443 if facts.protocol is Protocol.HTTPS else 80) else port
    request = replace(request, headers=headers, host=host, host_port=port, upgrade=upgrade)
    return http.write_request(request)
