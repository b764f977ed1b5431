"""The receipt chain of any producer of the format: links, runs from open to close, and changes of key. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sluicegate.evidence import keys
from sluicegate.evidence.chain import LABEL
from sluicegate.evidence.packet import Tally
from sluicegate.verify import endorsement, strict
from sluicegate.verify import record as receipts
from sluicegate.verify.strict import need

_OPEN = {
    *("run_nonce", "open_nonce", "recorder_session", "policy_hash", "signer_key_epoch"),
    *("heartbeat_seconds", "chain_open_seq"),
}
_OPEN_OPTIONAL = {
    *("prior_chain_head", "prior_chain_seq", "genesis_hash", "genesis_anchor_head"),
    *("genesis_anchor_log", "posture_capsule_sha256", "posture_signer_key_id"),
    *("containment_nonce", "contained_uid", "group_binding"),
}
_COUNTERS = ("fsync_errors_gated", "durability_blocks")
_HEARTBEAT = {
    *("run_nonce", "open_nonce", "beat", "chain_head", "chain_seq_head", "heartbeat_time"),
    *_COUNTERS,
}
_CLOSE = {
    *("run_nonce", "open_nonce", "final_seq", "root_hash", "receipt_count", "close_reason"),
    *_COUNTERS,
}


@dataclass(slots=True)
class Run:
    """One process of the producer, from its session_open on."""

    open_nonce: str
    beats: int = 0
    counters: tuple[int, ...] = (0, 0)
    closed: bool = False


@dataclass(slots=True)
class Chain:
    """The chain so far. `seq` and `count` are of the segment that the current key signed."""

    session: str
    endorsements: Sequence[endorsement.Endorsement] = ()
    used: int = 0
    first_signer: str = ""
    signer: str = ""
    root: str = "genesis"
    seq: int = -1
    start: str = ""
    last: Mapping[str, object] = field(default_factory=dict)
    nonce: str = ""
    runs: dict[str, Run] = field(default_factory=dict)
    # 16 bytes of an action id's hash (others choose their length) -> its intent waits for an outcome
    phases: dict[bytes, bool] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)

    @property
    def closed(self) -> bool:
        """Whether the last receipt is a session_close and no run was left open by the last key."""
        control = self.last.get("session_control")
        return isinstance(control, dict) and control.get("kind") == "session_close"

    def add(self, detail: object) -> Mapping[str, object]:
        """The action record of the next receipt, `detail`.

        Raises:
            VerificationError: it is not what may stand here.
        """
        what = f"receipt {self.tally.receipts}"
        found = receipts.checked(detail, what, advisory=True)
        record = found.record
        moved = record.get("key_transition")
        if moved is not None:
            self._move(found, strict.mapping(moved, what), what)
        elif self.signer:
            need(found.signer == self.signer, f"{what}: another signer without an endorsement")
            need(record["chain_seq"] == self.seq + 1, f"{what}: seq gap, expected {self.seq + 1}")
        else:
            need(record["chain_seq"] == 0, f"{what}: the chain's head is missing")
            self.first_signer = self.signer = found.signer
            self.start = str(record["timestamp"])
        self._link(record, what)
        self._control(record, moved is not None, what)
        self._pair(record, what)
        self.seq = strict.count(record["chain_seq"], what)
        self.root, self.last = found.digest, record
        self.tally.add(record)
        return record

    def end(self) -> None:
        """Nothing, if every endorsement had its boundary.

        Raises:
            VerificationError: the chain is empty, or an endorsement was not needed.
        """
        need(self.last, "no receipts")
        need(self.used == len(self.endorsements), "an endorsement that matches no change of key")

    def _move(self, found: receipts.Receipt, moved: Mapping[str, object], what: str) -> None:
        need(self.signer, f"{what}: the first receipt can not change the key")
        need(found.record["chain_seq"] == 0, f"{what}: a new key starts at seq 0")
        prior = {
            "prior_signer_key": self.signer,
            "prior_chain_seq": self.seq,
            "prior_chain_hash": self.root,
        }
        need(moved == prior, f"{what}: the change of key names another tail")
        wanted = endorsement.Boundary(self.session, self.signer, self.seq, self.root, found.signer)
        matching = [one for one in self.endorsements if one.boundary == wanted]
        need(len(matching) == 1, f"{what}: rotation endorsement does not match receipt boundary")
        self.used += 1
        self.signer, self.start = found.signer, str(found.record["timestamp"])

    def _link(self, record: Mapping[str, object], what: str) -> None:
        prev = str(record["chain_prev_hash"])
        if self.last or prev == "genesis":
            need(prev == self.root, f"{what}: chain_prev_hash mismatch")
        if self.last and "key_transition" not in record:
            before = str(self.last["timestamp"])
            need(
                not receipts.earlier(str(record["timestamp"]), before),
                f"{what}: time runs backwards",
            )

    def _control(self, record: Mapping[str, object], moved: bool, what: str) -> None:
        nonce, control = str(record.get("run_nonce", "")), record.get("session_control")
        if control is not None:
            body = strict.mapping(control, what)
            kind = strict.text(body.get("kind"), f"{what}: kind")
            member = kind.removeprefix("session_")
            need(body.keys() == {"kind", member}, f"{what}: session_control")
            payload = strict.mapping(body[member], f"{what}: {kind}")
            need(payload.get("run_nonce") == nonce != "", f"{what}: run_nonce")
            if kind == "session_open":
                self._open(record, payload, moved, what)
                return
            need(nonce in self.runs, f"{what}: run_nonce without session_open")
            self._later(record, kind, payload, self.runs[nonce], what)
            return
        if not self.runs:
            need(not nonce, f"{what}: run_nonce without session_open")
            need(self.last or record["chain_prev_hash"] == "genesis", f"{what}: no session_open")
            return
        run = self.runs.get(nonce)
        need(run and not run.closed, f"{what}: the run_nonce of no open run")

    def _open(
        self, record: Mapping[str, object], payload: Mapping[str, object], moved: bool, what: str
    ) -> None:
        need(_OPEN <= payload.keys() <= _OPEN | _OPEN_OPTIONAL, f"{what}: session_open's members")
        for name in _OPEN - {"heartbeat_seconds", "chain_open_seq"}:
            need(strict.text(payload[name], f"{what}: {name}"), f"{what}: {name} is empty")
        nonce = str(payload["run_nonce"])
        need(nonce not in self.runs, f"{what}: a run is opened twice")
        need(payload["recorder_session"] == self.session, f"{what}: another recorder session")
        need(payload["chain_open_seq"] == record["chain_seq"], f"{what}: chain_open_seq")
        prior = (payload.get("prior_chain_head", ""), payload.get("prior_chain_seq", 0))
        if self.last:
            need(self.runs, f"{what}: session_open within a legacy chain")
            need("genesis_hash" not in payload, f"{what}: a second genesis")
            need(prior == (self.root, self.seq), f"{what}: continues another chain")
        else:
            need(prior == ("", 0) and not moved, f"{what}: continues an unknown chain")
            made = _genesis(payload, what)
            need(payload.get("genesis_hash") == made, f"{what}: genesis does not reproduce")
            need(record["chain_prev_hash"] == made, f"{what}: genesis does not reproduce")
            self.nonce = nonce
        self.runs[nonce] = Run(str(payload["open_nonce"]))

    def _later(
        self,
        record: Mapping[str, object],
        kind: str,
        payload: Mapping[str, object],
        run: Run,
        what: str,
    ) -> None:
        need(not run.closed, f"{what}: a receipt after session_close")
        need(kind in {"heartbeat", "session_close"}, f"{what}: unknown session_control {kind!r}")
        members = _HEARTBEAT if kind == "heartbeat" else _CLOSE
        need(payload.keys() == members, f"{what}: the members of {kind}")
        need(payload["open_nonce"] == run.open_nonce, f"{what}: open_nonce")
        counters = tuple(strict.count(payload[name], f"{what}: {name}") for name in _COUNTERS)
        rising = all(now >= then for now, then in zip(counters, run.counters, strict=True))
        need(rising, f"{what}: a counter that falls")
        run.counters = counters
        seq = strict.count(record["chain_seq"], what)
        if kind == "heartbeat":
            run.beats += 1
            claimed = (payload["beat"], payload["chain_head"], payload["chain_seq_head"])
            need(claimed == (run.beats, self.root, seq - 1), f"{what}: the heartbeat's claims")
            return
        run.closed = True
        claimed = (payload["root_hash"], payload["final_seq"], payload["receipt_count"])
        need(claimed == (self.root, seq, seq + 1), f"{what}: session_close's claims")

    def _pair(self, record: Mapping[str, object], what: str) -> None:
        name = hashlib.sha256(str(record["action_id"]).encode()).digest()[:16]
        phase = record.get("decision_phase")
        if phase in {"outcome", "resolution"}:
            # Other producers give intent and outcome different ids too, so a lone outcome is no fault here.
            need(phase == "resolution" or self.phases.get(name, True), f"{what}: a second outcome")
            self.phases[name] = False
            return
        need(name not in self.phases, f"{what}: repeated action_id")
        self.phases[name] = phase == "intent"


def _genesis(payload: Mapping[str, object], what: str) -> str:
    beat = strict.count(payload["heartbeat_seconds"], f"{what}: heartbeat_seconds")
    named = ("run_nonce", "open_nonce", "recorder_session", "policy_hash", "signer_key_epoch")
    later = (
        *("genesis_anchor_head", "genesis_anchor_log", "posture_capsule_sha256"),
        *("containment_nonce", "contained_uid"),
    )
    frames = [LABEL.encode()]
    frames += [strict.text(payload[name], name).encode() for name in named]
    frames += [beat.to_bytes(8, "big")]
    frames += [strict.text(payload.get(name, ""), name).encode() for name in later]
    framed = b"".join(len(frame).to_bytes(8, "big") + frame for frame in frames)
    return "g1:" + hashlib.sha256(framed).hexdigest()


def signed_by(signer: str, signature: object, message: str, what: str) -> None:
    """Nothing, if `signature` (hex) over the text `message` is `signer`'s.

    Raises:
        VerificationError: it is not.
    """
    given = strict.raw_hex(signature, 64, f"{what}: signature")
    good = keys.verifies(bytes.fromhex(signer), given, message.encode())
    need(good, f"{what}: signature verification failed")
