from __future__ import annotations

from sluicegate.gate.actions import nothing
from sluicegate.gate.limits import Limits
from sluicegate.gate.loop import Loop
from sluicegate.gate.times import Times

SOON, NEVER = 0.0, 1000.0


def made(**limits: float) -> tuple[Times, list[str], Loop]:
    called, loop = list[str](), Loop()
    known = {"grace_s": NEVER, "first_bytes_s": NEVER, "head_s": NEVER, "idle_http_s": NEVER}
    times = Times(loop, Limits(**(known | limits)), lambda: called.append("silent"), lambda: called.append("late"))  # type: ignore[arg-type]  # fmt: skip
    return times, called, loop


def test_each_time_is_its_own() -> None:
    _, called, loop = made(grace_s=SOON)
    loop.turn(0)
    assert called == ["silent"]
    times, called, loop = made(head_s=SOON)
    loop.turn(0)
    assert called == []
    times.heard()
    times.heard()
    loop.turn(0)
    assert called == ["late"]
    times, called, loop = made(idle_http_s=SOON)
    times.pause()
    times.resume(False)
    loop.turn(0)
    assert called == ["late"]


def test_what_pauses_is_not_called_until_it_begins_again() -> None:
    times, called, loop = made(grace_s=SOON, first_bytes_s=SOON)
    times.pause()
    loop.turn(0)
    assert called == []
    times.again()
    times.patient()
    loop.turn(0)
    assert called == ["late"]


def test_what_is_stopped_is_not_called_and_holds_nobody() -> None:
    times, called, loop = made(grace_s=SOON, first_bytes_s=SOON)
    times.stop()
    loop.turn(0)
    assert called == []
    assert times._silent is times._late is nothing
