"""A machine that is a dictionary, and what its presets allow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sluicegate.policy import explain, grammar
from sluicegate.policy.model import Policy
from sluicegate.presets import catalog
from sluicegate.presets.found import Found


@dataclass
class Fake:
    """Files by path, programs by name, members of archives by (archive, name)."""

    files: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    has: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    members: Mapping[tuple[str, str], str] = field(default_factory=dict)
    home: str = "/home/me"

    def read(self, path: str) -> str | None:
        return self.files.get(path)

    def names(self, directory: str) -> tuple[str, ...]:
        paths = (*self.files, *(archive for archive, _ in self.members))
        below = (
            path.removeprefix(f"{directory}/") for path in paths if path.startswith(f"{directory}/")
        )
        return tuple(sorted({path.partition("/")[0] for path in below}))

    def programs(self, name: str) -> tuple[str, ...]:
        return self.has.get(name, ())

    def member(self, archive: str, name: str) -> str | None:
        return self.members.get((archive, name))

    def first(self, path: str, pattern: bytes) -> str | None:
        found = re.search(pattern, self.files.get(path, "").encode())
        return found[1].decode() if found else None

    def interpreters(self) -> tuple[str, ...]:
        return ("/usr/lib/python3",)


def policy(text: str, look: Fake | None = None) -> Policy:
    """The policy whose `allow` is `text`, on that machine."""
    lines = f"version: 1\nallow:\n{text}\n"
    return grammar.parse(
        lines, "p.yaml", lambda name, repos: catalog.some(name, repos, lambda: look or Fake()).rows
    )


def allows(made: Policy, asked: str) -> bool:
    """Whether it allows `METHOD URL`, or `URL` for GET."""
    method, _, url = asked.rpartition(" ")
    return explain.explain((made,), url, method or "GET")[1]


def check(made: Policy, allowed: str, denied: str) -> None:
    """Every line of `allowed` is, none of `denied`."""
    for line in filter(None, map(str.strip, allowed.splitlines())):
        assert allows(made, line), line
    for line in filter(None, map(str.strip, denied.splitlines())):
        assert not allows(made, line), line


def hosts(found: Found) -> list[str]:
    return [f"{row.host}:{row.ports[0]}{' '.join(row.paths[:1])}" for row in found.rows]
