"""Of all queries and headers that a request may have, a few that stand for the rest: what conditions do not tell apart.

For an allow rule every reading of every occurrence must meet a condition, for a deny rule one is enough. So a further
occurrence only takes allow conditions away and adds deny conditions, and what counts of several is the `and` of the
first and the `or` of the second. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from sluicegate.policy import conditions, globs
from sluicegate.policy.conditions import Pairs
from sluicegate.policy.globs import Mask, UndecidedError
from sluicegate.policy.model import Rule

# Ways in which the conditions on one name may be met or not. Each doubles the requests to look at.
MAX_WAYS = 512
# Neither reading of this is known, nor of a header that ends so.
_UNREADABLE = "%zz"


@dataclass(frozen=True, slots=True)
class _Condition:
    """One name of one rule's conditions, with the globs of which one must be met."""

    name: str
    globs: tuple[str, ...]
    deny: bool


@dataclass(frozen=True, slots=True)
class _Value:
    """A value as sent, and which conditions it meets as those of allow and of deny rules."""

    text: str
    allow: Mask
    deny: Mask


def parameters(allow: Iterable[Rule], deny: Iterable[Rule]) -> Iterator[Sequence[Pairs]]:
    """For each group of names that servers may take for one: occurrences (name and value as sent) of every kind.

    Raises:
        UndecidedError: too many kinds.
    """
    found = [(rule.query, False) for rule in allow] + [(rule.query, True) for rule in deny]
    for group in _groups(found, conditions.loose_name):
        yield _ways(group, _parameter_values(group), _bracketed(group), _UNREADABLE)


def fields(allow: Iterable[Rule], deny: Iterable[Rule]) -> Iterator[Sequence[Pairs]]:
    """The same of headers.

    Raises:
        UndecidedError: too many kinds.
    """
    found = [(rule.headers, False) for rule in allow] + [(rule.headers, True) for rule in deny]
    for group in _groups(found, conditions.header_name):
        yield _ways(group, _field_values(group), _underscored(group), conditions.CUT)


def sent(pairs: Iterable[tuple[str, str]]) -> str:
    """The query of `parameters`' pairs, with its question mark; empty without any."""
    text = "&".join(f"{name}={value}" for name, value in pairs)
    return f"?{text}" if text else ""


def _groups(
    found: Iterable[tuple[Pairs, bool]], alike: Callable[[str], str]
) -> Iterator[tuple[_Condition, ...]]:
    groups = dict[str, dict[_Condition, None]]()
    for pairs, deny in found:
        for name, texts in conditions.by_name(pairs):
            groups.setdefault(alike(name), {})[_Condition(name, texts, deny)] = None
    return (tuple(group) for group in groups.values())


def _parameter_values(group: Sequence[_Condition]) -> list[_Value]:
    texts = list(dict.fromkeys(text for one in group for text in one.globs))
    return [_value(group, texts, raw, met, met) for met, raw in globs.of_parameters(texts).items()]


def _field_values(group: Sequence[_Condition]) -> list[_Value]:
    texts = list(dict.fromkeys(text for one in group for text in one.globs))
    denied = texts if any(one.deny for one in group) else []
    found = globs.of_headers(texts, denied)
    return [_value(group, texts, raw, allow, deny) for (allow, deny), raw in found.items()]


def _value(
    group: Sequence[_Condition], texts: Sequence[str], raw: str, allow: Mask, deny: Mask
) -> _Value:
    def met(mask: Mask, *, wanted: bool) -> Mask:
        return sum(
            1 << index
            for index, one in enumerate(group)
            if one.deny is wanted and any(mask >> texts.index(text) & 1 for text in one.globs)
        )

    return _Value(raw, met(allow, wanted=False), met(deny, wanted=True))


def _ways(
    group: Sequence[_Condition], values: Sequence[_Value], other: str | None, unknown: str
) -> Sequence[Pairs]:
    """Occurrences for each way to meet some of the `group`, the fewest that do; none, and one that is not known, too.

    `other`: a name that servers may take for these, and that no condition spells.
    """
    written = dict.fromkeys(one.name for one in group)
    names = [(_name(name), name) for name in written] + ([(other, "")] if other else [])
    every = sum(1 << index for index, one in enumerate(group) if not one.deny)
    shown: dict[tuple[Mask, Mask], Pairs] = {}
    states: dict[tuple[frozenset[str], Mask, Mask], Pairs] = {(frozenset(), every, 0): ()}
    level = dict(states)
    for _ in range(conditions.MAX_PAIRS + 1):
        for (spelt, allow, deny), pairs in level.items():
            here = sum(1 << i for i, one in enumerate(group) if one.name in spelt) & allow
            shown.setdefault((here, deny), pairs)
        later: dict[tuple[frozenset[str], Mask, Mask], Pairs] = {}
        for (spelt, allow, deny), pairs in level.items():
            for value in values:
                for raw, name in names:
                    key = (spelt | {name}, allow & value.allow, deny | value.deny)
                    if key not in states:
                        later[key] = states[key] = (*pairs, (raw, value.text))
            if len(states) > MAX_WAYS:
                raise UndecidedError(f"conditions on {group[0].name} in more than {MAX_WAYS} ways")
        level = later
    return (*shown.values(), ((names[0][0], unknown),))


def _name(name: str) -> str:
    return quote(name, safe="-_.~!$'()*,/:@")


def _bracketed(group: Sequence[_Condition]) -> str | None:
    bare = group[0].name.partition("[")[0]
    spelt = {one.name for one in group}
    numbers = (f"{bare}[{number}]" for number in range(len(spelt) + 1))
    return _name(next(name for name in numbers if name not in spelt))


def _underscored(group: Sequence[_Condition]) -> str | None:
    """Another spelling, where the name has a dash or underscore to change: letters have one case."""
    spelt = {one.name for one in group}
    first = group[0].name
    marks = [index for index, char in enumerate(first) if char in "-_"]
    for number in range(min(1 << len(marks), len(spelt) + 1)):
        name = list(first)
        for bit, index in enumerate(marks):
            name[index] = "_" if number >> bit & 1 else "-"
        if "".join(name) not in spelt:
            return "".join(name)
    return None
