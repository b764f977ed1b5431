"""The command is never root, and is who the person at the keyboard expects."""

import pytest

from sluicegate.boundary import identity as room
from sluicegate.boundary.identity import Account, Identity, identity
from sluicegate.boundary.model import ROOT_TIER, ROOTLESS_TIER, BoundaryError

KNOWN = {0: Account(0, 0, "/root"), 1001: Account(1001, 1001, "/home/ann")}


def of(environ: dict[str, str], owner: int, caller: int = 0, tier: str = ROOT_TIER) -> Identity:
    return identity(environ, (owner, owner), (caller, caller), tier, KNOWN.get)


@pytest.mark.parametrize(
    ("environ", "owner", "expected"),
    [
        ({"SUDO_UID": "1001", "SUDO_GID": "7"}, 0, (1001, 1001, "/home/ann")),
        ({"SUDO_UID": "1001"}, 1002, (1001, 1001, "/home/ann")),
        ({"SUDO_UID": "0"}, 1001, (1001, 1001, "/home/ann")),
        ({"SUDO_UID": "x"}, 1003, (1003, 1003, "/tmp/home")),
        ({"SUDO_UID": str(2**32 - 1)}, 1003, (1003, 1003, "/tmp/home")),
        ({"HOME": "/root"}, 0, (61184, 61184, "/root")),
        ({}, 0, (61184, 61184, "/root")),
    ],
)
def test_root_tier(environ: dict[str, str], owner: int, expected: tuple[int, int, str]) -> None:
    found = of(environ, owner)
    assert (found.uid, found.gid, found.home) == expected


def test_group_zero_is_not_taken_from_the_workspace() -> None:
    assert identity({}, (1003, 0), (0, 0), ROOT_TIER, KNOWN.get).gid == 1003


def test_rootless_is_the_caller() -> None:
    assert of({"HOME": "/h"}, 0, 1001, ROOTLESS_TIER) == Identity(1001, 1001, "/h", "the caller")
    assert of({}, 0, 1001, ROOTLESS_TIER).home == "/home/ann"


def test_a_full_table_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LAST_UNNAMED_UID", 61185)
    taken = Account(61184, 61184, "/")
    with pytest.raises(BoundaryError, match="taken"):
        identity({}, (0, 0), (0, 0), ROOT_TIER, {61184: taken}.get)
