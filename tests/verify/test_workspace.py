"""workspace.json checked. What must be refused is in the vectors (tests/vectors/must-reject/workspace.json)."""

from __future__ import annotations

import json

import pytest

from sluicegate import jcs
from sluicegate.evidence import output
from sluicegate.evidence.output import Outputs
from sluicegate.evidence.workspace import Gathered, Tree, manifest
from sluicegate.verify import packet as check
from sluicegate.verify import workspace
from sluicegate.verify.strict import VerificationError
from tests.evidence import made


def test_what_is_written_is_read() -> None:
    assert workspace.checked(made.WORKSPACE, ()) == json.loads(made.WORKSPACE)


def test_outputs_are_of_those_that_are_granted() -> None:
    given = Outputs((("a", "1"), ("b", "2")), (("x%FF", output.NOT_GRANTED),))
    trees = (Tree(b"/w", "workspace"),)
    text = manifest(trees, Gathered(), lambda _: "", outputs=output.report(given))
    assert workspace.checked(text, ("b", "c", "a"))["outputs"] == output.report(given)
    with pytest.raises(VerificationError, match="no policy grants: b"):
        workspace.checked(text, ("a",))


def test_order_is_of_bytes_where_the_spelling_orders_otherwise() -> None:
    # "%" is before "a", and the byte it stands for is after.
    unread = ((0, b"\xff"), (0, b"a"))
    text = manifest((Tree(b"/w", "workspace"),), Gathered(), lambda _: "", unread)
    assert workspace.checked(text, ())["unread"] == {
        "count": 2,
        "places": [{"path": "a", "tree": 0}, {"path": "%FF", "tree": 0}],
    }


@pytest.mark.parametrize("text", [b"", b"[]\n", b"{}\n", b"\xff", b'{"a":' * 200])
def test_what_is_no_manifest_is_refused(text: bytes) -> None:
    with pytest.raises(VerificationError):
        workspace.checked(text, ())


def test_a_member_of_each_kind_is_told_apart_from_others() -> None:
    whole = json.loads(made.WORKSPACE)
    for name in whole:
        for value in (None, [], {}, "x", -1, True, [1], {"a": 1}):
            if json.dumps(value) != json.dumps(whole[name]):
                text = jcs.encode({**whole, name: value}) + b"\n"
                with pytest.raises(VerificationError):
                    workspace.checked(text, ())


def test_the_report_hands_it_out(tmp_path_factory: pytest.TempPathFactory) -> None:
    files = made.files(tmp_path_factory.mktemp("run"), made.some())
    assert check.verify(files, [made.PIN]).workspace == json.loads(made.WORKSPACE)
