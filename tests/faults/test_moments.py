"""Any process killed at any moment: what is left is a prefix, or refused; never whole, and nothing committed is lost.

Every run here is real, in both tiers, and is held where it is killed (sluicegate.moments).
"""

from __future__ import annotations

import json
import os

import pytest

from sluicegate.evidence import keys
from tests.conftest import Run, Tier
from tests.faults import staged
from tests.kernel.test_run import ALLOW, wait_gone

SEED = bytes(range(32))
PUBLIC = keys.signer(SEED)[1]
CALLS = "curl -sS http://allowed.test/a; curl -sSk https://allowed.test/b; curl -sS http://denied.test/c"
COMMAND = ["sh", "-c", f"{CALLS}; true"]
NEVER = ["sh", "-c", f"{CALLS}; exec sleep 1000"]
EVERY = ("supervisor", "notary", "gate", "everything")
# From here on the gate has nothing more to say, and then the notary has not.
GATE_DONE = staged.MOMENTS[staged.MOMENTS.index("supervisor: counters read") :]
NOTARY_DONE = staged.MOMENTS[staged.MOMENTS.index("supervisor: sealed") :]
CASES = [
    (moment, victim)
    for moment in staged.MOMENTS
    for victim in EVERY
    if not (victim == "gate" and moment in GATE_DONE)
    # Then the supervisor is all there is.
    if not (victim in {"notary", "everything"} and moment in NOTARY_DONE)
]


def key(tier: Tier) -> tuple[str, str]:
    path = tier.work.parent / "run.key"
    path.write_text(keys.write_private(SEED))
    path.chmod(0o600)
    owner = tier.work.stat()
    os.chown(path, owner.st_uid, owner.st_gid)
    return "--key", str(path)


def receipts(run: Run) -> list[dict[str, object]]:
    """The decisions on record: every whole line that is a receipt with facts."""
    text = (run.packet / "evidence.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    found = [line["detail"]["action_record"] for line in lines if line["type"] == "action_receipt"]
    return [one for one in found if "session_control" not in one and one["transport"] != "boundary"]


def code(tier: Tier, run: Run) -> int:
    """The verdict on what is left; 2: there is nothing. The default requirement, with the key that signed pinned."""
    if not run.packet.exists() or not list(run.packet.iterdir()):
        return 2
    done = tier.verify(run, "--key", PUBLIC)
    assert "Traceback" not in done.err
    assert done.code in {0, 1, 3}, done.out + done.err
    return done.code


@pytest.mark.parametrize(("moment", "victim"), CASES)
def test_killed_at_a_moment(tier: Tier, moment: str, victim: str) -> None:
    with staged.held(tier, COMMAND, ALLOW, moment, *key(tier)) as run:
        family = run.kill(victim)
        run.go_on()
        ended = run.end()
        for pid in family:
            wait_gone(pid)
        committed = run.count("gate: committed")
    assert "internal error" not in ended.err, ended.err
    assert "Traceback" not in ended.err, ended.err
    verdict = code(tier, ended)
    whole = moment == staged.LAST
    assert (verdict == 0) == whole, (verdict, ended.err)
    if victim in {"supervisor", "everything"}:
        assert ended.code == -9
    else:
        assert ended.code == (125 if moment in staged.BEFORE else 120), ended.err
    if moment in staged.BEFORE:
        return
    assert len(receipts(ended)) >= committed
    if moment in staged.RUNNING:
        assert verdict == 3
        assert committed >= (moment in staged.RUNNING[5:])


@pytest.mark.parametrize("victim", EVERY)
@pytest.mark.parametrize("moment", staged.SECOND)
def test_killed_while_the_record_is_opened(tier: Tier, moment: str, victim: str) -> None:
    with staged.held(tier, ["touch", "ran"], ALLOW, moment, *key(tier), nth=1) as run:
        run.kill(victim)
        run.go_on()
        ended = run.end()
    assert not (tier.work / "ran").exists()
    if victim in {"gate", "notary"}:
        assert ended.code == 125, ended.err
        assert not ended.packet.exists()
    else:
        assert code(tier, ended) == (3 if moment == "notary: evidence written" else 1)


@pytest.mark.parametrize("victim", ["init", "warden"])
@pytest.mark.parametrize("moment", staged.RUNNING[:7])
def test_the_boundary_killed_at_a_moment(tier: Tier, moment: str, victim: str) -> None:
    with staged.held(tier, NEVER, ALLOW, moment, *key(tier)) as run:
        family = run.kill(victim)
        run.go_on()
        ended = run.end()
        for pid in family:
            wait_gone(pid)
        committed = run.count("gate: committed")
    assert ended.code == 120
    assert code(tier, ended) == 3
    assert len(receipts(ended)) >= committed


def test_the_prefix_is_readable_while_the_run_lives_and_nobody_elses_to_write(tier: Tier) -> None:
    with staged.held(tier, COMMAND, ALLOW, "gate: outcome queued", *key(tier)) as run:
        alive = Run(0, "", "", run.packet)
        assert code(tier, alive) == 3
        assert receipts(alive)
        owner = 0 if tier.user is None else tier.user
        for name in ("evidence.jsonl", "flows.jsonl"):
            status = (run.packet / name).stat()
            assert (status.st_uid, status.st_mode & 0o777) == (owner, 0o644)
        run.go_on()
        ended = run.end()
    assert ended.code == 0, ended.err
    assert code(tier, ended) == 0


@pytest.mark.parametrize("clock", ["back", "forward", "wild"])
def test_a_clock_that_is_set_breaks_neither_record_nor_run(tier: Tier, clock: str) -> None:
    moment = "supervisor: command ended"
    with staged.held(tier, COMMAND, ALLOW, moment, *key(tier), clock=clock) as run:
        run.go_on()
        ended = run.end()
        committed = run.count("gate: committed")
    assert ended.code == 0, ended.err
    assert code(tier, ended) == 0
    assert len(receipts(ended)) == committed > 0
