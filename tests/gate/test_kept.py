from __future__ import annotations

import socket

from sluicegate.facts import Decision, Verdict
from sluicegate.gate.kept import Kept

DECISION = Decision(Verdict.ALLOW, "allow[0]", "", 80, name="a.test")


def test_a_connection_is_used_again_only_while_it_is_quiet_and_open() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        kept = Kept(ours, DECISION, (), 0, "")
        assert kept.alive
        theirs.sendall(b"HTTP/1.1 408 Request Timeout")
        assert not kept.alive
        ours.recv(99)
        assert kept.alive
        theirs.close()
        assert not kept.alive
