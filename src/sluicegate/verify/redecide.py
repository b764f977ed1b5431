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
from sluicegate.evidence.signatures import SIGNATURE
from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.policy import decide as policy
from sluicegate.policy import normal
from sluicegate.policy.model import PolicyError
from sluicegate.policy.opening import opened, opens
from sluicegate.policy.together import together
from sluicegate.verify import leaked, stated, strict
from sluicegate.verify.answers import Answers
from sluicegate.verify.counted import MAX_PORT, Bound
from sluicegate.verify.labels import Labels
from sluicegate.verify.limited import CONTENTS, Limited
from sluicegate.verify.rebuilt import MEMBERS, compared
from sluicegate.verify.strict import VerificationError, need

KEPT = 4096  # different decisions; a run asks for hundreds
_ALWAYS = {
    *("kind", "connection", "client_port", "address", "port", "protocol", "via", "url", "rule"),
    "reason",
}
_OPTIONAL = {
    *stated.TEXTS,
    *stated.NUMBERS,
    *stated.PAIRS,
    *("path", "query_bytes", "remedy", "observed", "opened", "ech", "asked", "addresses"),
    *("process", "counted"),
}
_OUTCOME = {
    *("outcome", "bytes_up", "bytes_down", "duration_ms", "kernel_up", "kernel_down"),
    *("peer", "status", "addresses", "address_count", "frames_up", "frames_down"),
    *("counted_up", *CONTENTS),
}
# Said of an intent or a denial alone.
_FIRST = {"ech", "asked", "process"}
_KNOWN = _ALWAYS | _OPTIONAL
# Not the same in an intent and its outcome, or in two connections that are alike.
_VARYING = _OUTCOME | _FIRST | {"connection", "client_port"}
# What changes the decision, or has no place in one.
_SPECIAL = _OUTCOME | {"ech", "asked", "counted", "answer"}
# What a denial after a look-up says of its own decision, and not of the connection that its intent began.
_JUDGED = {"rule", "reason", "remedy", "observed", "opened"}
_OWN = 4  # of `MEMBERS`
_SHARED = ("address", "port", "via", "synthetic", "target", "target_port", "sni")
_HTTPS = Protocol.HTTPS.value  # an enum's value is found by calls, and this is asked of every line
_HTTP = (Protocol.HTTP.value, _HTTPS)
CERTIFICATE = "certificate"  # the rule of a denial because of what the server could not prove
_BY = " is denied by "
# Rules that no line of the policy stands for; a label is `allow[i] where` or `deny[i] where`.
_WORDS = frozenset(
    ("default", "mismatch", "fault", "internal-address", "protocol", "method", "ask")
)


@dataclass(frozen=True, slots=True)
class _Intent:
    """What was begun: (connection, client's port, facts), what its receipt says, and the decision."""

    begun: tuple[int, int, bytes]
    said: tuple[object, ...]
    made: Decision


@dataclass(frozen=True, slots=True)
class _Refused:
    """A look-up's answer that the policies do not admit: of which connection, which addresses, and why."""

    common: bytes
    addresses: tuple[str, ...]
    reason: str

    @staticmethod
    def of(flow: Mapping[str, object]) -> _Refused:
        """From the facts of its denial, or of the outcome after it."""
        common = {key: value for key, value in flow.items() if key not in _VARYING | _JUDGED}
        found = flow["addresses"]
        listed = tuple(map(str, found)) if isinstance(found, list) else ()
        text = orjson.dumps(common, option=orjson.OPT_SORT_KEYS)
        return _Refused(text, listed, str(flow["reason"]))


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
        self._named = policy.named(self._policies)
        self._limited = Limited(self._policies)
        self.answers = Answers(self._policies)
        # What receipts say beside facts that are not of one connection alone -> the decision that gives it. Runs ask
        # for the same few destinations again and again.
        self._good: dict[tuple[object, ...], Decision] = {}
        # Intents that wait for their outcome, by action. Bounded by what is open at once.
        self._open: dict[str, _Intent] = {}
        self._dialled: dict[tuple[int, tuple[str, ...]], tuple[str, ...]] = {}
        self.bound = Bound()
        self._labels = Labels()
        # Denials after a look-up whose outcome is still to come, by connection and client's port.
        self._refused: dict[tuple[int, int], _Refused] = {}
        # Warnings whose intent comes next.
        self._warned: set[tuple[int, int, bytes]] = set()
        # Opened connections that have not ended, and what was known of each from outside.
        self._inside: dict[tuple[int, int], tuple[object, ...]] = {}

    @property
    def secrets(self) -> frozenset[str]:
        """The names of those that every policy has: the gate looks for them, if there are any."""
        return frozenset(secret.name for secret in together(self._policies).secrets)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names that every policy lets the command hand to later steps."""
        return together(self._policies).outputs

    def decision(self, record: Mapping[str, object], flow: Mapping[str, object], what: str) -> None:
        """Nothing, if the policies give this receipt for these facts.

        Raises:
            VerificationError: they give another one, or the facts are not those of a connection.
        """
        phase, name = record.get("decision_phase"), str(record["action_id"])
        common = {key: value for key, value in flow.items() if key not in _VARYING}
        port = strict.member(flow, "client_port", what)
        if not 1 <= port <= MAX_PORT:
            raise VerificationError(f"{what}: client_port: not in 1..{MAX_PORT}")
        begun = (
            strict.member(flow, "connection", what),
            port,
            orjson.dumps(common, option=orjson.OPT_SORT_KEYS),
        )
        said = tuple(map(record.get, MEMBERS))
        try:
            if phase == "outcome":
                self._ended(self._open.pop(name, None), begun, said, flow, what)
                return
            known = (phase, said, begun[2])
            special = not _SPECIAL.isdisjoint(flow) or flow.get("rule") == records.SECRET
            made = None if special else self._good.get(known)
            if made is None:
                need(_ALWAYS <= flow.keys() <= _KNOWN, f"{what}: members that no connection has")
                made = self._compare(record, flow, stated.read(flow, what), what)
                if not special:
                    if len(self._good) >= KEPT:
                        self._good.clear()
                    self._good[known] = made
        except ValueError as error:
            raise VerificationError(f"{what}: {error}") from error
        if flow.get("protocol") == _HTTPS:
            known_outside = self._inside.get(begun[:2])
            if known_outside is None or known_outside != _outside(flow):
                raise VerificationError(f"{what}: a request within TLS that was not opened")
        if record["verdict"] == "warn":
            self._warned.add(begun)
        elif "observed" in flow:
            if begun not in self._warned:
                raise VerificationError(f"{what}: let through by observe mode without its warning")
            self._warned.discard(begun)
        if phase == "intent":
            self._limited.begun(made, Protocol(flow["protocol"]), name, what)
            self._open[name] = _Intent(begun, said, made)
            if made.opened:
                self._inside[begun[:2]] = _outside(flow)
        elif "addresses" in flow:
            key = begun[:2]
            fresh = key not in self._refused and len(self._refused) < len(self._open)
            need(fresh, f"{what}: a look-up that nothing was begun for")
            self._refused[key] = _Refused.of(flow)

    def settle(self) -> None:
        """Nothing, if no receipt waits for another one.

        Raises:
            VerificationError: one does.
        """
        for number, _ in self._refused:
            raise VerificationError(
                f"connection {number}: an outcome that does not say it was denied"
            )
        self._limited.settle()

    def _ended(
        self,
        intent: _Intent | None,
        begun: tuple[int, int, bytes],
        said: tuple[object, ...],
        flow: Mapping[str, object],
        what: str,
    ) -> None:
        """Nothing, if this is how what `intent` began may have ended: its facts were decided then."""
        same = intent is not None and intent.begun == begun and _FIRST.isdisjoint(flow)
        if intent is None or not same:
            raise VerificationError(f"{what}: an outcome with other facts")
        end = stated.outcome(flow, what)
        words = ("allow", "outcome", records.outcome_pattern(end), None)
        wanted = (*intent.said[:_OWN], *words)
        if said != wanted:
            differs = [one != other for one, other in zip(said, wanted, strict=True)]
            member = MEMBERS[differs.index(True)]
            raise VerificationError(f"{what}: {member} is not what the policies and facts give")
        bare = intent.made.address
        if bare is not None and end.addresses not in {(), (bare,)}:
            raise VerificationError(f"{what}: an address that was not asked for")
        idle = not (end.bytes_up or end.bytes_down or any(end.kernel or ())) and end.status is None
        if end.peer is None and not idle:
            raise VerificationError(f"{what}: bytes or a status of nobody")
        if end.status is not None and flow["protocol"] not in _HTTP:
            raise VerificationError(f"{what}: a status of what is no HTTP")
        self._limited.ended(intent.made, flow, end, what)
        # Later its bytes would be in no connection's.
        within = flow["protocol"] != _HTTPS or begun[:2] in self._inside
        if not within:
            raise VerificationError(f"{what}: a request that outlived its connection")
        if "opened" in flow:
            self._inside.pop(begun[:2], None)
        if not end.addresses:
            return
        good, told = self._admitted(intent.made, end.addresses), self._refused.pop(begun[:2], None)
        if good == end.addresses and told is None:
            return
        if good != end.addresses and (good or end.peer is not None):
            raise VerificationError(f"{what}: an address that the policy does not admit")
        # The look-up's answer, or what the server showed, was refused, which is another receipt.
        refused = _Refused.of(flow)
        if told is None or (told.addresses, told.common) != (refused.addresses, refused.common):
            raise VerificationError(
                f"{what}: addresses that are not admitted, without their denial"
            )
        need(end.reason == records.printable(f"refused: {told.reason}"), f"{what}: another outcome")

    def _admitted(self, made: Decision, addresses: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the addresses that may be dialled for what `made` allows."""
        key = made.port, addresses
        if key not in self._dialled:
            if len(self._dialled) >= KEPT:
                self._dialled.clear()
            self._dialled[key], _ = policy.answered(self._policies, made, addresses)
        return self._dialled[key]

    def _compare(
        self, record: Mapping[str, object], flow: Mapping[str, object], facts: Facts, what: str
    ) -> Decision:
        """The decision on `facts`, which gives the receipt."""
        stated.conditioned(facts, self._named, what)
        number = strict.member(flow, "connection", what)
        made = self._decide(facts, number, what, asked="asked" in flow)
        phase, verdict = record.get("decision_phase"), record["verdict"]
        addresses = stated.addresses(flow, what)
        need("opened" not in flow or verdict != "block", f"{what}: opened, and denied")
        need("asked" not in flow or verdict == "block", f"{what}: more than its target was known")
        if flow["rule"] == records.SECRET and verdict == "block":
            good = "asked" not in flow or leaked.of_a_name(str(flow["reason"]))
            need(good and not addresses, f"{what}: a secret in no request")
            made = leaked.denial(self._policies, made, flow, what)
            if leaked.in_the_middle(made.reason):
                self._limited.cut(flow, made)
        elif flow["rule"] == SIGNATURE and verdict == "block":
            need("asked" not in flow and not addresses, f"{what}: a signature in no request")
            made = leaked.unsigned(self._policies, made, flow, what)
        elif addresses:
            need(phase is None and verdict == "block", f"{what}: addresses before a look-up")
            need(made.verdict is Verdict.ALLOW, f"{what}: looked up what is denied")
            made = self._barred(made, addresses, flow, what)
        elif "counted" in flow:
            need(made.verdict is Verdict.ALLOW, f"{what}: counted what is denied")
            made = self._limited.denied(made, flow, what)
        wanted = {"block": Verdict.DENY, "allow": Verdict.ALLOW, "warn": Verdict.ALLOW}
        if made.verdict is not wanted.get(str(verdict)):
            _differs(what, str(verdict), made.verdict.value)
        need(verdict != "warn" or made.observed, f"{what}: a warning of what is allowed")
        if facts.synthetic is not None:
            self.bound.hold(facts.synthetic, facts.address, what)
        self._said(record, flow, facts, self._worded(made, facts, flow, what), what)
        return made

    def _decide(self, facts: Facts, number: int, what: str, *, asked: bool) -> Decision:
        policies = self._loose if asked else self._policies
        if asked:
            facts = replace(facts, protocol=Protocol.SERVER_FIRST)
        elif opens(policies, facts):
            need(facts.answer is None, f"{what}: an answer where nobody is asked")
            return opened(policies, self._loose, facts)
        made = policy.decide(policies, facts)
        return self.answers.take(policies, facts, made, number, what)

    def _barred(
        self, made: Decision, addresses: tuple[str, ...], flow: Mapping[str, object], what: str
    ) -> Decision:
        """The denial of what `made` allows, because of its addresses or of what the server could not prove there."""
        good, refused = policy.answered(self._policies, made, addresses)
        if refused is not None:
            return refused
        inside = flow["protocol"] == _HTTPS and flow["rule"] == CERTIFICATE
        if not inside or good != addresses:
            _differs(what, "block", "allow")
        # What the server showed is nowhere on record; it is the gate's word, and it denies.
        said = strict.text(flow["reason"], f"{what}: reason")
        need(
            said.startswith(f"the server can not prove that it is {made.name}: "),
            f"{what}: the reason of another denial",
        )
        denied = replace(made, verdict=Verdict.DENY, rule=CERTIFICATE, reason=said)
        return replace(denied, observed=False, remedy=None)

    def _worded(
        self, made: Decision, facts: Facts, flow: Mapping[str, object], what: str
    ) -> Decision:
        """`made`, with the names that the receipt has for the rules of policies."""
        rule = strict.text(flow["rule"], f"{what}: rule")
        kind = _kind(made.rule)
        need(_kind(rule) == kind, f"{what}: by {rule}, policy says {made.rule}")
        if kind in {"allow", "deny"}:
            policies = self._loose if "asked" in flow or made.opened else self._policies
            self._labels.hold(rule, policy.deciding(policies, facts, made), what)
            # The reason of a denial ends with its rule.
            reason = made.reason.removesuffix(made.rule) + (rule if kind == "deny" else "")
            return replace(made, rule=rule, reason=reason)
        address, by, _ = made.reason.partition(_BY)
        if made.rule != "internal-address" or not by:
            return made
        said = strict.text(flow["reason"], f"{what}: reason").partition(_BY)[2]
        self._labels.hold(said, policy.barring(self._policies, address, made.port), what)
        return replace(made, reason=f"{address}{by}{said}")

    def _said(
        self,
        record: Mapping[str, object],
        flow: Mapping[str, object],
        facts: Facts,
        judged: Decision,
        what: str,
    ) -> None:
        """Nothing, if the receipt says of facts and decision what its writer would."""
        number, port = (strict.member(flow, n, what) for n in ("connection", "client_port"))
        client, name = records.Client(number, port), str(record["action_id"])
        if record["verdict"] == "warn":
            message = records.warning(client, facts, judged, name)
        else:
            message = records.decision(
                *(client, facts, judged, name),
                ech=flow.get("ech") is True,
                asked=flow.get("asked") is True,
                addresses=stated.addresses(flow, what),
            )
        left = {key: value for key, value in flow.items() if key != "process"}
        compared(message, record, left, what)


def _outside(flow: Mapping[str, object]) -> tuple[object, ...]:
    """What requests within TLS share with the connection that they came in."""
    return tuple(map(flow.get, _SHARED))


def _kind(rule: str) -> str:
    """What sort of rule a label names: `allow`, `deny`, or a word for what no line of the policy says."""
    word = rule.partition(" ")[0].partition("[")[0]
    return word if word in {"allow", "deny"} | _WORDS else rule


def _differs(what: str, said: str, made: str) -> NoReturn:
    raise VerificationError(f"{what}: the receipt says {said}, the policies give {made}")
