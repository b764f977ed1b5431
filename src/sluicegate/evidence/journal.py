"""From messages to lines: validation and the growing record, without I/O."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from typing import Any, cast

from sluicegate import jcs
from sluicegate.evidence import canonical, chain, ids, receipt, recorder

# One line of evidence or message; peers read lines with 64 KiB buffers.
MAX_LINE_BYTES = 65_535
_TYPES = {
    *("read", "derive", "write", "delegate", "authorize", "spend", "commit", "actuate"),
    "unclassified",
}
_WANTED = {"flow", "action_id", "action_type", "verdict", "target", "transport"}
_OPTIONAL = {"method", "layer", "pattern", "severity", "phase"}
_MEMBERS = _WANTED | _OPTIONAL
_VERDICTS, _PHASES = {"allow", "block", "warn"}, {None, "intent", "outcome"}
_PRINTABLE = re.compile(r"[\x20-\x7e]*\Z")
# Printable ASCII; the one control character that can be meant is the line's end within a remedy.
_FACTS = re.compile(rb'(?:[ -\[\]-~]++|\\["\\n])*+\Z')
# All of it but what has to be looked at: nesting and escapes.
_USUAL = bytes(set(range(0x20, 0x7F)) - set(b"{[\\"))
_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
# A line of drops or questions is a list of up to 256 groups, each an object; more nesting is not the gate's.
MAX_BRACKETS = 1024
MAX_DEPTH = 8
KEPT_FORMS = 64  # a run has a dozen: by method, verdict, phase, transport and layer
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
    odd = facts.translate(None, _USUAL)
    brackets = odd.count(b"{") + odd.count(b"[")
    deep = brackets > MAX_DEPTH and _depth(flow) > MAX_DEPTH
    # Where nothing else is odd, as in most, there are no escapes to understand.
    plain = brackets == len(odd)
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
    if not _WANTED <= message.keys() <= _MEMBERS:
        raise MessageError(f"wrong members {sorted(map(str, message))}")
    flow = message["flow"]
    if not isinstance(flow, dict) or not _KIND.match(str(kind := flow.get("kind"))):
        raise MessageError("flow is an object with a kind")
    if kind == BOUNDARY or message["transport"] == BOUNDARY:
        raise MessageError("the boundary speaks through the supervisor")
    if message["transport"] == LIFECYCLE:
        raise MessageError("the lifecycle is the notary's own")
    _texts(message)
    if not ids.is_id(str(message["action_id"]), ids.GATE):
        raise MessageError("action_id is not a UUIDv7: that is how the gate's ids differ from ours")
    if message["action_type"] not in _TYPES:
        raise MessageError("unknown action_type")
    if message["verdict"] not in _VERDICTS:
        raise MessageError("unknown verdict")
    phase = message.get("phase")
    if phase not in _PHASES:
        raise MessageError("unknown phase")
    if phase and message["verdict"] != "allow":
        raise MessageError("a phase belongs to what is allowed")
    return message


def _texts(message: Mapping[str, object]) -> None:
    """Raises MessageError unless every member but the flow is printable ASCII, or absent where it may be."""
    said = [value for name, value in message.items() if name != "flow" and value is not None]
    try:
        plain = _PRINTABLE.match("".join(said))  # type: ignore[arg-type]
    except TypeError:
        plain = None  # one is no text: told below
    # Ten texts a message: each is looked at alone only where one of them is wrong.
    if plain and message["target"] and message["transport"]:
        return
    for name, value in message.items():
        if name == "flow" or (value is None and name in _OPTIONAL):
            continue
        if not isinstance(value, str) or not _PRINTABLE.match(value):
            raise MessageError(f"{name} is not printable ASCII")
        if name in _WANTED and not value:
            raise MessageError(f"{name} is empty")


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
        "_form",
        "_key",
        "_last",
        "_prev",
        "_receipts",
        "_root",
        "_run",
        "_sign",
    )

    def __init__(self, run: chain.Run, sign: receipt.Sign, actor: str = ANONYMOUS) -> None:
        self._actor = actor
        self._run, self._key, self._sign = run, run.signer_key, sign
        self._receipts, self._root = 0, chain.genesis(run)
        self._form = functools.lru_cache(KEPT_FORMS)(self._template)
        self._prev, self._entry, self._beat = recorder.GENESIS, 0, 0
        self._first = self._last = ""

    @property
    def root(self) -> str:
        """The hash of the last receipt."""
        return self._root

    @property
    def receipts(self) -> int:
        """Receipts so far, those of the lifecycle included."""
        return self._receipts

    def open(self, action_id: str, now: str) -> bytes:
        """The session_open line."""
        return self._lifecycle("open", action_id, chain.opening(self._run), now)

    def heartbeat(self, action_id: str, now: str) -> bytes:
        """The next heartbeat line."""
        self._beat += 1
        control = chain.heartbeat(self._run, self._head(), self._beat, now)
        return self._lifecycle("heartbeat", action_id, control, now)

    def flow(self, message: Mapping[str, Any], now: str) -> tuple[bytes, bytes]:
        """The flows line and the evidence line of a checked message.

        `request_id` is `sha256:` of the flows line without its LF.

        Raises:
            MessageError: the flow is not strict JSON, or a line would be too long.
        """
        facts = _facts(message["flow"])
        said = message.get
        words = message["action_type"], message["verdict"], message["transport"]
        pattern = said("pattern")
        few = said("phase"), said("method"), said("layer"), said("severity"), bool(pattern)
        record = self._form(*words, *few) % (
            message["action_id"].encode(),
            now.encode(),
            canonical.encode(message["target"]),
            *([canonical.encode(pattern)] if pattern else ()),
            b"sha256:%b" % hashlib.sha256(facts).hexdigest().encode(),
            self._root.encode(),
            self._receipts,
        )
        return facts + b"\n", self._receipt(record, *words, now)

    def boundary(self, flow: Mapping[str, object], action_id: str, now: str) -> tuple[bytes, bytes]:
        """The last flow before the close: what the supervisor measured, as `flow` has it.

        Raises:
            MessageError: as `flow`.
        """
        return self.flow(boundary_message(flow, action_id), now)

    def close(self, action_id: str, reason: str, now: str) -> bytes:
        """The last three lines: session_close, transcript_root, signed checkpoint."""
        control = chain.closing(self._run, self._head(), reason)
        last = self._lifecycle("close", action_id, control, now)
        raw, summary = recorder.root_detail(self.receipts, self.root, self._first, self._last)
        last += self._line(now, "transcript_root", "transcript_root", "", summary, raw)
        signature = self._sign(self._prev.encode())
        raw, summary = recorder.checkpoint_detail(self._entry, signature)
        return last + self._line(now, "checkpoint", "checkpoint", "", summary, raw)

    def _head(self) -> chain.Head:
        return chain.Head(self._receipts, self._root)

    def _lifecycle(self, what: str, action_id: str, control: object, now: str) -> bytes:
        words = "unclassified", "allow", LIFECYCLE
        fields = self._fields(OURSELVES, *words) | {
            "action_id": action_id,
            "timestamp": now,
            "target": f"pipelock://session/{what}",
            "chain_prev_hash": self._root,
            "chain_seq": self._receipts,
            "session_control": control,
        }
        return self._receipt(canonical.encode(canonical.record(fields)), *words, now)

    def _fields(self, actor: str, kind: str, verdict: str, transport: str) -> dict[str, object]:
        """The fields that are the same in every record with such words."""
        side_effect, reversibility = receipt.effects(kind)
        return {
            "version": 1,
            "action_type": kind,
            "principal": "local",
            "actor": actor,
            "delegation_chain": None,
            "side_effect_class": side_effect,
            "reversibility": reversibility,
            "policy_hash": self._run.policy_hash,
            "verdict": verdict,
            "transport": transport,
            "run_nonce": self._run.nonce,
        }

    def _template(
        self,
        kind: str,
        verdict: str,
        transport: str,
        phase: str | None,
        method: str | None,
        layer: str | None,
        severity: str | None,
        pattern: bool,
    ) -> bytes:
        """What `%` makes the canonical text of a message's record of, with a tuple of what differs in each."""
        fields = self._fields(self._actor, kind, verdict, transport) | {
            "action_id": canonical.TEXT,
            "timestamp": canonical.TEXT,
            "target": canonical.JSON,
            "decision_phase": phase,
            "method": method,
            "layer": layer,
            "pattern": canonical.JSON if pattern else None,
            "severity": severity,
            "request_id": canonical.TEXT,
            "chain_prev_hash": canonical.TEXT,
            "chain_seq": canonical.NUMBER,
        }
        return canonical.template(canonical.record(fields))

    def _receipt(self, record: bytes, kind: str, verdict: str, transport: str, now: str) -> bytes:
        """The line of the receipt over the canonical text `record`, which has these words."""
        raw = receipt.envelope(record, self._key, self._sign)
        self._root, self._receipts = receipt.receipt_hash(raw), self._receipts + 1
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
