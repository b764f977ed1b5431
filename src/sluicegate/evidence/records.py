"""Facts and decisions to the messages that the notary signs: strict JSON, printable ASCII. Pure.

A verifier makes the same messages from the facts on record and compares, so a receipt can say nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from sluicegate.facts import Decision, Facts, Protocol, Verdict, Via
from sluicegate.jcs import Json

MAX_TEXT = 2048  # characters of one client-made value in the record; a path may be 64 KiB
# Characters of a path. The policy matches no longer one (`policy.paths.MAX_PATH`), so what is cut off decides nothing.
MAX_PATH = 8192
# Addresses of one name that are dialled and recorded: an answer may hold thousands, which would cost as many
# descriptors, and a line that the notary refuses.
MAX_ADDRESSES = 16
# The reason of an outcome that ran to its end: both sides ended, or a response was passed on whole.
COMPLETE = "complete"
_TYPES = {
    **dict.fromkeys(("GET", "HEAD", "OPTIONS", "TRACE"), "read"),
    **dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), "write"),
}
_SCHEME = {Protocol.TLS: "tls", Protocol.HTTP: "http", Protocol.HTTPS: "https"}
SECRET = "secret"  # noqa: S105 - the rule of a denial because of a secret where it does not belong
# What readers of the published format know our rules as.
_LAYERS = {
    "internal-address": "ssrf",
    "deny": "blocklist",
    "default": "allowlist",
    SECRET: "dlp",
}
# What a URL leaves out.
_USUAL = {"http": 80, "https": 443}
_WORDS = {member: member.value for member in (*Protocol, *Via)}  # `value` is a call, in Python
_PROXIED = (Via.CONNECT, Via.SOCKS)
# What a decision and its outcome say alike: the line of facts, and the message without it.
Common = tuple[dict[str, Json], dict[str, Json]]


@dataclass(frozen=True, slots=True)
class Client:
    """Where a flow came from: the gate's number of the connection, the client's own port, and what the witness says
    of the program that made it.
    """

    connection: int
    port: int
    process: Json = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an allowed flow ended. `peer` is the address it was connected to, `status` HTTP's.

    `address_count` is how many addresses there were, where `addresses` is only their beginning. `kernel`: bytes up and
    down as the kernel counted them on the two sockets, None where there was no second one. `counted`: bytes that count
    against limits, of a request where there are such limits; `contents`: digests, where asked for. `frames`: those of a
    WebSocket, up and down.
    """

    reason: str
    bytes_up: int = 0
    bytes_down: int = 0
    duration_ms: int = 0
    addresses: tuple[str, ...] = ()
    peer: str | None = None
    status: int | None = None
    address_count: int = 0
    kernel: tuple[int, int] | None = None
    frames: tuple[int, int] | None = None
    counted: int | None = None
    contents: tuple[tuple[str, int], tuple[str, int]] | None = None


def printable(text: str) -> str:
    """`text` in printable ASCII, cut to a bounded length."""
    if len(text) <= MAX_TEXT and text.isascii() and text.isprintable():
        return text
    shown = "".join(c if " " <= c <= "~" else f"\\x{ord(c):02x}" for c in text[:MAX_TEXT])
    # What is shown is what counts: escapes are up to ten times as long as what they stand for.
    return shown if len(text) <= MAX_TEXT >= len(shown) else shown[:MAX_TEXT] + "..."


def decision(
    client: Client,
    facts: Facts,
    judged: Decision,
    action_id: str,
    *,
    ech: bool = False,
    asked: bool = False,
    addresses: tuple[str, ...] = (),
    known: Common | None = None,
) -> dict[str, Json]:
    """The receipt of a decision: `block`, or the `intent` of what is allowed.

    `asked`: a proxy client's target alone was judged. `addresses`: what a name had, where that is why it is denied.
    `known`: what `common` says of the first three.
    """
    allowed = judged.verdict is Verdict.ALLOW
    flow, message = _begun(known or common(client, facts, judged), action_id)
    for name, said in (("ech", ech), ("asked", asked)):
        if said:
            flow[name] = True
    if addresses:
        flow["addresses"] = list(addresses[:MAX_ADDRESSES])
    _attribute(flow, client)
    message["verdict"] = "allow" if allowed else "block"
    if allowed:
        message["phase"] = "intent"
    else:
        message["layer"], message["pattern"] = _layer(judged), printable(judged.rule)
        if judged.rule == SECRET:
            message["severity"] = "high"
    return message


def warning(client: Client, facts: Facts, judged: Decision, action_id: str) -> dict[str, Json]:
    """The receipt that says what observe mode let through."""
    flow, message = _begun(common(client, facts, judged), action_id)
    _attribute(flow, client)
    message["verdict"] = "warn"
    message["layer"], message["pattern"] = _layer(judged), printable(judged.rule)
    return message


def _attribute(flow: dict[str, Json], client: Client) -> None:
    """Of a decision alone: its outcome has the same connection, and its line is shorter without."""
    if client.process is not None:
        flow["process"] = client.process


def outcome(
    client: Client,
    facts: Facts,
    judged: Decision,
    action_id: str,
    end: Outcome,
    known: Common | None = None,
) -> dict[str, Json]:
    """The second receipt of an allowed flow; `known` as for `decision`."""
    flow, message = _begun(known or common(client, facts, judged), action_id)
    flow["outcome"] = printable(end.reason)
    flow["bytes_up"], flow["bytes_down"] = end.bytes_up, end.bytes_down
    flow["duration_ms"] = end.duration_ms
    for name, said in (("peer", end.peer), ("status", end.status), ("counted_up", end.counted)):
        if said is not None:
            flow[name] = said
    if end.kernel is not None:
        flow["kernel_up"], flow["kernel_down"] = end.kernel
    if end.contents is not None:
        for way, (digest, size) in zip(("up", "down"), end.contents, strict=True):
            flow[f"sha256_{way}"], flow[f"content_{way}"] = digest, size
    if end.frames is not None:
        flow["frames_up"], flow["frames_down"] = end.frames
    shown = end.addresses[:MAX_ADDRESSES]
    if shown:
        flow["addresses"] = list(shown)
    if end.address_count > len(shown):
        flow["address_count"] = end.address_count
    message["verdict"] = "allow"
    message["phase"] = message["layer"] = "outcome"
    message["pattern"] = outcome_pattern(end)
    return message


def outcome_pattern(end: Outcome) -> str:
    """The words of an outcome, as readers of the published format know them."""
    status = "" if end.status is None else f"status={end.status} "
    reason = "-".join(printable(end.reason).split())
    return f"{status}bytes={end.bytes_up + end.bytes_down} reason={reason}"


def target(facts: Facts, judged: Decision) -> str:
    """The flow's destination like a URL, without query: secrets travel there."""
    host = judged.name or judged.address or facts.synthetic or facts.target or facts.address
    where = f"[{host}]" if ":" in host else host
    scheme = _SCHEME.get(facts.protocol, "tcp")
    if scheme in _USUAL and facts.method is not None:
        port = "" if judged.port == _USUAL[scheme] else f":{judged.port}"
        path = _path(facts) or "/"
        return f"{scheme}://{where}{port}{path if path[:1] == '/' else '/' + path}"
    return f"{scheme}://{where}:{judged.port}"


def _path(facts: Facts) -> str | None:
    return None if facts.path is None else printable(facts.path.partition("?")[0])


def _whole(facts: Facts) -> tuple[str | None, int | None]:
    """The path as far as it can matter, and how many bytes its query had, the mark not counted; None: no query."""
    if facts.path is None:
        return None, None
    path, mark, query = facts.path.partition("?")
    shown = path if path.isascii() and path.isprintable() else printable(path)
    cut = shown if len(shown) <= MAX_PATH else shown[:MAX_PATH] + "..."
    return cut, len(query) if mark else None


def common(client: Client, facts: Facts, judged: Decision) -> Common:
    """What every receipt about these says."""
    url, method = target(facts, judged), facts.method
    path, query = _whole(facts)
    flow: dict[str, Json] = {
        "kind": "connection",
        "connection": client.connection,
        "client_port": client.port,
        "address": facts.address,
        "port": facts.port,
        "protocol": _WORDS[facts.protocol],
        "via": _WORDS[facts.via],
        "url": url,
        "rule": printable(judged.rule),
        "reason": printable(judged.reason),
    }
    optional: tuple[tuple[str, Json], ...] = (
        ("query", [list(pair) for pair in facts.query] if facts.query else None),
        ("headers", [list(pair) for pair in facts.headers] if facts.headers else None),
        ("synthetic", facts.synthetic),
        ("target", facts.target),
        ("target_port", facts.target_port),
        ("sni", facts.sni),
        ("host", facts.host),
        ("host_port", facts.host_port),
        ("method", method),
        ("path", path),
        ("query_bytes", query),
        ("answer", facts.answer),
        ("fault", None if facts.fault is None else printable(facts.fault)),
        ("remedy", judged.remedy),
        ("observed", True if judged.observed else None),
        ("opened", True if judged.opened else None),
        ("counted", judged.counted),
    )
    flow.update([pair for pair in optional if pair[1] is not None])
    message: dict[str, Json] = {
        "action_type": _TYPES.get(method or "", "unclassified"),
        "target": url,
        "transport": "connect" if facts.via in _PROXIED else "forward",
        "method": method,
    }
    return flow, message


def _begun(known: Common, action_id: str) -> Common:
    """A message of its own, with its own line of facts, for the receipt `action_id`."""
    flow = known[0].copy()
    return flow, {"flow": flow, "action_id": action_id, **known[1]}


def _layer(judged: Decision) -> str:
    word = judged.rule.partition("[")[0].partition(" ")[0]
    return _LAYERS.get(word, printable(word) or "policy")
