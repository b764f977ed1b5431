"""The words of a denial because a request can not be signed anew. Pure: the gate says them, a verifier reads them.

Why that is so lies in what is nowhere on record. It is the gate's word, of a secret that the policies have; it denies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

SIGNATURE = "signature"  # the rule of such a denial
# By what `scan.sigv4` says, and `elsewhere`: signed for a host or method that the secret is not for.
WHY: Mapping[str, str] = {
    "form": "its Authorization is not one AWS4-HMAC-SHA256 signature in its usual form",
    "date": "its x-amz-date is not one time on the day that its signature names",
    "headers": "it signs a header that is not sent on as it came",
    "url": "its query has what the query of a signed URL has, and its signature would make one for anybody",
    "chunks": "its chunks are signed one by one, so have the client sign the whole content or none of it",
    "content": "its content is signed, and more than is read before it is sent (in HTTP/2, none is),"
    " so have the client say the digest in x-amz-content-sha256",
    "other": "its AWS signature is not the placeholder's, or not of what is sent",
    "elsewhere": "its host, method or connection is none that the secret is for",
}
_REASON = re.compile(
    rf"the request is not signed anew with ([!-~]{{1,128}}): (?:{'|'.join(map(re.escape, WHY.values()))})"
)


def reason(name: str, why: str) -> str:
    """The reason of a denial: the secret `name` is not signed with, because of `why`, one of WHY's."""
    return f"the request is not signed anew with {name}: {WHY[why]}"


def named(reason: str) -> str | None:
    """The name of the secret in the reason of such a denial; None: it is another text."""
    found = _REASON.fullmatch(reason)
    return None if found is None else found[1]
