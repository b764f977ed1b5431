"""What runs needed, as the fewest and narrowest lines of `allow` that cover it. Pure.

Nothing is made wider without evidence: a directory stands for its paths where several were asked for, a wildcard for
its names where several were and strangers can not be below it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sluicegate.policy import paths, suffixes
from sluicegate.policy.again import Judge
from sluicegate.policy.decide import COMMON_METHODS
from sluicegate.policy.model import Policy, Rule
from sluicegate.policy.needs import Need
from sluicegate.policy.seen import Seen

# Different paths in one directory from which the directory is what is needed: two may be chance.
MIN_PATHS = 3
# Different names below one from which a wildcard is what is needed.
MIN_NAMES = 5
# Globs of one rule; more are made wider, a directory at a time.
MAX_GLOBS = 12
_READS = ("GET", "HEAD")
# What covers a connection that was opened, and in which nothing was asked: as good as nothing.
_NOTHING = ("HEAD", "/")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of `allow`: `rule`, or `preset` with `repos`; what it is for, and what speaks against it."""

    rule: Rule | None
    seen: tuple[tuple[int, Seen], ...]
    programs: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    preset: str = ""
    repos: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preset:
    """The rules that a preset is on this machine, for some repositories or for all."""

    name: str
    rules: tuple[Rule, ...]
    repos: tuple[str, ...] = ()


@dataclass(slots=True)
class Learnt:
    """`lines` to paste, and `doubtful` ones that somebody has to look at first. `uncovered`: what no line allows."""

    lines: list[Line] = field(default_factory=list)
    doubtful: list[Line] = field(default_factory=list)
    uncovered: list[Seen] = field(default_factory=list)


def learn(needs: Iterable[Need], presets: Sequence[Preset] = ()) -> Learnt:
    """The lines for `needs`; a preset stands for all destinations that it covers whole."""
    learnt = Learnt()
    good = []
    for need in needs:
        if need.warnings:
            learnt.doubtful += _lines(need)
        else:
            good.append(need)
    good = _by_presets(good, presets, learnt)
    lines = [line for need in _wildcards(good) for line in _lines(need)]
    learnt.lines += sorted(_joined(lines), key=_order)
    learnt.doubtful = _joined(learnt.doubtful)
    _check(learnt, presets)
    return learnt


def rules_of(lines: Iterable[Line], presets: Sequence[Preset]) -> tuple[Rule, ...]:
    """The rules that the lines are."""
    known = {(one.name, one.repos): one.rules for one in presets}
    found = list[Rule]()
    for line in lines:
        found += [line.rule] if line.rule is not None else known[line.preset, line.repos]
    return tuple(found)


def bare(rule: Rule) -> Rule:
    """What it allows, whatever it is called."""
    return replace(rule, label="", preset="")


def globs_of(asked: Iterable[str]) -> tuple[str, ...]:
    """Globs for paths that were asked for: directories of which several were, else the paths."""
    found = set(asked)
    depth = max((path.count("/") for path in found), default=1)
    # The deepest directories first: what they stand for is less.
    for level in range(depth, 1, -1):
        found = _collapsed(found, level, MIN_PATHS)
    for level in range(depth, 0, -1):
        if len(found) > MAX_GLOBS:
            found = _collapsed(found, level, MIN_PATHS if level > 1 else MAX_GLOBS)
    if len(found) > MAX_GLOBS:
        return ("/**",)
    return tuple(sorted(found))


def _collapsed(found: set[str], level: int, least: int) -> set[str]:
    """With directories of `level` segments instead of what is below them, where that are at least `least`."""
    below = dict[str, set[str]]()
    for path in found:
        directory = "/".join(path.split("/")[:level])
        if path.count("/") >= level:
            below.setdefault(directory, set()).add(path)
    kept = set(found)
    for directory, some in below.items():
        if len(some) >= least:
            kept = kept - some | {f"{directory}/**"}
    return kept


def _lines(need: Need) -> list[Line]:
    rules = _narrow(need, need.requests or {_NOTHING})
    if need.plain:
        # All but what a rule must name.
        odd = {one for one in need.requests if one[0] not in COMMON_METHODS}
        rules = [_rule(need, ()), *_narrow(need, odd)]
    made = [
        Line(
            rule,
            tuple(need.seen),
            tuple(sorted(need.programs)),
            tuple(need.warnings),
            tuple(need.notes),
        )
        for rule in rules
    ]
    if len(made) > 1:
        made = [replace(one, seen=_of(one.rule, one.seen)) for one in made]
    return made


def _of(rule: Rule | None, seen: tuple[tuple[int, Seen], ...]) -> tuple[tuple[int, Seen], ...]:
    """Those of `seen` that one of several rules for the same destination is for, and the connections around them."""
    return tuple(
        (packet, one)
        for packet, one in seen
        if one.facts.method is None or (rule is not None and _asks(rule, one))
    )


def _asks(rule: Rule, one: Seen) -> bool:
    path = paths.normal(one.facts.path)
    named = path is not None and any(paths.matches(glob, path) for glob in rule.paths)
    asked = one.facts.method in (rule.methods or COMMON_METHODS)
    return asked and (not rule.paths or named)


def _rule(need: Need, methods: Sequence[str], globs: Sequence[str] = ()) -> Rule:
    network = None
    if need.name is None:
        network = str(ipaddress.ip_network(str(need.address)))
    name = need.name or ""
    return Rule(
        "",
        host=name.removeprefix("*.") or None,
        wildcard=name.startswith("*."),
        network=network,
        ports=(need.port,),
        methods=tuple(sorted(methods)),
        paths=tuple(globs),
    )


def _narrow(need: Need, requests: set[tuple[str, str | None]]) -> list[Rule]:
    """Rules by method and path: reads together, each other method by itself, those of the same paths joined."""
    asked = dict[str, set[str | None]]()
    for method, path in requests:
        asked.setdefault("" if method in _READS else method, set()).add(path)
    reads = sorted({method for method, _ in requests if method in _READS})
    by_globs = dict[tuple[str, ...], set[str]]()
    for kind, some in asked.items():
        globs = () if None in some else globs_of(path for path in some if path is not None)
        by_globs.setdefault(globs, set()).update([kind] if kind else reads)
    return [_rule(need, tuple(methods), globs) for globs, methods in sorted(by_globs.items())]


def _joined(lines: Sequence[Line]) -> list[Line]:
    """Lines that differ in their ports alone, as one."""
    found = dict[object, Line]()
    for line in lines:
        key = (line.rule and replace(line.rule, ports=()), line.preset, line.repos, line.warnings)
        other = found.get(key)
        if other is None or other.rule is None or line.rule is None:
            found[key] = line
            continue
        ports = tuple(sorted({*other.rule.ports, *line.rule.ports}))
        found[key] = replace(
            other,
            rule=replace(other.rule, ports=ports),
            seen=(*other.seen, *line.seen),
            programs=tuple(sorted({*other.programs, *line.programs})),
            notes=tuple(dict.fromkeys((*other.notes, *line.notes))),
        )
    return list(found.values())


def _order(line: Line) -> tuple[object, ...]:
    rule = line.rule
    name = (rule.host or rule.network or "") if rule else ""
    return line.programs, name, rule.ports if rule else (), rule.methods if rule else ()


def _wildcards(needs: Sequence[Need]) -> list[Need]:
    """`needs` with a wildcard for those of many names that one owner has below one name, and of one kind."""
    groups = dict[tuple[str, int], list[Need]]()
    for need in needs:
        parent = (need.name or "").partition(".")[2]
        if need.name is not None and "." in parent:
            groups.setdefault((parent, need.port), []).append(need)
    kept = list(needs)
    for (parent, port), some in groups.items():
        names = {need.name for need in some}
        alike = len({need.plain for need in some}) == 1
        if len(names) < MIN_NAMES or not alike or suffixes.shared(parent) is not None:
            continue
        wide = Need(f"*.{parent}", None, port, plain=some[0].plain)
        for need in some:
            wide.requests |= need.requests
            wide.seen += need.seen
            wide.programs |= need.programs
            wide.notes |= need.notes
        wide.notes[f"{len(names)} names below {parent} were asked for"] = None
        kept = [need for need in kept if need not in some] + [wide]
    return kept


def _by_presets(needs: list[Need], presets: Sequence[Preset], learnt: Learnt) -> list[Need]:
    """What is left of `needs` when presets stand for what they cover; the one that covers most first."""
    left = list(needs)
    for _ in presets:
        best = max(
            ((p, _covers(p, left)) for p in presets), key=lambda one: len(one[1]), default=None
        )
        if best is None or not best[1]:
            break
        preset, some = best
        programs = sorted({program for need in some for program in need.programs})
        seen = tuple(one for need in some for one in need.seen)
        hosts = tuple(sorted({need.name or need.address or "" for need in some}))
        learnt.lines.append(Line(None, seen, tuple(programs), (), hosts, preset.name, preset.repos))
        left = [need for need in left if need not in some]
    return left


def _covers(preset: Preset, needs: Sequence[Need]) -> list[Need]:
    """Those of the needs that the preset alone allows whole, and that were looked into."""
    policy = Policy("", allow=preset.rules)
    judge = Judge((policy,))
    return [
        need
        for need in needs
        if need.name is not None
        and need.requests
        and all(judge.again(replace(one, addresses=())).passes for _, one in need.seen)
    ]


def _check(learnt: Learnt, presets: Sequence[Preset]) -> None:
    """Every decision that a line is for must be allowed by all lines together; what is not is told apart."""
    failed = _failed(learnt, presets)
    closed = {(one.facts.synthetic or one.facts.sni) for one in failed if one.facts.method is None}
    if closed - {None}:
        # A narrower line for the same name has it opened, and what was asked inside is not on record.
        learnt.lines = [
            replace(line, rule=replace(line.rule, inspect=False))
            if line.rule is not None and line.rule.host in closed and not line.rule.narrow
            else line
            for line in learnt.lines
        ]
        failed = _failed(learnt, presets)
    learnt.uncovered = failed


def _failed(learnt: Learnt, presets: Sequence[Preset]) -> list[Seen]:
    judge = Judge((Policy("", allow=rules_of(learnt.lines, presets)),))
    seen = {(packet, one.seq): one for line in learnt.lines for packet, one in line.seen}
    return [one for one in seen.values() if judge.again(one).passes is not True]
