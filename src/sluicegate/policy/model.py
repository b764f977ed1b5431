"""What a policy says, after the grammar has accepted it: frozen values."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_PORTS = (80, 443)


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

    Empty `ports` (deny rules only) means every port; empty `methods` or `paths` means any. `query` and `headers` are
    (name, glob); `inspect` None: TLS is opened where the rule needs to see what is in it.
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


@dataclass(frozen=True, slots=True)
class Secret:
    """A credential that only the gate has: the place in a request to `hosts` into which it puts the real value.

    `source` is (env, name), (file, path) or (fd, name); `place` is header, bearer, basic or query, `key` the header's
    or parameter's name.
    """

    name: str
    source: tuple[str, str]
    hosts: tuple[str, ...]
    methods: tuple[str, ...]
    place: str
    key: str


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy file. An empty `allow` allows nothing.

    `connections` None: the gate's own limit. `env` and `bind` are the agent's, kept in order.
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
