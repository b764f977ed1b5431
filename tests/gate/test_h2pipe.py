from __future__ import annotations

from sluicegate.facts import Decision, Verdict
from sluicegate.gate.h2pipe import FIRST_WINDOW, LAST_WINDOW, Pipe
from sluicegate.gate.passage import Barred


def pipe() -> Pipe:
    return Pipe(lambda: None, lambda _: None)


def test_there_is_more_while_something_waits_or_the_end_is_not_told() -> None:
    one = pipe()
    assert not one.more
    one.body += b"x"
    assert one.more
    one.body.clear()
    one.ended = True
    assert (one.more, one.last) == (True, True)
    one.trailers = [("a", "b")]
    assert not one.last
    one.trailers, one.done = None, True
    assert not one.more


def test_a_window_grows_while_all_is_taken_and_there_is_room() -> None:
    one = pipe()
    one.body += b"x"
    assert one.grown(LAST_WINDOW) == 0
    one.body.clear()
    assert one.grown(FIRST_WINDOW - 1) == 0
    assert (one.grown(FIRST_WINDOW), one.window) == (FIRST_WINDOW, 2 * FIRST_WINDOW)
    while one.grown(LAST_WINDOW):
        pass
    assert one.window == LAST_WINDOW


def test_a_dead_pipe_lets_nothing_through_and_says_what_was_in_it() -> None:
    one = pipe()
    one.heads.append([("a", "b")])
    one.body += b"four"
    one.ended = True
    assert one.kill() == 4
    assert (one.more, one.kill()) == (False, 0)


def test_what_is_barred_is_told_and_does_not_pass() -> None:
    told = list[Decision]()
    one = Pipe(lambda: None, told.append)
    assert one.passes(b"nobody looks")
    denied = Decision(Verdict.DENY, "limits.upload", "too much", 443)

    def look(data: bytes) -> None:
        if len(data) > 3:
            raise Barred(denied)

    one.look = look
    assert (one.passes(b"few"), one.passes(b"many"), told) == (True, False, [denied])
