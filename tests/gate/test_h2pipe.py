from __future__ import annotations

from sluicegate.facts import Decision, Verdict
from sluicegate.gate.h2pipe import FIRST_WINDOW, LAST_WINDOW, Pipe
from sluicegate.gate.h2store import FIELD_BYTES, Store
from sluicegate.gate.passage import Barred


def pipe() -> Pipe:
    return Pipe(lambda: None, lambda _: None, Store(0))


def test_there_is_more_while_something_waits_or_the_end_is_not_told() -> None:
    one = pipe()
    assert not one.more
    one.add(b"x")
    assert one.more
    one.drop(1)
    one.ended = True
    assert (one.more, one.last) == (True, True)
    one.trailers = [("a", "b")]
    assert not one.last
    one.trailers, one.done = None, True
    assert not one.more


def test_a_window_grows_while_all_is_taken_and_there_is_room() -> None:
    one = pipe()
    one.add(b"x")
    assert one.grown(LAST_WINDOW) == 0
    one.drop(1)
    assert one.grown(FIRST_WINDOW - 1) == 0
    assert (one.grown(FIRST_WINDOW), one.window) == (FIRST_WINDOW, 2 * FIRST_WINDOW)
    while one.grown(LAST_WINDOW):
        pass
    assert one.window == LAST_WINDOW


def test_a_dead_pipe_lets_nothing_through_and_says_what_was_in_it() -> None:
    one = pipe()
    one.put_head([("a", "b")])
    one.add(b"four")
    one.ended = True
    assert one.kill() == 4
    assert (one.more, one.kill()) == (False, 0)


def test_what_waits_is_counted_and_no_longer_when_it_has_gone() -> None:
    store = Store(0)
    one = Pipe(lambda: None, lambda _: None, store)
    one.put_head([("name", "value")])
    one.add(b"four")
    one.put_trailers([("a", "b")])
    all_ = store.held
    assert all_ == 2 * FIELD_BYTES + 9 + 4 + 2
    one.put_trailers([("a", "b")])
    assert store.held == all_
    assert one.next_head() == [("name", "value")]
    one.drop(3)
    one.put_trailers(None)
    assert store.held == 1
    one.put_head([("a", "b")])
    one.put_trailers([("a", "b")])
    assert one.kill() == 1
    assert store.held == 0


def test_what_is_barred_is_told_and_does_not_pass() -> None:
    told = list[Decision]()
    one = Pipe(lambda: None, told.append, Store(0))
    assert one.passes(b"nobody looks")
    denied = Decision(Verdict.DENY, "limits.upload", "too much", 443)

    def look(data: bytes) -> None:
        if len(data) > 3:
            raise Barred(denied)

    one.look = look
    assert (one.passes(b"few"), one.passes(b"many"), told) == (True, False, [denied])
