"""A Pipelock YAML to the text of our policy. What has no counterpart is told; what would be lost is an error. Pure.

Keys and their meaning: Pipelock's configuration (the CI subset of 2.4 and what newer versions add at the top level).
Unknown keys and second documents are errors there too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from sluicegate.policy import document, rules
from sluicegate.policy.document import Node
from sluicegate.policy.model import PolicyError
from sluicegate.policy.scalars import RuleError

MODES = ("strict", "balanced", "audit")
# What sluicegate does itself, in every run, whatever a file says: capture without a proxy, a signed record of every
# decision, one identity for the run, SNI that must agree, compression of WebSockets that is never agreed on.
OURS = frozenset(
    """
    version explain_blocks forward_proxy websocket_proxy flight_recorder default_agent_identity
    bind_default_agent_identity logging metrics_listen fetch_proxy.listen fetch_proxy.timeout_seconds
    fetch_proxy.user_agent dlp.scan_env dlp.include_defaults kill_switch.message kill_switch.enabled
    tls_interception.ca_cert tls_interception.ca_key tls_interception.cert_ttl tls_interception.cert_cache_size
    """.split()  # noqa: SIM905 - a table of words
)
# What `_Reader.policy` translates or judges.
READ = frozenset(
    """
    mode enforce api_allowlist internal trusted_domains ssrf.ip_allowlist fetch_proxy.monitoring.blocklist
    fetch_proxy.monitoring.max_requests_per_minute fetch_proxy.monitoring.max_data_per_minute
    tls_interception.enabled tls_interception.passthrough_domains
    """.split()  # noqa: SIM905
)
# Sections of which each key has a place of its own in these tables.
SECTIONS = frozenset(
    ("fetch_proxy", "fetch_proxy.monitoring", "dlp", "ssrf", "tls_interception", "kill_switch")
)
# What stops traffic there, is there only where somebody wrote it down, and is enforced by nothing here.
LOST = frozenset(
    ("dlp.patterns", "dlp.secrets_file", "canary_tokens", "agents", "kill_switch.sentinel_file")
)
# No counterpart: scanning of content, rate and size of what is read, and what is not about egress.
GONE = frozenset(
    """
    suppress request_body_scanning response_scanning seed_phrase_detection cross_request_detection sandbox redaction
    taint airlock git_protection emit mediation_envelope
    fetch_proxy.max_response_mb fetch_proxy.monitoring.max_url_length fetch_proxy.monitoring.entropy_threshold
    fetch_proxy.monitoring.subdomain_entropy_threshold fetch_proxy.monitoring.subdomain_entropy_exclusions
    tls_interception.max_response_bytes kill_switch.health_exempt kill_switch.metrics_exempt
    kill_switch.api_exempt kill_switch.api_token kill_switch.api_listen kill_switch.allowlist_ips
    """.split()  # noqa: SIM905
)
_MCP = re.compile(r"mcp_[a-z_]{1,64}")
_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)
# More a minute limits nothing; the grammar's own bound.
MAX_REQUESTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Notice:
    """What the new policy does not do, or does otherwise. Lines count from 1."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Converted:
    """`text`: our policy as YAML; `warnings`: in the file's order."""

    text: str
    warnings: tuple[Notice, ...]


def convert(text: str, source: str) -> Converted:
    """Our policy for the Pipelock configuration `text`; `source` names the file in errors.

    Raises:
        PolicyError: no such configuration, or one whose protection would be lost on the way.
    """
    root = document.read(text, source)
    if root.kind != "mapping":
        message = f"a Pipelock configuration wants a mapping and got {root.called}"
        raise PolicyError(source, root.line, root.column, message, "begin with `version: 1`")
    return _Reader(source, dict(_leaves(root, source, ""))).converted()


def _leaves(node: Node, source: str, above: str) -> Iterator[tuple[str, tuple[Node, Node]]]:
    """Each key that a table names, dotted: its node and its value's."""
    for key, value in node.pairs:
        name = above + key.value
        if name in SECTIONS:
            if value.kind == "mapping":
                yield from _leaves(value, source, f"{name}.")
            elif value.kind != "null":
                message = f"{name} wants a mapping and got {value.called}"
                raise PolicyError(source, value.line, value.column, message, f"{name}: {{}}")
        elif name in OURS | READ | LOST | GONE or (not above and _MCP.fullmatch(name)):
            yield name, (key, value)
        else:
            message = f'no key "{name[:80]}" of a Pipelock configuration is known here'
            hint = "remove it: nothing would enforce it, and Pipelock refuses unknown keys too"
            raise PolicyError(source, key.line, key.column, message, hint)


_Host = tuple[str, bool]  # a name; whether it stands for the names below it


class _Reader:
    def __init__(self, source: str, found: dict[str, tuple[Node, Node]]) -> None:
        self._source, self._found = source, found
        self._warnings: list[Notice] = []

    def converted(self) -> Converted:
        self._refuse()
        mode = self._mode()
        killed = self._flag("kill_switch.enabled", default=False)
        if killed and mode == "observe":
            self._fail(
                "kill_switch.enabled",
                "kill_switch with a mode that lets everything through",
                "mode: strict",
            )
        allow = [] if killed else self._hosts("api_allowlist", deny=False)
        deny = self._hosts("fetch_proxy.monitoring.blocklist", deny=True)
        self._both(allow, deny)
        opened = self._flag("tls_interception.enabled", default=False)
        closed = self._hosts("tls_interception.passthrough_domains", deny=False) if opened else []
        lines = ["version: 1", f"mode: {mode}"]
        lines += self._rules(allow, closed)
        lines += ["deny:", *(_host(host) for host in deny)] if deny else []
        lines += ["inspect: all"] if opened else []
        lines += self._limits()
        for name, (key, value) in self._found.items():
            if (name in GONE or name.startswith("mcp_")) and not _empty(value):
                self._warn(key, f"{name} has no counterpart: nothing here does it")
        return Converted(
            "\n".join(lines) + "\n", tuple(sorted(self._warnings, key=lambda w: w.line))
        )

    def _refuse(self) -> None:
        """Raises PolicyError for what can not be taken over without losing what somebody relies on."""
        version = self._value("version")
        if version is not None and (version.kind, version.value) != ("int", "1"):
            self._fail("version", f"version is {version.called}, not 1", "version: 1")
        for name in sorted(LOST & self._found.keys()):
            if not _empty(self._found[name][1]):
                message = f"{name} stops traffic there, and nothing here would"
                self._fail(
                    name,
                    message,
                    "remove it once that is meant, or keep the secret from the command: secrets:",
                )
        for name in ("trusted_domains", "ssrf.ip_allowlist"):
            if not _empty(self._found.get(name, (None, None))[1]):
                message = (
                    f"{name} opens internal addresses, also for connections to the address alone"
                )
                hint = (
                    "remove it, and write into a policy of your own: - {ip: 10.1.2.3, ports: [443]}"
                )
                self._fail(name, message, hint)
        internal = self._value("internal")
        if internal is not None and internal.kind == "list" and not internal.items:
            self._fail("internal", "internal: [] opens every internal address", "remove the key")
        if internal is not None and not _empty(internal):
            self._warn(
                self._found["internal"][0],
                "internal is not taken over: the list here is fixed, and closed",
            )

    def _mode(self) -> str:
        """`enforce` or `observe`."""
        node = self._value("mode")
        mode = "balanced" if node is None or node.kind == "null" else node.value
        if mode not in MODES:
            self._fail("mode", f'mode "{mode[:80]}" is not known', f"one of: {', '.join(MODES)}")
        listed = self._value("api_allowlist")
        if mode == "strict" and _empty(listed):
            self._fail(
                "mode", "mode: strict without api_allowlist allows nothing", "name the hosts"
            )
        where = self._found.get("mode", (Node("str", 1, 1), None))[0]
        enforced = self._flag("enforce", default=True)
        if mode == "audit" and enforced:
            # Its proxies ask for `enforce` alone before they block (enforcedBlock), whatever the mode is called.
            self._fail(
                "mode",
                "mode: audit says that nothing is denied, and enforce, which is true unless written, that it is",
                "enforce: false if nothing is to be denied; else mode: balanced",
            )
        if not enforced:
            self._warn(
                self._found["enforce"][0],
                "nothing is denied but internal addresses: what would be is let through and recorded",
            )
            return "observe"
        if mode == "balanced":
            self._warn(
                where,
                "mode balanced lets out what no list names; here what api_allowlist does not name is denied",
            )
        if _empty(listed):
            self._warn(
                where, "no api_allowlist: nothing is allowed, Pipelock's own list is not taken over"
            )
        return "enforce"

    def _hosts(self, name: str, *, deny: bool) -> list[_Host]:
        """The hosts of a list; `*.x` is x too, as Pipelock means it."""
        node = self._value(name)
        if node is None or node.kind == "null":
            return []
        if node.kind != "list":
            self._fail(
                name, f"{name} wants a list and got {node.called}", f'{name}: ["example.com"]'
            )
        found = dict[_Host, None]()
        for item in node.items:
            try:
                host, wildcard = rules.host_of(item, deny=deny)
            except RuleError as error:
                at = error.node
                message = f"{name}: {error.message}"
                raise PolicyError(self._source, at.line, at.column, message, error.hint) from error
            found[host, False] = None
            if wildcard:
                found[host, True] = None
        return list(found)

    def _both(self, allow: list[_Host], deny: list[_Host]) -> None:
        for host in allow:
            if any(_within(host, other) for other in deny):
                key = self._found["fetch_proxy.monitoring.blocklist"][0]
                said = f"{_name(host)} is in api_allowlist and in the blocklist: here it is denied"
                self._warn(key, said)

    def _rules(self, allow: list[_Host], closed: list[_Host]) -> list[str]:
        lines = []
        for host in allow:
            apart = any(_within(host, other) for other in closed)
            lines.append(_host(host) + ("\n    inspect: false" if apart else ""))
        inside = [
            host
            for host in closed
            if host not in allow and any(_within(host, other) for other in allow)
        ]
        lines += [f"{_host(host)}\n    inspect: false" for host in inside]
        return ["allow:", *lines] if lines else ["allow: []"]

    def _limits(self) -> list[str]:
        names = {
            "fetch_proxy.monitoring.max_requests_per_minute": "requests_per_minute",
            "fetch_proxy.monitoring.max_data_per_minute": "upload_per_host",
        }
        found = []
        for name, ours in names.items():
            node = self._value(name)
            if node is None or node.kind == "null" or node.value == "0":
                continue
            if node.kind != "int" or not _COUNT.fullmatch(node.value) or node.value[0] == "0":
                self._fail(name, f"{name} wants a number and got {node.called}", f"{name}: 60")
            number = int(node.value)
            found.append(f"{ours}: {min(number, MAX_REQUESTS) if ours[0] == 'r' else number}")
            scope = "the whole run" if ours[0] == "r" else "each host and the whole run"
            self._warn(self._found[name][0], f"{name} becomes limits.{ours}, which is of {scope}")
        return [f"limits: {{{', '.join(found)}}}"] if found else []

    def _flag(self, name: str, *, default: bool) -> bool:
        node = self._value(name)
        if node is None or node.kind == "null":
            return default
        if node.kind != "bool" or node.value not in {"true", "false"}:
            self._fail(name, f"{name} wants true or false and got {node.called}", f"{name}: true")
        return node.value == "true"

    def _value(self, name: str) -> Node | None:
        return self._found[name][1] if name in self._found else None

    def _warn(self, key: Node, message: str) -> None:
        self._warnings.append(Notice(key.line, message))

    def _fail(self, name: str, message: str, hint: str) -> NoReturn:
        key = self._found[name][0]
        raise PolicyError(self._source, key.line, key.column, message, hint)


def _empty(node: Node | None) -> bool:
    """Whether nothing is said: no key, null, an empty text, list or mapping."""
    return node is None or not (node.value or node.items or node.pairs) or node.kind == "null"


def _within(host: _Host, other: _Host) -> bool:
    """Whether all that `host` stands for is what `other` stands for."""
    below = host[0].endswith(f".{other[0]}")
    return host == other or (other[1] and (below or host == (other[0], True)))


def _name(host: _Host) -> str:
    return f"*.{host[0]}" if host[1] else host[0]


def _host(host: _Host) -> str:
    return f'  - host: "{_name(host)}"'
