"""When the supervisor asks the gate for an authority, and what it makes of the answer (sluicegate.cli.trusting)."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from sluicegate.boundary.model import Command, Spec
from sluicegate.cli import children, trusting
from sluicegate.cli.opening import Plan, SetupError
from sluicegate.policy.model import Policy, Rule

SEEN = Rule("r", "a.test", methods=("GET",))


def test_nothing_is_asked_for_where_nothing_can_be_opened() -> None:
    assert trusting.opening((), {}) is None
    assert trusting.opening((Policy("p", allow=(Rule("r", "a.test"),)),), {}) is None
    found = trusting.opening((Policy("p", allow=(SEEN,)),), {})
    assert found is not None
    assert found.names == {("a.test", False)}


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b'{"refused":"no","hint":"less"}\n', "no"),
        (b'{"authority":{"pem":"nothing"}}\n', "what the gate says can not be used"),
        (b'{"ready":true}\n', "the gate did not say authority"),
        (b"", "the gate ended early"),
    ],
)
def test_a_gate_without_an_authority_begins_no_run(said: bytes, error: str) -> None:
    options: Any = None
    command = Command(("true",), (("HOME", "/nowhere"),), "/", 1, 1)
    spec = Spec("1", "netns-root", command, "/w", (), "/nowhere", ())
    plan = Plan(options, (), spec, "/p", (), None, "now")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        asked = children.Opening(None, ())
        with pytest.raises(SetupError, match=error):
            trusting.trusting(plan, children.Child(0, ours), asked, {})
