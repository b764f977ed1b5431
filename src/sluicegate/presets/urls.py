"""URLs of configuration and lock files to rows: host, port and path; never a user, password, key or query. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from sluicegate.policy import paths
from sluicegate.policy.presets import READ, Row
from sluicegate.wire import names
from sluicegate.wire.cursor import WireError

PORTS = {"http": 80, "https": 443}
# A longer one is no address of a registry, and would be copied into every rule.
MAX_URL = 1024
# What a path of a registry is made of. Other segments stand as *: globs, and what YAML or a reader could misread.
_PLAIN = re.compile(r"[A-Za-z0-9._~+@!$=:-]{1,64}", re.ASCII)
# Some hosted registries take the key as a segment of the path. Names are words with dashes between them; a key has a
# long run of letters and digits mixed, or is longer than anybody types.
_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{16,}|^.{48,}", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a URL leads. `path` has no slash at its end; empty is the root."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def closed(self) -> bool:
        """Whether its requests can not be seen: TLS to a bare address is never opened."""
        return self.scheme == "https" and names.is_address(self.host)


def place(url: str) -> Place | None:
    """Where an http or https URL leads, without user, password, query and what looks like a key; None if it is none.

    `sparse+`, `git+` and `registry+` in front, as lock files have them, are not part of it.
    """
    url = re.sub(r"^(?:sparse|git|registry)\+", "", url.strip())
    if len(url) > MAX_URL or not url.isprintable():
        return None
    try:
        parts = urlsplit(url)
        scheme, text, port = parts.scheme.lower(), parts.hostname or "", parts.port
        host = names.host(f"[{text}]" if ":" in text else text)
    except (ValueError, WireError):
        return None
    if scheme not in PORTS or port == 0:
        return None
    segments = [_segment(one) for one in parts.path.split("/") if one]
    path = "".join(f"/{one}" for one in segments)
    if path and paths.normal(path) != path:
        return None
    return Place(scheme, host, port or PORTS[scheme], path)


def _segment(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and not _KEY.search(text) else "*"


def row(at: Place, source: str, *globs: str, methods: tuple[str, ...] = READ) -> Row:
    """Reading at that place, of `globs` below its path; without any, of every path of the host."""
    return Row(at.host, source, (at.port,), methods, tuple(f"{at.path}{glob}" for glob in globs))


def below(at: Place, source: str) -> Row:
    """Reading of the path of `at` and all that is below; at the root, of the host."""
    return row(at, source, "", "/**") if at.path else row(at, source)
