"""What a line of a connection states: its facts, and how it ended. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from sluicegate.evidence import records
from sluicegate.facts import Facts, Protocol, Via
from sluicegate.policy import conditions
from sluicegate.policy import decide as policy
from sluicegate.verify import strict
from sluicegate.verify.counted import MAX_PORT, ranged
from sluicegate.verify.limited import contents
from sluicegate.verify.strict import VerificationError, need

MAX_QUERY_BYTES = 65_536  # the gate reads no longer head of a request
TEXTS = ("synthetic", "target", "sni", "host", "method", "fault", "answer")
NUMBERS = ("target_port", "host_port")
PAIRS = ("query", "headers")
# What the gate takes for a response: RFC 9110 section 15 has a client treat those beyond 599 as some 5xx.
_LEAST_STATUS, _MOST_STATUS = 200, 999
SWITCHED = 101  # the status of a WebSocket, whose frames are counted
_PAIR = 2
_MOST_TEXT = conditions.MAX_CONDITION_VALUE + len(conditions.CUT)
_HTTPS = Protocol.HTTPS.value
_COUNTS = ("bytes_up", "bytes_down", "duration_ms")


def read(flow: Mapping[str, object], what: str) -> Facts:
    """The facts that a line of a connection states.

    Raises:
        VerificationError: one of another kind than its writer's.
    """
    texts = {n: strict.text(flow[n], f"{what}: {n}") for n in TEXTS if n in flow}
    numbers = {n: ranged(flow[n], 1, MAX_PORT, f"{what}: {n}") for n in NUMBERS if n in flow}
    path = None
    if "path" in flow:
        path = strict.text(flow["path"], f"{what}: path")
        if "query_bytes" in flow:
            size = strict.count(flow["query_bytes"], f"{what}: query_bytes")
            # Its text is nobody's business; its length decides whether the whole is too long to match a rule.
            need(size <= MAX_QUERY_BYTES, f"{what}: query_bytes")
            path += "?" + "-" * size
    try:
        protocol, via = Protocol(flow["protocol"]), Via(flow["via"])
    except ValueError as error:
        raise VerificationError(f"{what}: {error}") from error
    address = strict.text(flow["address"], f"{what}: address")
    need(policy.is_literal(address) and "%" not in address, f"{what}: {address} is no address")
    return Facts(
        protocol=protocol,
        address=address,
        # The kernel lets a program ask for port 0, too.
        port=ranged(flow["port"], 0, MAX_PORT, f"{what}: port"),
        via=via,
        synthetic=texts.get("synthetic"),
        target=texts.get("target"),
        target_port=numbers.get("target_port"),
        sni=texts.get("sni"),
        host=texts.get("host"),
        host_port=numbers.get("host_port"),
        method=texts.get("method"),
        path=path,
        query=_pairs(flow, "query", what),
        headers=_pairs(flow, "headers", what),
        fault=texts.get("fault"),
        answer=texts.get("answer"),
    )


def _pairs(flow: Mapping[str, object], name: str, what: str) -> conditions.Pairs:
    """What conditions look at; a request has them, and the gate cuts what is long."""
    if name not in flow:
        return ()
    found = flow[name]
    listed = isinstance(found, list) and 0 < len(found) <= conditions.MAX_PAIRS + 1
    need(listed and "path" in flow, f"{what}: {name}")
    pairs = list[tuple[str, str]]()
    for pair in found if isinstance(found, list) else ():
        need(isinstance(pair, list) and len(pair) == _PAIR, f"{what}: {name} that are no pairs")
        key, value = (strict.text(text, f"{what}: {name}") for text in pair)
        need(len(key) <= _MOST_TEXT >= len(value), f"{what}: {name} that were not cut")
        pairs.append((key, value))
    return tuple(pairs)


def conditioned(facts: Facts, named: tuple[frozenset[str], frozenset[str]], what: str) -> None:
    """Nothing, if what `facts` have for conditions is what the gate takes from a request for conditions on `named`.

    Raises:
        VerificationError: nobody asked for it, it was not taken so, or no query is that short.
    """
    least = -1
    for at, (name, value) in enumerate(facts.query):
        least += 1
        if _cut(name, value):
            need(named[0], f"{what}: query that no condition is about")
            continue
        ours = conditions.query(f"?{name}={value}", named[0]) == ((name, value),)
        need(ours and at < conditions.MAX_PAIRS, f"{what}: query that no condition is about")
        least += len(name) + bool(value) + len(value.removesuffix(conditions.CUT))
    size = len((facts.path or "").partition("?")[2])
    need(least <= size, f"{what}: more of a query than its query_bytes")
    for at, (name, value) in enumerate(facts.headers):
        ours = conditions.headers(((name, value),), named[1]) == ((name, value),)
        ours = ours if at < conditions.MAX_PAIRS else _cut(name, value)
        need(ours, f"{what}: headers that no condition is about")


def _cut(name: str, value: str) -> bool:
    return name == value == conditions.CUT


def addresses(flow: Mapping[str, object], what: str) -> tuple[str, ...]:
    """Those it lists, in order; empty for none.

    Raises:
        VerificationError: one that is none, or too many.
    """
    found = flow.get("addresses")
    if found is None and "addresses" not in flow:
        return ()
    if not isinstance(found, list):
        raise VerificationError(f"{what}: addresses")
    listed = tuple([strict.text(address, what) for address in found])
    if not all(map(policy.is_literal, listed)) or len(listed) > records.MAX_ADDRESSES:
        raise VerificationError(f"{what}: addresses that are none")
    return listed


def outcome(flow: Mapping[str, object], what: str) -> records.Outcome:
    """How the line says that an allowed flow ended.

    Raises:
        VerificationError: as no gate says it.
    """
    listed = addresses(flow, what)
    up, down, duration = (strict.member(flow, name, what) for name in _COUNTS)
    kernel = None
    if "kernel_up" in flow or "kernel_down" in flow:
        kernel = strict.member(flow, "kernel_up", what), strict.member(flow, "kernel_down", what)
    frames = None
    if "frames_up" in flow or "frames_down" in flow:
        frames = strict.member(flow, "frames_up", what), strict.member(flow, "frames_down", what)
    peer = strict.text(flow["peer"], f"{what}: peer") if "peer" in flow else None
    if not (peer is None or peer in listed):
        raise VerificationError(f"{what}: connected to what the name has not")
    many = 0
    if "address_count" in flow:
        many = strict.member(flow, "address_count", what)
        need(many > len(listed), f"{what}: address_count")
    if not listed and "addresses" in flow:
        raise VerificationError(f"{what}: addresses")
    status = None
    if "status" in flow:
        least = _LEAST_STATUS if frames is None else SWITCHED
        status = ranged(flow["status"], least, _MOST_STATUS, f"{what}: status")
    switched = status == SWITCHED and flow.get("method") == "GET"
    if not (frames is None or switched):
        raise VerificationError(f"{what}: frames of what is no WebSocket")
    reason = strict.words(flow, "outcome", what)
    if records.printable(reason) != reason:
        raise VerificationError(f"{what}: outcome")
    inside = flow.get("protocol") == _HTTPS
    if not (kernel is None or not inside):
        raise VerificationError(f"{what}: the kernel does not see into TLS")
    return records.Outcome(
        reason=reason,
        bytes_up=up,
        bytes_down=down,
        duration_ms=duration,
        addresses=listed,
        peer=peer,
        status=status,
        address_count=many,
        kernel=kernel,
        frames=frames,
        counted=strict.member(flow, "counted_up", what) if "counted_up" in flow else None,
        contents=contents(flow, what),
    )
