"""What was learnt, as YAML to paste: each line with its evidence as a comment. Pure.

Names of programs and hosts, methods and paths were chosen by the command: what stands in a comment is printable ASCII
and one line, what stands in a rule is quoted as YAML wants it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from sluicegate.policy.learn import Learnt, Line
from sluicegate.policy.model import DEFAULT_PORTS, Rule
from sluicegate.policy.remedies import escaped, method_word

MAX_COMMENT = 100  # characters of what a command chose, in a comment
MAX_SEQS = 6
MAX_OTHERS = 40
# A host that YAML 1.1 takes for text whatever it is: it has a dot and begins with a letter.
_PLAIN = re.compile(r"[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)+", re.ASCII)
_CLOSED = "# TLS that was not looked into has no methods and paths: with `inspect: all` in the run's policy it has."


def text(learnt: Learnt, about: Sequence[str], others: Mapping[str, int], *, many: bool) -> str:
    """The policy. `about` are lines on where it comes from; `others` what is no need; `many`: of several packets."""
    lines = [f"# {comment(one)}" for one in about]
    # The key alone is an empty list, to which what is below can be added.
    lines += ["version: 1", "allow:", *_lines(learnt.lines, many=many)]
    if any(
        line.rule is not None and not line.rule.narrow and 443 in line.rule.ports
        for line in learnt.lines
    ):
        lines += ["", _CLOSED]
    if learnt.doubtful:
        lines += ["", "# Not allowed without a look at it: remove the # of what is wanted."]
        for line in learnt.doubtful:
            lines += [f"# WARNING: {comment(one)}" for one in line.warnings]
            lines += [f"#{one}" for one in _line(line, many=many)]
    if learnt.uncovered:
        lines += ["", "# Let through, and not covered by any line above:"]
        lines += [f"#   seq {one.seq}: {comment(one.reason)}" for one in learnt.uncovered]
    if others:
        lines += ["", "# Not suggested:"]
        told = sorted(others.items(), key=lambda item: (-item[1], item[0]))
        lines += [f"#   {count}x {comment(words)}" for words, count in told[:MAX_OTHERS]]
        if len(told) > MAX_OTHERS:
            lines.append(f"#   ... and {len(told) - MAX_OTHERS} more kinds")
    return "\n".join(lines) + "\n"


def comment(given: str) -> str:
    """`given` as one line of printable ASCII that is not too long."""
    shown = "".join(char if " " <= char <= "~" else "?" for char in given)
    return shown if len(shown) <= MAX_COMMENT else shown[:MAX_COMMENT] + "..."


def _lines(lines: Sequence[Line], *, many: bool) -> Iterator[str]:
    programs: tuple[str, ...] | None = None
    for line in lines:
        if line.programs != programs:
            programs = line.programs
            yield (
                f"  # by {comment(', '.join(programs))}"
                if programs
                else "  # by a program that was gone"
            )
        yield from _line(line, many=many)


def _line(line: Line, *, many: bool) -> Iterator[str]:
    for note in line.notes:
        yield f"  # {comment(note)}"
    yield f"  # {_evidence(line, many=many)}"
    if line.rule is None:
        yield f"  - preset: {line.preset}"
        if line.repos:
            yield f"    repos: [{', '.join(line.repos)}]"
    else:
        yield from _rule(line.rule)


def _rule(rule: Rule) -> Iterator[str]:
    if rule.network is not None:
        yield f'  - ip: "{rule.network}"' if ":" in rule.network else f"  - ip: {rule.network}"
    elif rule.wildcard:
        yield f'  - host: "*.{rule.host}"'
    else:
        host = str(rule.host)
        yield f"  - host: {host}" if _PLAIN.fullmatch(host) else f'  - host: "{host}"'
    if rule.ports != DEFAULT_PORTS:
        yield f"    ports: [{', '.join(map(str, rule.ports))}]"
    if rule.methods:
        yield f"    methods: [{', '.join(map(method_word, rule.methods))}]"
    if rule.paths:
        yield "    paths: [" + ", ".join(f'"{escaped(glob)}"' for glob in rule.paths) + "]"
    if rule.inspect is not None:
        yield f"    inspect: {str(rule.inspect).lower()}"


def _evidence(line: Line, *, many: bool) -> str:
    """What was seen: how much, and on which receipts."""
    requests = sum(one.facts.method is not None for _, one in line.seen)
    rest = len(line.seen) - requests
    counts = [
        f"{n} {what}{'s' * (n > 1)}"
        for n, what in ((requests, "request"), (rest, "connection"))
        if n
    ]
    # The bytes of a connection that was opened are those of the requests inside.
    up, down = (
        sum(getattr(one, way) for _, one in line.seen if not one.opened) for way in ("up", "down")
    )
    seqs = sorted((packet, one.seq) for packet, one in line.seen)
    named = [f"{packet + 1}:{seq}" if many else str(seq) for packet, seq in seqs[:MAX_SEQS]]
    more = ", ..." if len(seqs) > MAX_SEQS else ""
    unseen = "" if line.rule is None or line.rule.narrow else "; not looked into"
    return f"{', '.join(counts)}, {up} bytes up, {down} down{unseen}; seq {', '.join(named)}{more}"
