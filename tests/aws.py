"""Signs as a client of AWS does, in a few lines that know nothing of ours; a program inside can import it too."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence

DATE = "20260102T030405Z"
SCOPE = "20260102/eu-west-1/s3/aws4_request"
KEY_ID = "AKIAIOSFODNN7EXAMPLE"


def authorization(
    secret: str,
    method: str,
    target: str,
    headers: Mapping[str, str],
    names: Sequence[str] = (),
    content: bytes = b"",
) -> str:
    """The header for a request of storage; `headers` in lower case, all of which are signed if no `names` are given."""
    names = sorted(names or headers)
    path, _, query = target.partition("?")
    pairs = sorted(piece if "=" in piece else piece + "=" for piece in query.split("&") if piece)
    digest = headers.get("x-amz-content-sha256", hashlib.sha256(content).hexdigest())
    lines = [method, path, "&".join(pairs), *(f"{name}:{headers[name]}" for name in names)]
    text = "\n".join((*lines, "", ";".join(names), digest)).encode()
    key = f"AWS4{secret}".encode()
    for part in SCOPE.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    said = "\n".join(("AWS4-HMAC-SHA256", DATE, SCOPE, hashlib.sha256(text).hexdigest()))
    made = hmac.digest(key, said.encode(), "sha256").hex()
    names_said = ";".join(names)
    return f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{SCOPE}, SignedHeaders={names_said}, Signature={made}"
