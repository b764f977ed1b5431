"""The receipt chain from session_open to session_close: genesis and lifecycle payloads. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

SESSION = "proxy"
LABEL = "pipelock.receipt.session_open.v1"


@dataclass(frozen=True, slots=True)
class Head:
    """The next sequence number and the hash it links to."""

    seq: int
    prev: str


@dataclass(frozen=True, slots=True)
class Run:
    """What names one run in every lifecycle record."""

    nonce: str
    open_nonce: str
    policy_hash: str
    signer_key: str
    heartbeat_seconds: int
    posture_sha256: str = ""


def genesis(run: Run) -> str:
    """The link of the first receipt, bound to its own session_open."""
    frames = (
        LABEL.encode(),
        run.nonce.encode(),
        run.open_nonce.encode(),
        SESSION.encode(),
        run.policy_hash.encode(),
        run.signer_key.encode(),
        max(0, run.heartbeat_seconds).to_bytes(8, "big"),
        b"",
        b"",
        run.posture_sha256.encode(),
        b"",
        b"",
    )
    framed = b"".join(len(frame).to_bytes(8, "big") + frame for frame in frames)
    return "g1:" + hashlib.sha256(framed).hexdigest()


def opening(run: Run) -> dict[str, object]:
    """The session_control of the first receipt."""
    payload: dict[str, object] = {
        "run_nonce": run.nonce,
        "open_nonce": run.open_nonce,
        "recorder_session": SESSION,
        "policy_hash": run.policy_hash,
        "signer_key_epoch": run.signer_key,
        "heartbeat_seconds": run.heartbeat_seconds,
        "chain_open_seq": 0,
        "genesis_hash": genesis(run),
    }
    if run.posture_sha256:
        payload["posture_capsule_sha256"] = run.posture_sha256
    return {"kind": "session_open", "open": payload}


def heartbeat(run: Run, head: Head, beat: int, now: str) -> dict[str, object]:
    """The session_control of the receipt that will stand at `head`."""
    return {
        "kind": "heartbeat",
        "heartbeat": {
            "run_nonce": run.nonce,
            "open_nonce": run.open_nonce,
            "beat": beat,
            "chain_head": head.prev,
            "chain_seq_head": head.seq - 1,
            "heartbeat_time": now,
            "fsync_errors_gated": 0,
            "durability_blocks": 0,
        },
    }


def closing(run: Run, head: Head, reason: str) -> dict[str, object]:
    """The session_control of the last receipt, which will stand at `head`."""
    return {
        "kind": "session_close",
        "close": {
            "run_nonce": run.nonce,
            "open_nonce": run.open_nonce,
            "final_seq": head.seq,
            "root_hash": head.prev,
            "receipt_count": head.seq + 1,
            "close_reason": reason,
            "fsync_errors_gated": 0,
            "durability_blocks": 0,
        },
    }
