from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from sluicegate.evidence import chain, keys, receipt
from sluicegate.verify import lifecycle, strict
from tests import receipts
from tests.verify.test_record import FIELDS

SIGN, KEY = keys.signer(b"l" * 32)
NONCE = "0" * 32
RUN = chain.Run(NONCE, "f" * 32, "sha256:" + "1" * 64, KEY, 60)


class Maker:
    """Signs receipts in order, as a careless producer would: it checks nothing."""

    def __init__(self) -> None:
        self.head = chain.Head(0, chain.genesis(RUN))

    def next(self, **changes: object) -> dict[str, object]:
        fields = {
            **FIELDS,
            "action_id": f"id-{self.head.seq}",
            "run_nonce": NONCE,
            "policy_hash": RUN.policy_hash,
            "chain_prev_hash": self.head.prev,
            "chain_seq": self.head.seq,
        }
        raw = receipts.sealed(fields | changes, KEY, SIGN)
        self.head = chain.Head(self.head.seq + 1, receipt.receipt_hash(raw))
        return dict(json.loads(raw))

    def open(self, **changes: object) -> dict[str, object]:
        control = chain.opening(RUN)
        control["open"] = {**dict(control["open"]), **changes}  # type: ignore[call-overload]
        return self.next(session_control=control)

    def beat(self, number: int, **changes: object) -> dict[str, object]:
        control = chain.heartbeat(RUN, self.head, number, "2026-01-02T03:04:05Z")
        control["heartbeat"] = {**dict(control["heartbeat"]), **changes}  # type: ignore[call-overload]
        return self.next(session_control=control)

    def close(self, **changes: object) -> dict[str, object]:
        control = chain.closing(RUN, self.head, "done")
        control["close"] = {**dict(control["close"]), **changes}  # type: ignore[call-overload]
        return self.next(session_control=control)


def read(*details: dict[str, object]) -> lifecycle.Chain:
    found = lifecycle.Chain("proxy")
    for detail in details:
        found.add(detail)
    found.end()
    return found


def test_a_run_from_open_to_close() -> None:
    m = Maker()
    found = read(m.open(), m.beat(1), m.next(), m.beat(2), m.close())
    assert found.closed
    assert found.root == m.head.prev
    assert not read(Maker().open()).closed


def test_a_legacy_chain() -> None:
    m = Maker()
    m.head = chain.Head(0, "genesis")
    first, second = m.next(run_nonce=None), m.next(run_nonce=None)
    assert read(first, second).tally.receipts == 2
    with pytest.raises(strict.VerificationError, match="run_nonce"):
        read(first, Maker().next(chain_seq=1, chain_prev_hash=found_hash(first)))


def found_hash(detail: dict[str, object]) -> str:
    return read(detail).root


Story = Callable[[Maker], list[dict[str, object]]]


@pytest.mark.parametrize(
    "story",
    [
        lambda m: [],
        lambda m: [m.next()],
        lambda m: [m.open(), m.beat(2)],
        lambda m: [m.open(), m.beat(1), m.beat(1)],
        lambda m: [m.open(), m.beat(1, chain_head="0" * 64)],
        lambda m: [m.open(), m.beat(1, chain_seq_head=1)],
        lambda m: [m.open(), m.beat(1, durability_blocks=2), m.beat(2, durability_blocks=1)],
        lambda m: [m.open(), m.beat(1, durability_blocks=-1)],
        lambda m: [m.open(), m.beat(1, open_nonce="x")],
        lambda m: [m.open(), m.beat(1, extra="x")],
        lambda m: [m.open(), m.close(final_seq=0)],
        lambda m: [m.open(), m.close(receipt_count=1)],
        lambda m: [m.open(), m.close(root_hash="0" * 64)],
        lambda m: [m.open(), m.close(), m.next()],
        lambda m: [m.open(), m.close(), m.close()],
        lambda m: [m.open(), m.open()],
        lambda m: [m.open(genesis_hash="g1:" + "0" * 64)],
        lambda m: [m.open(open_nonce="other")],
        lambda m: [m.open(heartbeat_seconds=61)],
        lambda m: [m.open(recorder_session="other")],
        lambda m: [m.open(prior_chain_seq=3)],
        lambda m: [m.open(chain_open_seq=1)],
        lambda m: [m.open(unknown=1)],
        lambda m: [m.open(), m.next(run_nonce="1" * 32)],
        lambda m: [m.open(), m.next(run_nonce=None)],
        lambda m: [m.open(), m.next(action_id="id-0")],
        lambda m: [m.open(), m.next(chain_seq=2)],
        lambda m: [m.open(), m.next(chain_seq=0)],
        lambda m: [m.open(), m.next(chain_prev_hash="0" * 64)],
        lambda m: [m.open(), m.next(timestamp="2026-01-02T03:04:04Z")],
        lambda m: [m.open(), m.next(session_control={"kind": "pause", "pause": {}})],
        lambda m: [m.open(), m.next(session_control={"kind": "heartbeat"})],
    ],
)
def test_stories_that_do_not_add_up(story: Story) -> None:
    with pytest.raises(strict.VerificationError):
        read(*story(Maker()))


def test_another_signer() -> None:
    m = Maker()
    first = m.open()
    sign, key = keys.signer(b"x" * 32)
    fields = {**FIELDS, "chain_seq": 1, "chain_prev_hash": m.head.prev, "run_nonce": NONCE}
    second = json.loads(receipts.sealed(fields, key, sign))
    with pytest.raises(strict.VerificationError, match="another signer"):
        read(first, second)


def test_a_signature_over_text() -> None:
    lifecycle.signed_by(KEY, SIGN(b"abc").hex(), "abc", "it")
    for signature in (SIGN(b"abd").hex(), "", None, "00" * 64):
        with pytest.raises(strict.VerificationError):
            lifecycle.signed_by(KEY, signature, "abc", "it")
