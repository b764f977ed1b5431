"""Every decision of a record, made again from the packet's policies and facts; what differs is a failure. Pure.

The gate may be wrong or taken over, and its key-holder signs what it says. So a receipt counts for nothing that its
facts and the policies do not give as well. What can not be made again is what the client claimed: those are the facts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

from sluicegate import jcs
from sluicegate.evidence import records
from sluicegate.facts import Decision, Facts, Protocol, Verdict, Via
from sluicegate.policy import decide as policy
from sluicegate.policy import normal
from sluicegate.policy.model import PolicyError
from sluicegate.verify import strict
from sluicegate.verify.strict import VerificationError, need

# Decisions kept: runs ask for the same few destinations again and again, and each is made by the same rules.
KEPT = 4096
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
# Rules that no line of the policy stands for; a label is `allow[i] where` or `deny[i] where`.
_WORDS = frozenset(("default", "mismatch", "fault", "internal-address", "protocol", "method"))


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
        self._made: dict[tuple[Facts, bool], Decision] = {}
        # Intents that wait for their outcome, by action: how their facts began. Bounded by what is open at once.
        self._open: dict[str, bytes] = {}

    def decision(self, record: Mapping[str, object], flow: Mapping[str, object], what: str) -> None:
        """Nothing, if the policies give this receipt for these facts.

        Raises:
            VerificationError: they give another one, or the facts are not those of a connection.
        """
        phase, name = record.get("decision_phase"), str(record["action_id"])
        allowed = _ALWAYS | _OPTIONAL | (_OUTCOME if phase == "outcome" else set())
        need(_ALWAYS <= flow.keys() <= allowed, f"{what}: members that no connection has")
        begun = _begun(flow)
        if phase == "outcome":
            need(self._open.pop(name, None) == begun, f"{what}: an outcome with other facts")
        elif phase == "intent":
            self._open[name] = begun
        facts = read(flow, what)
        try:
            self._compare(record, flow, facts, what)
        except ValueError as error:
            raise VerificationError(f"{what}: {error}") from error

    def _compare(
        self, record: Mapping[str, object], flow: Mapping[str, object], facts: Facts, what: str
    ) -> None:
        made = self._decide(facts, asked="asked" in flow)
        phase, verdict = record.get("decision_phase"), record["verdict"]
        addresses = _addresses(flow, what)
        if addresses and phase is None and verdict == "block":
            need(made.verdict is Verdict.ALLOW, f"{what}: looked up what is denied")
            _, refused = policy.answered(self._policies, made, addresses)
            if refused is None:
                _differs(what, "block", "allow")
            made = refused
        elif addresses:
            good, _ = policy.answered(self._policies, made, addresses)
            # Without a peer nothing was connected to: the look-up's answer was refused, which is another receipt.
            admitted = good == addresses or "peer" not in flow
            need(admitted, f"{what}: an address that the policy does not admit")
        wanted = {"block": Verdict.DENY, "allow": Verdict.ALLOW, "warn": Verdict.ALLOW}
        if made.verdict is not wanted.get(str(verdict)):
            _differs(what, str(verdict), made.verdict.value)
        need(verdict != "warn" or made.observed, f"{what}: a warning of what is allowed")
        rule = strict.text(flow["rule"], f"{what}: rule")
        need(_kind(rule) == _kind(made.rule), f"{what}: by {rule}, policy says {made.rule}")
        judged = replace(made, rule=rule, reason=strict.text(flow["reason"], f"{what}: reason"))
        self._said(record, flow, facts, judged, what)

    def _decide(self, facts: Facts, *, asked: bool) -> Decision:
        known = facts, asked
        if known not in self._made:
            if len(self._made) >= KEPT:
                self._made.clear()
            self._made[known] = (
                policy.preliminary(self._loose, facts)
                if asked
                else policy.decide(self._policies, facts)
            )
        return self._made[known]

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
        phase = record.get("decision_phase")
        if phase == "outcome":
            message = records.outcome(client, facts, judged, name, _outcome(flow, what))
        elif record["verdict"] == "warn":
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


_MEMBERS = ("action_type", "verdict", "target", "transport", "method", "layer", "pattern")


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


def _begun(flow: Mapping[str, object]) -> bytes:
    """What an intent and its outcome have in common, as 16 bytes."""
    common = {k: v for k, v in flow.items() if k not in _OUTCOME | _FIRST}
    return hashlib.sha256(jcs.encode(common)).digest()[:16]  # type: ignore[arg-type]


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
    return records.Outcome(
        reason=strict.text(flow.get("outcome"), f"{what}: outcome"),
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
