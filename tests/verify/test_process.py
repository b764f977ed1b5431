from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from sluicegate.verify import process
from sluicegate.verify.strict import VerificationError

Facts = dict[str, Any]


def exact() -> Facts:
    return {
        "found": "exact",
        "uid": 1000,
        "socket_cookie": "00000000000000a1",
        "holders": [
            {
                "pid": 7,
                "start_ticks": 1,
                "exe": "/usr/bin/curl",
                "exe_sha256": "0" * 64,
                "argv_sha256": "1" * 64,
                "cgroup": "/",
                "ancestors": [
                    {"pid": 1, "start_ticks": 1},
                    {"pid": 2, "start_ticks": 1, "exe": "/x"},
                ],
            }
        ],
    }


def many(facts: Facts, count: int) -> None:
    facts["holders"] = [copy.deepcopy(facts["holders"][0]) for _ in range(count)]


def shared() -> Facts:
    facts = exact() | {"found": "shared", "holder_count": 9}
    many(facts, 4)
    return facts


def unsearched() -> Facts:
    return exact() | {"found": "unsearched", "holders": []}


def gone() -> Facts:
    return {"found": "exited", "holders": []}


def unhashed() -> Facts:
    facts = exact()
    holder = facts["holders"][0]
    del holder["exe_sha256"], holder["exe"], holder["argv_sha256"]
    holder["exe_unhashed"] = "can not be read"
    return facts


@pytest.mark.parametrize("make", [exact, shared, unsearched, gone, unhashed])
def test_what_the_witness_says_is_accepted(make: Callable[[], Facts]) -> None:
    process.checked(make(), "it")


Change = Callable[[Facts], object]
CHANGES: dict[str, tuple[Callable[[], Facts], Change]] = {
    "found 'alone'": (exact, lambda f: f.update(found="alone")),
    "exact, and not held by one": (exact, lambda f: many(f, 2)),
    "exited, and held": (exact, lambda f: f.update(found="exited")),
    "shared, and not held by several": (exact, lambda f: f.update(found="shared")),
    "holder_count": (shared, lambda f: f.update(holder_count=4)),
    "holder_count: not a count": (shared, lambda f: f.update(holder_count=True)),
    "half a socket": (exact, lambda f: f.pop("uid")),
    "socket_cookie": (exact, lambda f: f.update(socket_cookie="A" * 16)),
    "uid: not a count": (exact, lambda f: f.update(uid=-1)),
    "members": (exact, lambda f: f.update(argv="secret")),
    "holders: not a list of at most 4": (shared, lambda f: many(f, 5)),
    "pid": (exact, lambda f: f["holders"][0].update(pid=0)),
    "start_ticks": (exact, lambda f: f["holders"][0].update(start_ticks="1")),
    "one of digest and reason": (exact, lambda f: f["holders"][0].update(exe_unhashed="why")),
    "exe_sha256": (exact, lambda f: f["holders"][0].update(exe_sha256="f" * 63)),
    "argv_sha256": (exact, lambda f: f["holders"][0].update(argv_sha256="curl")),
    "exe: longer than 256": (exact, lambda f: f["holders"][0].update(exe="/" * 257)),
    "cgroup": (exact, lambda f: f["holders"][0].update(cgroup=None)),
    "ancestors: not a list": (exact, lambda f: f["holders"][0].update(ancestors=[{}] * 9)),
    "ancestor: members": (exact, lambda f: f["holders"][0]["ancestors"][0].update(x=1)),
    "process: not an object": (list, lambda _: None),  # type: ignore[dict-item,return-value]
}


@pytest.mark.parametrize("why", CHANGES)
def test_what_it_can_not_have_said_is_refused(why: str) -> None:
    make, change = CHANGES[why]
    facts = make()
    change(facts)
    with pytest.raises(VerificationError, match=why):
        process.checked(facts, "it")
