"""The program behind a connection, as the facts of a decision tell it: only what the witness can have said. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sluicegate.verify import strict
from sluicegate.verify.strict import need

# As the witness keeps to them.
MAX_HOLDERS, MAX_ANCESTORS = 4, 8
MAX_TEXT = 256
_COOKIE = re.compile(r"[0-9a-f]{16}\Z")
_WHOLE = frozenset(["found", "holders"])
_SOCKET = frozenset(["uid", "socket_cookie"])
_PROCESS = frozenset(["pid", "start_ticks"])
_HOLDER = _PROCESS | {"cgroup", "ancestors"}


def checked(found: object, what: str) -> None:
    """Nothing, if `found` is a whole answer of the witness: its words, and as many holders as they say.

    Raises:
        VerificationError: it is not.
    """
    what = f"{what}: process"
    facts = strict.mapping(found, what)
    _members(facts, _WHOLE, _SOCKET | {"holder_count"}, what)
    need(len(_SOCKET & facts.keys()) in {0, 2}, f"{what}: half a socket")
    holders = _list(facts["holders"], MAX_HOLDERS, f"{what}: holders")
    many = strict.count(facts.get("holder_count", len(holders)), f"{what}: holder_count")
    word, socket = facts["found"], "uid" in facts
    if word == "exited":
        need(not many, f"{what}: exited, and held")
    elif word == "exact":
        need(many == 1 and socket, f"{what}: exact, and not held by one")
    elif word == "shared":
        need(many > 1 and holders and socket, f"{what}: shared, and not held by several")
    else:
        need(word == "unsearched" and socket, f"{what}: found {word!r}")
    need("holder_count" not in facts or many > len(holders) > 0, f"{what}: holder_count")
    if socket:
        strict.count(facts["uid"], f"{what}: uid")
        cookie = strict.text(facts["socket_cookie"], f"{what}: socket_cookie")
        need(_COOKIE.match(cookie), f"{what}: socket_cookie")
    for holder in holders:
        _holder(strict.mapping(holder, what), what)


def _holder(facts: Mapping[str, object], what: str) -> None:
    _members(facts, _HOLDER, frozenset(["exe", "exe_sha256", "exe_unhashed", "argv_sha256"]), what)
    _process(facts, what)
    need(("exe_sha256" in facts) != ("exe_unhashed" in facts), f"{what}: one of digest and reason")
    for name in facts.keys() & {"exe_sha256", "argv_sha256"}:
        need(strict.HEX64.match(strict.text(facts[name], what)), f"{what}: {name}")
    _text(facts["cgroup"], f"{what}: cgroup")
    _text(facts.get("exe_unhashed", ""), f"{what}: exe_unhashed")
    for one in _list(facts["ancestors"], MAX_ANCESTORS, f"{what}: ancestors"):
        ancestor = strict.mapping(one, f"{what}: ancestor")
        _members(ancestor, _PROCESS, frozenset(["exe"]), f"{what}: ancestor")
        _process(ancestor, f"{what}: ancestor")


def _process(facts: Mapping[str, object], what: str) -> None:
    need(strict.count(facts["pid"], f"{what}: pid") > 0, f"{what}: pid")
    strict.count(facts["start_ticks"], f"{what}: start_ticks")
    _text(facts.get("exe", ""), f"{what}: exe")


def _members(
    facts: Mapping[str, object], wanted: frozenset[str], allowed: frozenset[str], what: str
) -> None:
    need(wanted <= facts.keys() <= wanted | allowed, f"{what}: members {sorted(facts)}")


def _list(found: object, most: int, what: str) -> list[object]:
    need(isinstance(found, list) and len(found) <= most, f"{what}: not a list of at most {most}")
    return found if isinstance(found, list) else []


def _text(found: object, what: str) -> None:
    need(len(strict.text(found, what)) <= MAX_TEXT, f"{what}: longer than {MAX_TEXT}")
