"""Limits of a run, counted again from its receipts in their order: what was let through over one is a failure. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping

import orjson

from sluicegate.evidence import ids, records
from sluicegate.facts import Decision, Protocol
from sluicegate.policy import allowance
from sluicegate.policy.model import Policy
from sluicegate.verify import leaked, strict
from sluicegate.verify.strict import VerificationError, need

_HEX = re.compile(r"[0-9a-f]{64}\Z")
_EMPTY = hashlib.sha256().hexdigest()
CONTENTS = ("sha256_up", "content_up", "sha256_down", "content_down")
_REQUEST = frozenset(one.value for one in allowance.REQUEST)
_CUT = (allowance.UPLOAD, allowance.UPLOAD_PER_HOST)
# What a denial in the middle of a flow has in common with the flow's outcome.
_SAME = (
    *("connection", "client_port", "address", "port", "protocol", "via", "url", "synthetic"),
    *("target", "target_port", "sni", "host", "host_port", "method", "path", "query_bytes"),
    *("query", "headers"),
)


class Limited:
    """`begun` for each intent, `denied` for each denial by a limit, `ended` for each outcome, in the record's order."""

    def __init__(self, policies: tuple[Policy, ...]) -> None:
        self._left = allowance.Allowance.of(policies)
        self._digests = any(policy.digests for policy in policies)
        # Denials in the middle of a flow whose outcome is still to come: its facts, and what it must say.
        self._cut: Counter[tuple[bytes, str]] = Counter()

    def begun(self, made: Decision, protocol: Protocol, action_id: str, what: str) -> None:
        """Nothing, if no limit speaks against what was allowed; counts it.

        Raises:
            VerificationError: one does.
        """
        # An id of another spelling is told where ids are looked at.
        moment = ids.moment_ms(action_id) if ids.is_id(action_id, ids.GATE) else 0
        over = self._left.begin(protocol, made, moment)
        if over is not None:
            raise VerificationError(f"{what}: let through over {over.rule}: {over.reason}")
        self._left.began(protocol, made, moment)

    def denied(self, made: Decision, flow: Mapping[str, object], what: str) -> Decision:
        """The denial of what `made` allows, because of a limit.

        Raises:
            VerificationError: the limit is not reached, or none of the policies'.
        """
        rule = strict.text(flow["rule"], f"{what}: rule")
        counted = strict.count(flow["counted"], f"{what}: counted")
        limit = self._left.limit(rule)
        if limit is None or counted <= limit:
            raise VerificationError(f"{what}: {rule} is not reached, or none of the policies'")
        over = allowance.denied(made, rule, limit, counted)
        if rule == allowance.NAMES:
            # Names alone: which minute it was is said to the millisecond, and the denial came a little later.
            again = self._left.begin(Protocol.OPAQUE, made, 0)
            need(again == over, f"{what}: {rule} is not reached")
        elif rule == allowance.REQUESTS:
            reached = self._left.begun == limit and counted == limit + 1
            need(reached, f"{what}: {rule} is not reached")
        else:
            self.cut(flow, over)
        return over

    def cut(self, flow: Mapping[str, object], denied: Decision) -> None:
        """Have the outcome of the flow with these facts say that `denied` came in the middle of it."""
        self._cut[_facts(flow), f"refused: {denied.reason}"] += 1

    def ended(
        self, made: Decision, flow: Mapping[str, object], end: records.Outcome, what: str
    ) -> None:
        """Nothing, if what went up is within the limits, and contents are told where the policies ask for them.

        Raises:
            VerificationError: it is not.
        """
        request = flow["protocol"] in _REQUEST
        wanted = request and self._left.counts_bytes
        if (end.counted is not None) != wanted:
            raise VerificationError(f"{what}: counted_up")
        if (end.contents is not None) != (request and self._digests):
            raise VerificationError(f"{what}: contents")
        size = end.bytes_up if end.counted is None else end.counted
        passed = 0 if end.contents is None else end.contents[0][1]
        if not (end.counted is None or end.counted >= passed):
            raise VerificationError(f"{what}: counted_up without its content")
        over = None if made.opened else self._left.take(made, size)
        if over is not None:
            raise VerificationError(f"{what}: went up over {over.rule}: {over.reason}")
        words = tuple(
            f"refused: {allowance.denied(made, rule, limit, 0).reason}"
            for rule in _CUT
            if (limit := self._left.limit(rule)) is not None
        )
        if end.reason in words or leaked.in_the_middle(end.reason.removeprefix("refused: ")):
            key = _facts(flow), end.reason
            need(self._cut[key] > 0, f"{what}: cut in the middle without its denial")
            self._cut[key] -= 1

    def settle(self) -> None:
        """Nothing, if all that was cut has ended so.

        Raises:
            VerificationError: it has not.
        """
        for (_, said), count in self._cut.items():
            need(not count, f"a denial in the middle, and no outcome that says {said}")


def _facts(flow: Mapping[str, object]) -> bytes:
    return orjson.dumps([flow.get(name) for name in _SAME])


def contents(
    flow: Mapping[str, object], what: str
) -> tuple[tuple[str, int], tuple[str, int]] | None:
    """What an outcome says of the contents, up and down; None: nothing.

    Raises:
        VerificationError: a part of it, or no digests.
    """
    if not any(name in flow for name in CONTENTS):
        return None
    found = []
    for way in ("up", "down"):
        text = strict.text(flow.get(f"sha256_{way}"), f"{what}: sha256_{way}")
        size = strict.count(flow.get(f"content_{way}"), f"{what}: content_{way}")
        need(_HEX.match(text), f"{what}: sha256_{way} is no digest")
        need((text == _EMPTY) == (not size), f"{what}: sha256_{way} is not of that many bytes")
        found.append((text, size))
    return found[0], found[1]
