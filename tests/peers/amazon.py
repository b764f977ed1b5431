"""A few services of AWS as one host has them: each request is written down as it came, and answered.

Whether it was signed with the key is for whoever reads the record: `programs/amazon_seen.py`, with AWS's own signer.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path

KEY_ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjEMv//////////wEaCWV1LXdlc3QtMSJHMEUCIQDx7Vb52nHs8Gd06Wx41JkTe3u=="
SEEN = "amazon.jsonl"
BUCKET, MODEL = "/a-bucket/", "/model/"
WHO = b"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::123456789012:user/alice</Arn><UserId>AIDA</UserId><Account>123456789012</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""


def answer(
    directory: Path, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes
) -> tuple[int, str, bytes] | None:
    """Status, content type and content; None: the request is for none of the services."""
    said = list(headers)
    if not any(
        value.startswith("AWS4-") for name, value in said if name.lower() == "authorization"
    ):
        return None
    one = {
        "method": method,
        "target": target,
        "headers": said,
        "body": base64.b64encode(body).decode(),
    }
    with (directory / SEEN).open("a") as file:
        file.write(json.dumps(one) + "\n")
    if target.startswith(BUCKET):
        return 200, "application/octet-stream", b"" if method == "PUT" else b"an object"
    if target.startswith(MODEL):
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": "signed and sent"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
        return 200, "application/json", json.dumps(message).encode()
    return 200, "text/xml", WHO
