"""What a sound record says against its run."""

from __future__ import annotations

from sluicegate.verify.account import MAX_CHANGED, Account
from sluicegate.verify.reservations import MAX_ALLOWED, MAX_HOLES, disturbed, reservations

BLOCK = {"verdict": "block", "target": "boundary://*"}
STATE = {"links": ["lo"], "generation": 2}
SOUND = {"open": {"network": STATE, "probe": {"holes": []}}, "close": {"network": STATE}}


def told(*changes: object) -> Account:
    account = Account()
    account.add(BLOCK, {"kind": "change", "changes": list(changes)})
    return account


def test_a_sound_run_has_none() -> None:
    assert reservations(SOUND, Account()) == ()
    assert disturbed(SOUND, Account()) == ""
    assert reservations({}, Account()) == ()


def test_holes_that_were_ignored_are_named() -> None:
    holes = [f"way {n} is not refused" for n in range(MAX_HOLES + 2)]
    (one,) = reservations(
        {**SOUND, "open": {"network": STATE, "probe": {"holes": holes}}}, Account()
    )
    assert "chose to ignore: way 0 is not refused; way 1" in one
    assert one.endswith("; and 2 more")


def test_what_a_person_allowed_is_named_once() -> None:
    words = ["a.test once", "a.test run", "no.test deny", "b.test policy", "x.test unanswered"]
    answers: list[object] = [
        {"host": host, "port": 443, "answer": word} for host, word in map(str.split, words)
    ]
    close = {"network": STATE, "answers": answers}
    assert reservations({**SOUND, "close": close}, Account()) == (
        "a person at the terminal allowed what no rule names: a.test port 443; b.test port 443",
    )
    many = [{"host": f"h{n}.test", "port": 1, "answer": "run"} for n in range(MAX_ALLOWED + 3)]
    (one,) = reservations({**SOUND, "close": {**close, "answers": many}}, Account())
    assert one.endswith("h9.test port 1; and 3 more")
    for odd in ([], None, 3, [3], [{"answer": []}], {"a": 1}):
        assert reservations({**SOUND, "close": {**close, "answers": odd}}, Account()) == ()


def test_a_change_that_the_kernel_told_of() -> None:
    account = told(
        {"what": "new link lo mtu 1400 up", "count": 2}, {"what": "new setting", "count": 1}
    )
    assert (account.changes, account.denied) == (3, 0)
    assert disturbed(SOUND, account) == (
        "the boundary was changed during the run (changes: 3): new link lo mtu 1400 up; new setting"
    )
    assert reservations(SOUND, account) == (disturbed(SOUND, account),)


def test_a_receipt_of_changes_that_lists_none_is_one() -> None:
    assert told().changes == 1
    account = Account()
    account.add(BLOCK, {"kind": "change"})
    assert account.changes == 1
    assert len(told(*({"what": str(n)} for n in range(MAX_CHANGED + 3))).changed) == MAX_CHANGED


def test_two_readings_that_differ() -> None:
    later = {**SOUND, "close": {"network": {**STATE, "generation": 3}}}
    assert "not the same at the close: generation" in disturbed(later, Account())
    assert "generation, links" in disturbed({**SOUND, "close": {}}, Account())
    # A prefix has no close, and says nothing of it.
    assert disturbed({"open": SOUND["open"]}, Account()) == ""
