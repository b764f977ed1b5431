"""From messages to lines: validation and the growing record, without I/O."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, cast

from sluicegate import jcs
from sluicegate.evidence import chain, ids, receipt, recorder

# One line of evidence or message; peers read lines with 64 KiB buffers.
MAX_LINE_BYTES = 65_535
_TYPES = {
    *("read", "derive", "write", "delegate", "authorize", "spend", "commit", "actuate"),
    "unclassified",
}
_WANTED = {"flow", "action_id", "action_type", "verdict", "target", "transport"}
_OPTIONAL = {"method", "layer", "pattern", "severity", "phase"}
# Fields from transport to chain_prev_hash.
_BETWEEN = ("method", "layer", "pattern", "severity", "request_id")
_PRINTABLE = re.compile(r"[\x20-\x7e]*\Z")
# Printable ASCII; the one control character that can be meant is the line's end within a remedy.
_FACTS = re.compile(rb'(?:[ -\[\]-~]++|\\["\\n])*+\Z')
_ASCII = bytes(range(0x20, 0x7F))
_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
# A line of drops or questions is a list of up to 256 groups, each an object; more nesting is not the gate's.
MAX_BRACKETS = 1024
MAX_DEPTH = 8
# Only the supervisor may say this: it is what boundary.json and the counters hang on.
BOUNDARY = "boundary"
LIFECYCLE = "receipt_session"
# Who acted: the agent as the caller names it; of the lifecycle, we ourselves.
ANONYMOUS, OURSELVES = "anonymous", "sluicegate"


class MessageError(Exception):
    """A message the notary will not sign."""


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _facts(flow: object) -> bytes:
    try:
        facts = jcs.encode(cast(jcs.Json, flow))
    except (ValueError, TypeError, RecursionError) as error:
        raise MessageError(f"a flow that is not strict JSON: {error}") from error
    if len(facts) > MAX_LINE_BYTES:
        raise MessageError(f"a flow of {len(facts)} bytes")
    brackets = facts.count(b"{") + facts.count(b"[")
    deep = brackets > MAX_DEPTH and _depth(flow) > MAX_DEPTH
    # Without escapes, as most are, there is nothing to understand.
    plain = b"\\" not in facts and not facts.translate(None, _ASCII)
    if brackets > MAX_BRACKETS or deep or not (plain or _FACTS.match(facts)):
        raise MessageError("a flow that is not plain: too deep, or not printable ASCII")
    return facts


def check(message: object) -> dict[str, object]:
    """The gate's message, if it is exactly of the agreed shape.

    Raises:
        MessageError: it is not.
    """
    if not isinstance(message, dict):
        raise MessageError("a message is an object")
    if not _WANTED <= message.keys() <= _WANTED | _OPTIONAL:
        raise MessageError(f"wrong members {sorted(map(str, message))}")
    flow = message["flow"]
    if not isinstance(flow, dict) or not _KIND.match(str(flow.get("kind"))):
        raise MessageError("flow is an object with a kind")
    if BOUNDARY in {flow["kind"], message["transport"]}:
        raise MessageError("the boundary speaks through the supervisor")
    if message["transport"] == LIFECYCLE:
        raise MessageError("the lifecycle is the notary's own")
    for name, value in message.items():
        if name == "flow" or (value is None and name in _OPTIONAL):
            continue
        if not isinstance(value, str) or not _PRINTABLE.match(value):
            raise MessageError(f"{name} is not printable ASCII")
        if name in _WANTED and not value:
            raise MessageError(f"{name} is empty")
    if not ids.is_id(str(message["action_id"]), ids.GATE):
        raise MessageError("action_id is not a UUIDv7: that is how the gate's ids differ from ours")
    if message["action_type"] not in _TYPES:
        raise MessageError("unknown action_type")
    if message["verdict"] not in {"allow", "block", "warn"}:
        raise MessageError("unknown verdict")
    if message.get("phase") not in {None, "intent", "outcome"}:
        raise MessageError("unknown phase")
    if message.get("phase") and message["verdict"] != "allow":
        raise MessageError("a phase belongs to what is allowed")
    return message


def boundary_message(flow: Mapping[str, object], action_id: str) -> dict[str, Any]:
    """The receipt of what the supervisor measured at the close, as `flow` has it."""
    return {
        "flow": {**flow, "kind": BOUNDARY},
        "action_id": action_id,
        "action_type": "unclassified",
        "verdict": "allow",
        "target": "sluicegate://boundary/close",
        "transport": BOUNDARY,
    }


class Journal:
    """The record so far. Each method returns the lines to write; `sign` makes the signatures."""

    __slots__ = (
        "_actor",
        "_beat",
        "_entry",
        "_first",
        "_head",
        "_key",
        "_last",
        "_prev",
        "_run",
        "_sign",
    )

    def __init__(self, run: chain.Run, sign: receipt.Sign, actor: str = ANONYMOUS) -> None:
        self._actor = actor
        self._run, self._key, self._sign = run, run.signer_key, sign
        self._head = chain.Head(0, chain.genesis(run))
        self._prev, self._entry, self._beat = recorder.GENESIS, 0, 0
        self._first = self._last = ""

    @property
    def root(self) -> str:
        """The hash of the last receipt."""
        return self._head.prev

    @property
    def receipts(self) -> int:
        """Receipts so far, those of the lifecycle included."""
        return self._head.seq

    def open(self, action_id: str, now: str) -> bytes:
        """The session_open line."""
        return self._lifecycle("open", action_id, chain.opening(self._run), now)

    def heartbeat(self, action_id: str, now: str) -> bytes:
        """The next heartbeat line."""
        self._beat += 1
        control = chain.heartbeat(self._run, self._head, self._beat, now)
        return self._lifecycle("heartbeat", action_id, control, now)

    def flow(self, message: Mapping[str, object], now: str) -> tuple[bytes, bytes]:
        """The flows line and the evidence line of a checked message.

        `request_id` is `sha256:` of the flows line without its LF.

        Raises:
            MessageError: the flow is not strict JSON, or a line would be too long.
        """
        facts = _facts(message["flow"])
        given = {"decision_phase": message.get("phase")}
        given |= {name: message.get(name) for name in _BETWEEN}
        given["request_id"] = "sha256:" + hashlib.sha256(facts).hexdigest()
        return facts + b"\n", self._receipt(message, given, self._actor, now)

    def boundary(self, flow: Mapping[str, object], action_id: str, now: str) -> tuple[bytes, bytes]:
        """The last flow before the close: what the supervisor measured, as `flow` has it.

        Raises:
            MessageError: as `flow`.
        """
        return self.flow(boundary_message(flow, action_id), now)

    def close(self, action_id: str, reason: str, now: str) -> bytes:
        """The last three lines: session_close, transcript_root, signed checkpoint."""
        control = chain.closing(self._run, self._head, reason)
        last = self._lifecycle("close", action_id, control, now)
        raw, summary = recorder.root_detail(self.receipts, self.root, self._first, self._last)
        last += self._line(now, "transcript_root", "transcript_root", "", summary, raw)
        signature = self._sign(self._prev.encode())
        raw, summary = recorder.checkpoint_detail(self._entry, signature)
        return last + self._line(now, "checkpoint", "checkpoint", "", summary, raw)

    def _lifecycle(self, what: str, action_id: str, control: object, now: str) -> bytes:
        message = {
            "action_id": action_id,
            "action_type": "unclassified",
            "target": f"pipelock://session/{what}",
            "verdict": "allow",
            "transport": LIFECYCLE,
        }
        return self._receipt(message, {"session_control": control}, OURSELVES, now)

    def _receipt(
        self, message: Mapping[str, object], given: Mapping[str, object], actor: str, now: str
    ) -> bytes:
        """The line of the receipt that says `message`; `given` are the fields that not every one has."""
        kind, verdict = str(message["action_type"]), str(message["verdict"])
        transport = str(message["transport"])
        side_effect, reversibility = receipt.effects(kind)
        # In the order in which they are signed: to sort them would cost a fifth of the receipt.
        fields: dict[str, object] = {
            "version": 1,
            "action_id": message["action_id"],
            "action_type": kind,
            "timestamp": now,
            "principal": "local",
            "actor": actor,
            "delegation_chain": None,
            "target": message["target"],
            "side_effect_class": side_effect,
            "reversibility": reversibility,
            "policy_hash": self._run.policy_hash,
            "verdict": verdict,
        }
        if phase := given.get("decision_phase"):
            fields["decision_phase"] = phase
        fields["transport"] = transport
        for name in _BETWEEN:
            if value := given.get(name):
                fields[name] = value
        fields["chain_prev_hash"], fields["chain_seq"] = self._head.prev, self._head.seq
        fields["run_nonce"] = self._run.nonce
        if control := given.get("session_control"):
            fields["session_control"] = control
        raw = receipt.sealed(fields, self._key, self._sign)
        self._head = chain.Head(self._head.seq + 1, receipt.receipt_hash(raw))
        self._first, self._last = self._first or now, now
        summary = recorder.receipt_summary(verdict, kind, transport)
        return self._line(now, "action_receipt", kind, transport, summary, raw)

    def _line(
        self, now: str, kind: str, event: str, transport: str, summary: str, raw: bytes
    ) -> bytes:
        text, self._prev = recorder.line(
            self._entry, now, kind, event, transport, summary, raw, self._prev
        )
        if len(text) > MAX_LINE_BYTES:
            raise MessageError(f"an evidence line of {len(text)} bytes")
        self._entry += 1
        return text + b"\n"
