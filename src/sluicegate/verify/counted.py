"""Receipts of what was counted (packets, questions, refused connections, changes), made again of their facts. Pure.

No policy decides these, so each says one thing only: its groups are of the kinds that its writer knows, and all else
follows from them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from typing import cast

from sluicegate.evidence import counts, journal
from sluicegate.jcs import Json
from sluicegate.policy import decide as policy
from sluicegate.verify import leaked, strict
from sluicegate.verify.rebuilt import compared
from sluicegate.verify.strict import VerificationError, need

MAX_PORT = 65_535
MAX_UID = 2**32 - 1  # the kernel's uid_t
MAX_PROTOCOL = 255  # a header has one byte for it
MAX_NAME = 4 * 255  # characters: a name has 255 bytes at most, each shown as four at most
_WORDS = {word: number for number, word in counts.PROTOCOLS.items()}
_NUMBER = re.compile(r"ip-(0|[1-9][0-9]{0,2})\Z")
# As `wire.dns` shows a question: labels of host's letters, every other byte as \DDD.
_LABEL = r"(?:[a-z0-9_-]|\\[0-9]{3})+"
_NAME = re.compile(rf"(?:\.|{_LABEL}(?:\.{_LABEL})*)\Z")
_TYPE = re.compile(r"(?:[A-Z]{1,8}|TYPE(?:0|[1-9][0-9]{0,4}))\Z")
# Reasons that name and type alone give.
_PLAIN = frozenset(("reverse", "loopback", "empty", "bound", "exhausted"))
# One receipt of what ends the run, and one of what came until it had ended.
MAX_CHANGES = 2


class Bound:
    """Which name has which of the resolver's addresses: one each, for the whole run. Bounded by their number."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        # Both ways: no name is an address of the pool.
        self._known: dict[str, str] = {}

    def hold(self, name: str, address: str, what: str) -> None:
        """Nothing, if `name` may have `address`, which from now on it has.

        Raises:
            VerificationError: either was said to belong to another, or the address is none of the resolver's.
        """
        try:
            place = int(ipaddress.IPv4Address(address)) - counts.FIRST_BOUND
        except ValueError:
            place = -1
        need(
            0 <= place < counts.MAX_BOUND, f"{what}: an address that the resolver gives to no name"
        )
        need(not policy.is_literal(name), f"{what}: an address in place of a name")
        for one, other in ((name, address), (address, name)):
            if self._known.setdefault(one, other) != other:
                raise VerificationError(f"{what}: {one} was said to be {self._known[one]}")


class Counted:
    """Checks one receipt after the other."""

    __slots__ = ("_bound", "_changes", "_secrets")

    def __init__(self, bound: Bound, secrets: frozenset[str] = frozenset()) -> None:
        """`secrets`: the names of those that the policies have, and the gate looks for."""
        self._bound, self._changes, self._secrets = bound, 0, secrets

    def check(self, record: Mapping[str, object], flow: Mapping[str, object], what: str) -> None:
        """Nothing, if this receipt of another kind than a connection's is what its writer makes of its facts.

        Raises:
            VerificationError: it is not, or no gate counts such things.
        """
        kinds: dict[str, Callable[[Mapping[str, object], str, str], dict[str, Json]]] = {
            "drop": _drops,
            "dns": self._questions,
            "overload": _overload,
            "change": self._changed,
            "boundary": lambda flow, name, _: journal.boundary_message(flow, name),
        }
        make = kinds.get(str(flow.get("kind")))
        if make is None:
            raise VerificationError(f"{what}: facts of an unknown kind")
        compared(make(flow, str(record["action_id"]), what), record, flow, what)

    def _questions(self, flow: Mapping[str, object], name: str, what: str) -> dict[str, Json]:
        groups = _groups(flow, "questions", self._question, what)
        answered = [group["rcode"] in counts.ANSWERED for group in groups]
        if any(answered):
            need(all(answered), f"{what}: questions answered and refused in one receipt")
            return counts.questions(groups, None, name)
        lost = strict.count(flow.get("lost"), f"{what}: lost")
        need(groups or lost, f"{what}: questions: none")
        alarms = sum("secret" in group for group in groups)
        need(alarms in {0, len(groups)}, f"{what}: secrets and other questions in one receipt")
        return counts.questions(groups, lost, name)

    def _question(self, group: Mapping[str, object], what: str) -> None:
        always = {"name", "type", "via", "rcode", "reason", "count"}
        _members(group, always, {"address", "secret"}, what)
        texts = (strict.text(group[key], what) for key in ("name", "type", "reason", "via"))
        name, kind, why, via = texts
        need(via in counts.WAYS, f"{what}: via is none of {sorted(counts.WAYS)}")
        need(why in counts.RCODES, f"{what}: a reason that the resolver has not")
        need(group["rcode"] == counts.RCODES[why], f"{what}: rcode is not that of {why}")
        address = group.get("address")
        need(address is not None or "address" not in group, f"{what}: address")
        need((why == "secret") == ("secret" in group), f"{what}: secret")
        if why == "secret":
            leaked.question(strict.text(group["secret"], what), self._secrets, what)
        if why in counts.UNREAD or name == counts.OTHER:
            good = name in {counts.OTHER, counts.MALFORMED}
            need(good and kind == counts.NOTHING, f"{what}: a name of what was not read")
            need(address is None, f"{what}: an address that no question asked for")
            return
        shown = len(name) <= MAX_NAME and _NAME.match(name)
        need(
            name == counts.REDACTED if why == "secret" else shown,
            f"{what}: name is not as it is shown",
        )
        need(_TYPE.match(kind), f"{what}: type is none")
        if why in _PLAIN:
            plain = "bound" if why == "exhausted" else why
            need(counts.reason(name, kind) == plain, f"{what}: reason is not that of name and type")
        if why == "bound":
            self._bound.hold(name, strict.text(address, f"{what}: address"), what)
            return
        wanted = counts.LOOPBACK.get(kind) if why == "loopback" else None
        need(address == wanted, f"{what}: address is not that of {why}")

    def _changed(self, flow: Mapping[str, object], name: str, what: str) -> dict[str, Json]:
        self._changes += 1
        need(self._changes <= MAX_CHANGES, f"{what}: changes after the run was ended for them")
        groups = _groups(flow, "changes", _change, what, counts.MAX_KINDS + 1)
        need(groups, f"{what}: changes: none")
        return counts.changes(groups, name)


def _drops(flow: Mapping[str, object], name: str, what: str) -> dict[str, Json]:
    groups = _groups(flow, "groups", _packet, what)
    lost = strict.count(flow.get("lost"), f"{what}: lost")
    need(groups or lost, f"{what}: groups: none")
    sequence = strict.count(flow.get("sequence"), f"{what}: sequence")
    return counts.drops(groups, lost, name, sequence)


def _packet(group: Mapping[str, object], what: str) -> None:
    _members(group, {"protocol", "destination", "count"}, {"port", "uid"}, what)
    protocol = strict.text(group["protocol"], f"{what}: protocol")
    where = strict.text(group["destination"], f"{what}: destination")
    number = _NUMBER.match(protocol)
    odd = number and int(number[1]) <= MAX_PROTOCOL and int(number[1]) not in counts.PROTOCOLS
    need(protocol in _WORDS or odd, f"{what}: protocol is none")
    if "port" in group:
        ranged(group["port"], 0, MAX_PORT, f"{what}: port")
        need(protocol in counts.PORTED, f"{what}: a port of {protocol}")
    if "uid" in group:
        ranged(group["uid"], 0, MAX_UID, f"{what}: uid")
    if where == counts.OTHER:
        need(
            not group.keys() & {"port", "uid"}, f"{what}: more of packets that were not told apart"
        )
    elif where == counts.UNKNOWN:
        same = protocol == counts.UNREADABLE and "port" not in group
        need(same, f"{what}: no destination of a packet that was read")
    else:
        need(policy.is_literal(where) and "%" not in where, f"{what}: destination is no address")


def _overload(flow: Mapping[str, object], name: str, what: str) -> dict[str, Json]:
    limit = strict.text(flow.get("limit"), f"{what}: limit")
    need(limit in counts.LIMITS, f"{what}: an unknown limit")
    count = strict.count(flow.get("count"), f"{what}: count")
    need(count, f"{what}: count: none")
    return counts.overload(count, limit, name)


def _change(group: Mapping[str, object], what: str) -> None:
    _members(group, {"what", "count"}, set(), what)
    need(strict.text(group["what"], f"{what}: what"), f"{what}: a change without a word")


def ranged(found: object, least: int, most: int, what: str) -> int:
    """`found`, which must be an integer in a range.

    Raises:
        VerificationError: it is not.
    """
    number = strict.count(found, what)
    need(least <= number <= most, f"{what}: not in {least}..{most}")
    return number


def _groups(
    flow: Mapping[str, object],
    member: str,
    check: Callable[[Mapping[str, object], str], None],
    what: str,
    most: int = counts.PER_LINE,
) -> list[dict[str, Json]]:
    """The groups of a line, each after `check`, none twice."""
    found = flow.get(member)
    if not isinstance(found, list) or len(found) > most:
        raise VerificationError(f"{what}: {member} is not a list of at most {most}")
    seen = set[frozenset[tuple[str, object]]]()
    for one in found:
        group = strict.mapping(one, f"{what}: {member}")
        check(group, f"{what}: {member}")
        need(strict.count(group["count"], f"{what}: count"), f"{what}: count: none")
        # Texts and numbers only, by now.
        seen.add(frozenset(item for item in group.items() if item[0] != "count"))
    need(len(seen) == len(found), f"{what}: {member}: one group twice")
    return cast(list[dict[str, Json]], found)


def _members(
    group: Mapping[str, object], always: Collection[str], more: Collection[str], what: str
) -> None:
    good = group.keys() >= set(always) and group.keys() <= {*always, *more}
    need(good, f"{what}: members {sorted(group)}")
