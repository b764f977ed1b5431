"""Every decision of a record, made again from the packet's policies and facts; what differs is a failure. Pure.

The gate may be wrong or taken over, and its key-holder signs what it says. So a receipt counts for nothing that its
facts and the policies do not give as well. What can not be made again is what the client claimed: those are the facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

import orjson

from sluicegate.evidence import records
from sluicegate.facts import Decision, Facts, Protocol, Verdict, Via
from sluicegate.policy import decide as policy
from sluicegate.policy import normal
from sluicegate.policy.model import PolicyError
from sluicegate.verify import strict
from sluicegate.verify.strict import VerificationError, need

KEPT = 4096  # different decisions; a run asks for hundreds
MAX_QUERY_BYTES = 65_536  # the gate reads no longer head of a request
_TEXTS = ("synthetic", "target", "sni", "host", "method", "fault")
_NUMBERS = ("target_port", "host_port")
_ALWAYS = {
    *("kind", "connection", "client_port", "address", "port", "protocol", "via", "url", "rule"),
    "reason",
}
_OPTIONAL = {
    *_TEXTS,
    *_NUMBERS,
    *("path", "query_bytes", "remedy", "observed", "ech", "asked", "addresses", "process"),
}
_OUTCOME = {
    *("outcome", "bytes_up", "bytes_down", "duration_ms", "kernel_up", "kernel_down"),
    *("peer", "status", "addresses", "address_count"),
}
# Said of an intent or a denial alone.
_FIRST = {"ech", "asked", "process"}
_KNOWN = _ALWAYS | _OPTIONAL
# Not the same in an intent and its outcome, or in two connections that are alike.
_VARYING = _OUTCOME | _FIRST | {"connection", "client_port"}
# What changes the decision, or has no place in one.
_SPECIAL = _OUTCOME | {"ech", "asked"}
# What a receipt says beside its facts; the first four are the same in an intent and its outcome.
_MEMBERS = ("action_type", "target", "transport", "method", "verdict", "layer", "pattern")
_OWN = 4
# Rules that no line of the policy stands for; a label is `allow[i] where` or `deny[i] where`.
_WORDS = frozenset(("default", "mismatch", "fault", "internal-address", "protocol", "method"))


@dataclass(frozen=True, slots=True)
class _Intent:
    """What was begun: (connection, client's port, facts), what its receipt says, and the decision."""

    begun: tuple[int, int, bytes]
    said: tuple[object, ...]
    made: Decision


class Redecide:
    """`decision` for each receipt of a connection, in the record's order."""

    def __init__(self, policy_json: bytes) -> None:
        """From the bytes of policy.json.

        Raises:
            VerificationError: they are not the canonical text of policies.
        """
        try:
            self._policies = normal.read(policy_json)
        except PolicyError as error:
            raise VerificationError(f"policy.json: {error.message}") from error
        self._loose = policy.relaxed(self._policies)
        # What receipts say beside facts that are not of one connection alone -> the decision that gives it. Runs ask
        # for the same few destinations again and again.
        self._good: dict[tuple[object, ...], Decision] = {}
        # Intents that wait for their outcome, by action. Bounded by what is open at once.
        self._open: dict[str, _Intent] = {}
        # Warnings whose intent comes next.
        self._warned: set[tuple[int, int, bytes]] = set()

    def decision(self, record: Mapping[str, object], flow: Mapping[str, object], what: str) -> None:
        """Nothing, if the policies give this receipt for these facts.

        Raises:
            VerificationError: they give another one, or the facts are not those of a connection.
        """
        phase, name = record.get("decision_phase"), str(record["action_id"])
        common = {key: value for key, value in flow.items() if key not in _VARYING}
        begun = (
            strict.count(flow.get("connection"), f"{what}: connection"),
            strict.count(flow.get("client_port"), f"{what}: client_port"),
            orjson.dumps(common, option=orjson.OPT_SORT_KEYS),
        )
        said = tuple(map(record.get, _MEMBERS))
        try:
            if phase == "outcome":
                self._ended(self._open.pop(name, None), begun, said, flow, what)
                return
            known = (phase, said, begun[2])
            made = None if flow.keys() & _SPECIAL else self._good.get(known)
            if made is None:
                need(_ALWAYS <= flow.keys() <= _KNOWN, f"{what}: members that no connection has")
                made = self._compare(record, flow, read(flow, what), what)
                if not flow.keys() & _SPECIAL:
                    if len(self._good) >= KEPT:
                        self._good.clear()
                    self._good[known] = made
        except ValueError as error:
            raise VerificationError(f"{what}: {error}") from error
        if record["verdict"] == "warn":
            self._warned.add(begun)
        elif "observed" in flow:
            if begun not in self._warned:
                raise VerificationError(f"{what}: let through by observe mode without its warning")
            self._warned.discard(begun)
        if phase == "intent":
            self._open[name] = _Intent(begun, said, made)

    def _ended(
        self,
        intent: _Intent | None,
        begun: tuple[int, int, bytes],
        said: tuple[object, ...],
        flow: Mapping[str, object],
        what: str,
    ) -> None:
        """Nothing, if this is how what `intent` began may have ended: its facts were decided then."""
        same = intent is not None and intent.begun == begun and not flow.keys() & _FIRST
        if intent is None or not same:
            raise VerificationError(f"{what}: an outcome with other facts")
        end = _outcome(flow, what)
        words = ("allow", "outcome", records.outcome_pattern(end))
        wanted = (*intent.said[:_OWN], *words)
        for member, found, given in zip(_MEMBERS, said, wanted, strict=True):
            if found != given:
                raise VerificationError(f"{what}: {member} is not what the policies and facts give")
        bare = intent.made.address
        if bare is not None and end.addresses not in {(), (bare,)}:
            raise VerificationError(f"{what}: an address that was not asked for")
        idle = not (end.bytes_up or end.bytes_down or any(end.kernel or ())) and end.status is None
        if end.peer is None and not idle:
            raise VerificationError(f"{what}: bytes or a status of nobody")
        if end.addresses:
            good, _ = policy.answered(self._policies, intent.made, end.addresses)
            # Without a peer nothing was connected to: the look-up's answer was refused, which is another receipt.
            admitted = good == end.addresses or end.peer is None
            if not admitted:
                raise VerificationError(f"{what}: an address that the policy does not admit")

    def _compare(
        self, record: Mapping[str, object], flow: Mapping[str, object], facts: Facts, what: str
    ) -> Decision:
        """The decision on `facts`, which gives the receipt."""
        made = self._decide(facts, asked="asked" in flow)
        phase, verdict = record.get("decision_phase"), record["verdict"]
        addresses = _addresses(flow, what)
        if addresses:
            need(phase is None and verdict == "block", f"{what}: addresses before a look-up")
            need(made.verdict is Verdict.ALLOW, f"{what}: looked up what is denied")
            _, refused = policy.answered(self._policies, made, addresses)
            if refused is None:
                _differs(what, "block", "allow")
            made = refused
        wanted = {"block": Verdict.DENY, "allow": Verdict.ALLOW, "warn": Verdict.ALLOW}
        if made.verdict is not wanted.get(str(verdict)):
            _differs(what, str(verdict), made.verdict.value)
        need(verdict != "warn" or made.observed, f"{what}: a warning of what is allowed")
        rule = strict.text(flow["rule"], f"{what}: rule")
        need(_kind(rule) == _kind(made.rule), f"{what}: by {rule}, policy says {made.rule}")
        judged = replace(made, rule=rule, reason=strict.text(flow["reason"], f"{what}: reason"))
        self._said(record, flow, facts, judged, what)
        return made

    def _decide(self, facts: Facts, *, asked: bool) -> Decision:
        if asked:
            return policy.preliminary(self._loose, facts)
        return policy.decide(self._policies, facts)

    def _said(
        self,
        record: Mapping[str, object],
        flow: Mapping[str, object],
        facts: Facts,
        judged: Decision,
        what: str,
    ) -> None:
        """Nothing, if the receipt says of facts and decision what its writer would."""
        number = strict.count(flow["connection"], f"{what}: connection")
        port = strict.count(flow["client_port"], f"{what}: client_port")
        client, name = records.Client(number, port), str(record["action_id"])
        if record["verdict"] == "warn":
            message = records.warning(client, facts, judged, name)
        else:
            message = records.decision(
                *(client, facts, judged, name),
                ech=flow.get("ech") is True,
                asked=flow.get("asked") is True,
                addresses=_addresses(flow, what),
            )
        made = strict.mapping(message["flow"], what)
        left = {key: value for key, value in flow.items() if key != "process"}
        for key in sorted(made.keys() | left.keys()):
            same = strict.same(made.get(key), left.get(key))
            need(same, f"{what}: {key} of its facts is not what the policies and facts give")
        for key, member in (("phase", "decision_phase"), *((k, k) for k in _MEMBERS)):
            same = message.get(key) == record.get(member)
            need(same, f"{what}: {member} is not what the policies and facts give")


def read(flow: Mapping[str, object], what: str) -> Facts:
    """The facts that a line of a connection states.

    Raises:
        VerificationError: one of another kind than its writer's.
    """
    texts = {n: strict.text(flow[n], f"{what}: {n}") for n in _TEXTS if n in flow}
    numbers = {n: strict.count(flow[n], f"{what}: {n}") for n in _NUMBERS if n in flow}
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
    return Facts(
        protocol=protocol,
        address=strict.text(flow["address"], f"{what}: address"),
        port=strict.count(flow["port"], f"{what}: port"),
        via=via,
        synthetic=texts.get("synthetic"),
        target=texts.get("target"),
        target_port=numbers.get("target_port"),
        sni=texts.get("sni"),
        host=texts.get("host"),
        host_port=numbers.get("host_port"),
        method=texts.get("method"),
        path=path,
        fault=texts.get("fault"),
    )


def _addresses(flow: Mapping[str, object], what: str) -> tuple[str, ...]:
    found = flow.get("addresses", [])
    if not isinstance(found, list):
        raise VerificationError(f"{what}: addresses")
    return tuple(strict.text(address, f"{what}: address") for address in found)


def _outcome(flow: Mapping[str, object], what: str) -> records.Outcome:
    addresses = _addresses(flow, what)
    count = {n: strict.count(flow.get(n), f"{what}: {n}") for n in _COUNTS}
    kernel = None
    if "kernel_up" in flow or "kernel_down" in flow:
        up, down = (strict.count(flow.get(n), f"{what}: {n}") for n in ("kernel_up", "kernel_down"))
        kernel = up, down
    peer = strict.text(flow["peer"], f"{what}: peer") if "peer" in flow else None
    need(peer is None or peer in addresses, f"{what}: connected to what the name has not")
    many = strict.count(flow.get("address_count", 0), f"{what}: address_count")
    beyond = many > len(addresses) if "address_count" in flow else True
    need(beyond and len(addresses) <= records.MAX_ADDRESSES, f"{what}: address_count")
    need(addresses or "addresses" not in flow, f"{what}: addresses")
    reason = strict.text(flow.get("outcome"), f"{what}: outcome")
    need(records.printable(reason) == reason, f"{what}: outcome")
    return records.Outcome(
        reason=reason,
        bytes_up=count["bytes_up"],
        bytes_down=count["bytes_down"],
        duration_ms=count["duration_ms"],
        addresses=addresses,
        peer=peer,
        status=strict.count(flow["status"], f"{what}: status") if "status" in flow else None,
        address_count=many,
        kernel=kernel,
    )


_COUNTS = ("bytes_up", "bytes_down", "duration_ms")


def _kind(rule: str) -> str:
    """What sort of rule a label names: `allow`, `deny`, or a word for what no line of the policy says."""
    word = rule.partition(" ")[0].partition("[")[0]
    return word if word in {"allow", "deny"} | _WORDS else rule


def _differs(what: str, said: str, made: str) -> NoReturn:
    raise VerificationError(f"{what}: the receipt says {said}, the policies give {made}")
