"""What a policy says, after the grammar has accepted it: frozen values."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_PORTS = (80, 443)
# RFC 9110 section 5.6.2, in the upper case that every registered method has.
METHOD = re.compile(r"[A-Z][A-Z0-9!#$%&'*+.^_`|~-]{0,31}", re.ASCII)


class PolicyError(Exception):
    """The policy's author is at fault: where, what, and how to mend it.

    Lines and columns count from 1; line 0 means the file as a whole.
    """

    def __init__(self, source: str, line: int, column: int, message: str, hint: str = "") -> None:
        where = f"{source}:{line}:{column}" if line else source
        super().__init__(_shown(f"{where}: {message}"))
        self.source, self.line, self.column = source, line, column
        self.message, self.hint = _shown(message), _shown(hint)


def _shown(text: str) -> str:
    # Messages quote a file that a stranger may have written: no escape sequence, no forged log line.
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of `allow` or `deny`: a host (wildcard: names below it) or a network, never both.

    Empty `ports` (deny rules only) means every port; empty `methods` or `paths` means any. `query` and `headers`
    are pairs of a name (a header's in lower case) and a glob; several of one name are alternatives. `inspect`
    None: TLS is opened as needed. `preset` names the preset that the rule is part of, for people alone.
    """

    label: str
    host: str | None = None
    wildcard: bool = False
    network: str | None = None
    ports: tuple[int, ...] = DEFAULT_PORTS
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    inspect: bool | None = None
    preset: str = ""

    @property
    def narrow(self) -> bool:
        """Whether it asks for what only a request shows."""
        return bool(self.methods or self.paths or self.query or self.headers)


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that the gate puts into requests; the command's variable `name` holds a placeholder.

    `source` is ("env", NAME), ("file", PATH) or ("fd", NAME): where the value comes from, never the value. `hosts` are
    written as in rules; empty `methods` means any. `place` is "header" (`key`: its lower-case name), "bearer" (no
    key), "basic" (`key`: the user; empty: whom the client names), "query" (`key`: the parameter) or "sigv4" (no key:
    the value is sent nowhere, AWS requests that are signed with the placeholder are signed with it).
    """

    name: str
    source: tuple[str, str]
    hosts: tuple[str, ...]
    methods: tuple[str, ...]
    place: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy file. An empty `allow` allows nothing.

    `connections` None: the gate's own limit. `env` and `bind` are the agent's, kept in order. `inspect` is "auto",
    "all" or "none". `upload` (one flow or request) and `upload_per_host` (the whole run) are bytes; None: no limit,
    as for `requests_per_minute` and `names_per_wildcard`. `digests`: contents are put on record as digests.
    `outputs`: names that the command may hand to later steps. `writable`: paths in the workspace that are left
    writable although later steps execute what they hold.
    `ask`: a person at the run's terminal may allow what it does not name.
    """

    source: str
    observe: bool = False
    allow: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()
    connections: int | None = None
    env: tuple[str, ...] = ()
    bind: tuple[str, ...] = ()
    inspect: str = "auto"
    upload: int | None = None
    upload_per_host: int | None = None
    requests_per_minute: int | None = None
    names_per_wildcard: int | None = None
    secrets: tuple[Secret, ...] = ()
    digests: bool = False
    outputs: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    ask: bool = False
