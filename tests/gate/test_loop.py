from __future__ import annotations

import socket
import time

from sluicegate.gate.loop import READ, SECOND, WRITE, Alarm, Loop


def test_what_rests_is_taken_up_again_without_telling_the_kernel() -> None:
    loop, (ours, theirs), heard = Loop(), socket.socketpair(), list[str]()
    with ours, theirs:
        loop.want(ours.fileno(), READ, lambda _: heard.append("first"))
        loop.rest(ours.fileno())
        loop.turn(0)
        loop.want(ours.fileno(), READ, lambda _: heard.append("second"))
        theirs.send(b"x")
        loop.turn(0)
        assert heard == ["second"]
        loop.close()


def test_what_comes_to_one_that_rests_wakes_the_loop_once_and_is_there_later() -> None:
    loop, (ours, theirs), heard = Loop(), socket.socketpair(), list[int]()
    with ours, theirs:
        loop.want(ours.fileno(), READ, heard.append)
        loop.rest(ours.fileno())
        theirs.send(b"x")
        loop.turn(0)
        assert not loop._epoll.poll(0)  # the next turn sleeps
        loop.want(ours.fileno(), READ, heard.append)
        loop.turn(0)
        assert heard == [READ]
        loop.close()


def test_a_number_that_was_dropped_or_forgotten_while_it_rested_is_another_descriptor() -> None:
    for leave in (Loop.drop, Loop.forget):
        loop, (ours, theirs), heard = Loop(), socket.socketpair(), list[int]()
        number = ours.fileno()
        loop.want(number, READ | WRITE, heard.append)
        loop.rest(number)
        leave(loop, number)
        ours.close()
        theirs.close()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            assert number in {ours.fileno(), theirs.fileno()}
            loop.turn(0)
            assert not heard
            loop.want(number, WRITE, heard.append)
            loop.turn(0)
            assert heard == [WRITE]
            loop.close()


def test_an_alarm_is_put_off_without_a_timer_and_brought_forward_with_one() -> None:
    loop, rung = Loop(), list[str]()
    alarm = Alarm(loop)
    alarm.set(100, lambda: rung.append("first"))
    for _ in range(1000):
        alarm.set(200, lambda: rung.append("later"))
    assert len(loop._due) == 1
    loop.now += 150 * SECOND
    alarm._due()  # its only timer is due, and it is not
    assert not rung
    loop.now = time.monotonic_ns()
    alarm.set(0, lambda: rung.append("now"))
    loop.turn(1)
    assert rung == ["now"]
    loop.turn(0)
    assert rung == ["now"]
    loop.close()


def test_an_alarm_that_was_stopped_or_closed_is_silent() -> None:
    loop, rung = Loop(), list[str]()
    for end in (Alarm.stop, Alarm.close):
        alarm = Alarm(loop)
        alarm.set(0, lambda: rung.append("late"))
        end(alarm)
        loop.turn(0)
        assert not rung
        alarm.set(0, lambda: rung.append("again"))
        loop.turn(1)
        assert rung.pop() == "again"
    alarm.set(100, list)
    alarm.close()
    assert [timer.call for _, _, timer in loop._due] == [None]
    loop.close()
