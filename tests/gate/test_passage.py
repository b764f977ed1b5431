from __future__ import annotations

from dataclasses import dataclass

import pytest

from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.gate.passage import Barred, Passage
from sluicegate.gate.vault import Vault
from sluicegate.policy.allowance import Allowance

FACTS = Facts(Protocol.HTTP, "192.0.2.1", 80, host="one.test", method="PUT", path="/")
DECISION = Decision(Verdict.ALLOW, "allow[0] p:1", "it is allowed", 80, name="one.test")


@dataclass
class Desk:
    allowance: Allowance
    digests: bool = False
    vault: Vault | None = None


def test_what_goes_up_counts_and_what_comes_down_does_not() -> None:
    passage = Passage(Desk(Allowance(upload=10)), FACTS, DECISION)
    passage.head(4)
    passage.up(b"123")
    passage.down(b"x" * 100)
    assert passage.counted == 7


def test_the_piece_that_is_too_much_is_barred_as_a_whole() -> None:
    passage = Passage(Desk(Allowance(upload=10)), FACTS, DECISION)
    passage.head(4)
    with pytest.raises(Barred, match="more than 10 bytes") as barred:
        passage.up(b"1234567")
    assert barred.value.decision.rule == "limits.upload"
    assert barred.value.decision.counted == 11
    assert passage.counted == 4
    passage.up(b"123456")


def test_a_head_can_be_too_much() -> None:
    with pytest.raises(Barred):
        Passage(Desk(Allowance(upload=10)), FACTS, DECISION).head(11)


def test_flows_share_what_their_host_has_left() -> None:
    desk = Desk(Allowance(upload_per_host=10))
    Passage(desk, FACTS, DECISION).up(b"123456")
    with pytest.raises(Barred, match="to this host"):
        Passage(desk, FACTS, DECISION).up(b"12345")


@pytest.mark.parametrize("up", [True, False])
def test_control_frames_do_not_hide_what_is_around_them(up: bool) -> None:
    """A message in two frames with a ping between them is whole to who reads it; a ping has a text of its own."""
    token = b"tok_Vb52nHs8Gd06Wx41JkTe3u"
    desk = Desk(Allowance(), vault=Vault((), {"JOB_TOKEN": token}))
    passage = Passage(desk, FACTS, DECISION)
    look = passage.up if up else passage.down
    look(token[:9])
    passage.beside(b"ping", up=up)
    barred = pytest.raises(Barred, match="JOB_TOKEN")
    if up:
        with barred:
            look(token[9:])
        with pytest.raises(Barred, match="JOB_TOKEN"):
            Passage(desk, FACTS, DECISION).beside(token, up=True)
    counted = Passage(Desk(Allowance()), FACTS, DECISION)
    counted.beside(b"12345", up=up)
    assert counted.counted == (5 if up else 0)
