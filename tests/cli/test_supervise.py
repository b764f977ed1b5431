"""The wait and what it hears (sluicegate.cli.supervise); signals for real are in tests/kernel/test_run.py."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator

import pytest

from sluicegate.cli.supervise import (
    EXIT_TIMEOUT,
    Control,
    ControlError,
    Ended,
    Interrupted,
    signals,
    stopped,
    wait,
)

END = b'{"exit":{"code":0}}\n'


@pytest.fixture
def pair() -> Iterator[tuple[Control, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Control(ours, "gate"), theirs


def test_an_answer_has_the_member_that_was_asked_for(
    pair: tuple[Control, socket.socket],
) -> None:
    control, other = pair
    other.sendall(b'{"stopped":{"receipts":3}}\n{"ready":true}\n')
    assert control.ask({"stop": True}, "stopped") == {"receipts": 3}
    control.expect("ready")
    assert other.recv(100) == b'{"stop": true}\n'


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "the gate ended early"),
        (b"{}\n", "the gate did not say stopped"),
        (b'{"refused":"the key is not a key"}\n', "the key is not a key"),
        (b"nonsense\n", "the gate sent what is not JSON"),
        (b"[]\n", "the gate sent what is not an object"),
        (b"x" * 70_000, "the gate sent no end of line"),
    ],
)
def test_what_is_no_answer_is_an_error(
    pair: tuple[Control, socket.socket], said: bytes, why: str
) -> None:
    control, other = pair
    other.sendall(said)
    other.shutdown(socket.SHUT_WR)
    with pytest.raises(ControlError, match=why):
        control.ask({"stop": True}, "stopped")


def test_before_the_command_a_signal_stops_the_set_up() -> None:
    with signals() as state:
        state.check()
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted, match="SIGTERM"):
            state.check()
        # And for a command that was started in that very moment:
        assert signal.SIGTERM in state.read()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(
    ("said", "ended"),
    [
        (b'{"exit":{"code":7}}\n', Ended(7)),
        (b'{"exit":{"signal":9}}\n', Ended(137)),
        (b'{"exit":{"code":127,"error":"command not found: x"}}\n', Ended(127, error="command not found: x")),
    ],
)  # fmt: skip
def test_how_the_command_ended_is_a_shells_exit_code(
    pair: tuple[Control, socket.socket], said: bytes, ended: Ended
) -> None:
    control, other = pair
    other.sendall(said)
    with signals() as state:
        assert wait(control, (), state, None, None) == ended


def test_a_witness_that_speaks_or_dies_ends_the_wait(pair: tuple[Control, socket.socket]) -> None:
    control, _ = pair
    witness, other = socket.socketpair()
    with witness, other, signals() as state:
        other.sendall(b'{"refused":"the disk is full"}\n')
        with pytest.raises(ControlError, match="the notary ended early: the disk is full"):
            wait(control, (Control(witness, "notary"),), state, None, None)


@pytest.mark.parametrize("before", [b"", b'{"checkpoint":"0"}\n'])
def test_a_checkpoint_may_come_at_any_moment(
    pair: tuple[Control, socket.socket], before: bytes
) -> None:
    command, other = pair
    said: list[str] = []
    ours, theirs = socket.socketpair()
    with ours, theirs, signals() as state:
        notary = Control(ours, "notary", told=said.append)
        # With the answer that was asked for, so that it waits in our own buffer afterwards.
        theirs.sendall(before + b'{"opened":{}}\n{"checkpoint":"1"}\n{"checkpoint":"2"}\n')
        assert notary.ask({"open": {}}, "opened") == {}
        first = ["0"] if before else []
        assert said == first
        theirs.sendall(b'{"checkpoint":"3"}\n')

        def hear(text: str) -> None:
            said.append(text)
            if text == "3":
                other.sendall(END)

        notary.told = hear
        assert wait(command, (notary,), state, None, None) == Ended(0)
        assert said == [*first, "1", "2", "3"]
        theirs.sendall(b'{"checkpoint":"4"}\n{"closed":{"x":1}}\n')
        assert notary.ask({"close": {}}, "closed") == {"x": 1}
        assert said[-1] == "4"


def test_one_that_came_with_an_answer_is_told_before_the_wait(
    pair: tuple[Control, socket.socket],
) -> None:
    command, other = pair
    ours, theirs = socket.socketpair()
    with ours, theirs, signals() as state:
        notary = Control(ours, "notary", told=lambda _: other.sendall(END))
        theirs.sendall(b'{"opened":{"x":1}}\n{"checkpoint":"1"}\n')
        notary.ask({"open": {}}, "opened")
        assert wait(command, (notary,), state, None, 0.01) == Ended(0)


@pytest.mark.parametrize(
    "words", [b'{"checkpoint":1}\n', b'{"checkpoint":"1","refused":"no"}\n', b'{"refused":"no"}\n']
)
def test_nothing_else_may(pair: tuple[Control, socket.socket], words: bytes) -> None:
    command, _ = pair
    ours, theirs = socket.socketpair()
    with ours, theirs, signals() as state:
        said: list[str] = []
        theirs.sendall(b'{"checkpoint":"1"}\n' + words)
        with pytest.raises(ControlError, match=r"the notary ended early: (no|spoke out of turn)"):
            wait(command, (Control(ours, "notary", told=said.append),), state, None, None)
        assert said == ["1"]


def test_a_witness_that_has_no_checkpoints_is_not_heard(
    pair: tuple[Control, socket.socket],
) -> None:
    command, _ = pair
    ours, theirs = socket.socketpair()
    with ours, theirs, signals() as state:
        theirs.sendall(b'{"checkpoint":"1"}\n')
        with pytest.raises(ControlError, match="the gate ended early: spoke out of turn"):
            wait(command, (Control(ours, "gate"),), state, None, None)


def test_a_time_limit_asks_first(pair: tuple[Control, socket.socket]) -> None:
    control, other = pair
    other.settimeout(None)
    with signals() as state:
        import threading

        def obey() -> None:
            assert other.recv(100) == b'{"signal": 15}\n'
            other.sendall(b'{"exit":{"signal":15}}\n')

        helper = threading.Thread(target=obey)
        helper.start()
        assert wait(control, (), state, None, 0.01) == Ended(EXIT_TIMEOUT, timeout=True)
        helper.join()


def test_the_second_impatient_signal_means_now(pair: tuple[Control, socket.socket]) -> None:
    control, other = pair
    with signals() as state:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert wait(control, (), state, None, None).code == 128 + signal.SIGKILL
    assert other.recv(100).count(b'{"signal": 2}\n') == 2


def test_who_does_not_answer_does_not_hold_the_run(pair: tuple[Control, socket.socket]) -> None:
    control, other = pair
    with pytest.raises(ControlError, match="the gate does not answer"):
        control.receive(0.01)
    other.sendall(b'{"half":')
    with pytest.raises(ControlError, match="the gate does not answer"):
        control.receive(0.01)


def test_last_words_say_more_than_that_it_is_gone(pair: tuple[Control, socket.socket]) -> None:
    control, other = pair
    other.sendall(b'{"refused":"the key is not a key"}\n')
    other.close()
    with pytest.raises(ControlError, match="the key is not a key"):
        control.ask({"open": {}}, "opened")


def test_what_was_ignored_at_the_start_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals() as state:
            assert state.ignored == (signal.SIGHUP,)
            signal.raise_signal(signal.SIGHUP)
            state.check()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


CHANGED = b'{"changed":{"what":"new route 10.0.0.0/8 table 254"}}\n'


def test_a_change_of_the_boundary_ends_the_wait(pair: tuple[Control, socket.socket]) -> None:
    control, other = pair
    other.sendall(CHANGED)
    inside, theirs = socket.socketpair()
    with inside, theirs, signals() as state:
        ended = wait(Control(inside, "boundary"), (control,), state, None, None)
    assert ended == Ended(128 + signal.SIGKILL, changed="new route 10.0.0.0/8 table 254")


@pytest.mark.parametrize("before", [b"", CHANGED, CHANGED + b'{"changed":{"what":"more"}}\n'])
def test_a_change_may_come_just_before_the_counts(
    pair: tuple[Control, socket.socket], before: bytes
) -> None:
    control, other = pair
    other.sendall(before + b'{"stopped":{"changes":1}}\n')
    what = "new route 10.0.0.0/8 table 254" if before else ""
    assert stopped(control) == ({"changes": 1}, what)
    assert other.recv(100) == b'{"stop": true}\n'


@pytest.mark.parametrize("said", [b"{}\n", b'{"stopped":3}\n', b'{"changed":3}\n{}\n'])
def test_a_gate_that_says_no_counts_is_an_error(
    pair: tuple[Control, socket.socket], said: bytes
) -> None:
    control, other = pair
    other.sendall(said)
    with pytest.raises(ControlError, match="did not say stopped"):
        stopped(control)
