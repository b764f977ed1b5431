"""What a forge shows to those alone who have a key: a repository, and two services that answer in a model's stead."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping

TOKEN = "ghp_5Tn8Yw2Lk9Qv4Zc1Xm7Rb3"
KEY = "sk-ant-api03-Zx81kQm2Lw93Rt77PqYc0aB"
REPOSITORY = "/private.git/"
SAID = "the gate put it in"


def refused(path: str, authorization: str) -> bool:
    """Whether a request for the repository has no password, or another one."""
    scheme, _, coded = authorization.partition(" ")
    try:
        password = base64.b64decode(coded).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        password = ""
    return path.startswith(REPOSITORY) and (scheme, password) != ("Basic", TOKEN)


def answer(path: str, headers: Mapping[str, str]) -> tuple[int, bytes] | None:
    """Status and JSON of the services; None if `path` is of none."""
    if path == "/v1/messages":
        body: dict[str, object] = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": SAID}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
    elif path == "/v1/chat/completions":
        message = {"role": "assistant", "content": SAID}
        body = {
            "id": "c_1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
    else:
        return None
    if headers.get("Authorization") != f"Bearer {KEY}":
        return 401, json.dumps(
            {"error": {"type": "authentication_error", "message": "no"}}
        ).encode()
    return 200, json.dumps(body).encode()
