"""`sluicegate policy diff OLD NEW`: what a new policy allows and an old one does not, or the proof that nothing is."""

from __future__ import annotations

import getopt
import json
import sys
from collections.abc import Sequence

from sluicegate.cli import policyfiles, say
from sluicegate.policy import compare, granted
from sluicegate.policy.compare import Difference, Found
from sluicegate.policy.granted import Grants
from sluicegate.policy.model import PolicyError

USAGE = """\
usage: sluicegate policy diff OLD NEW [--old FILE]... [--new FILE]... [--json]

What NEW lets through and OLD does not, and the other way round, each with an example that both decide as the gate
would; or, where NEW lets nothing more through, that this is proven: one of each kind of connection and request that the
rules can tell apart was held against both, but for destinations about which both say the same.
--old, --new  a further file beside OLD, or NEW: every one must allow

exit: 0 NEW only tightens OLD, or is the same; 1 it newly allows something, or the contrary could not be proven; 2 usage
"""
TIGHTENS, LOOSENS, WRONG = 0, 1, 2
SCHEMA = "sluicegate.policy-diff.v0"
# Lines of each kind on a terminal; --json has all.
MAX_SHOWN = 20


def main(argv: Sequence[str]) -> int:
    """0 only tightens, 1 newly allows or not proven, 2 usage."""
    try:
        pairs, files = getopt.gnu_getopt(list(argv), "h", ["help", "json", "old=", "new="])
    except getopt.GetoptError as error:
        return _usage(str(error))
    given = dict(pairs)
    if given.keys() & {"-h", "--help"}:
        sys.stdout.write(USAGE)
        return TIGHTENS
    if len(files) != 2:
        return _usage(f"diff wants OLD and NEW, got {len(files)} files")
    sides = []
    try:
        for name, file in zip(("--old", "--new"), files, strict=True):
            more = [value for option, value in pairs if option == name]
            sides.append(tuple(policyfiles.read(path, path) for path in (file, *more)))
    except PolicyError as error:
        say.complain(str(error), error.hint)
        return WRONG
    found, grants = compare.compare(*sides), granted.compare(*sides)
    lines = [_as_json(found, grants)] if "--json" in given else _as_text(found, grants)
    sys.stdout.write("\n".join(map(say.visible, lines)) + "\n")
    return TIGHTENS if _tightens(found, grants) else LOOSENS


def _tightens(found: Found, grants: Grants) -> bool:
    return not (found.allowed or grants.more or found.undecided or grants.undecided)


def _verdict(found: Found, grants: Grants) -> str:
    if found.allowed or grants.more:
        return "NEW allows what OLD does not"
    if found.undecided or grants.undecided:
        return "not proven that NEW only tightens OLD"
    same = not (found.denied or grants.less)
    what = "NEW lets through and grants the same as OLD" if same else "NEW only tightens OLD"
    return (
        f"proven: {what} ({found.looked} kinds of connections and requests, each decided by both)"
    )


def _as_text(found: Found, grants: Grants) -> list[str]:
    lines = []
    for title, some, beside in (
        ("newly allowed", found.allowed, grants.more),
        ("newly denied", found.denied, grants.less),
    ):
        if some or beside:
            lines.append(f"{title}:")
            lines += [line for one in some[:MAX_SHOWN] for line in _lines(one)]
            if len(some) > MAX_SHOWN:
                lines.append(f"  ... and {len(some) - MAX_SHOWN} more destinations: see --json")
            lines += [f"  {line}" for line in beside]
    unknown = [*found.undecided, *grants.undecided]
    if unknown:
        lines += ["not decided:", *(f"  {line}" for line in unknown)]
    return [*lines, _verdict(found, grants)]


def _lines(one: Difference) -> list[str]:
    more = f" (and {one.others} more kinds to the same)" if one.others else ""
    return [f"  {one.words}{more}", f"    OLD: {one.old}", f"    NEW: {one.new}"]


def _as_json(found: Found, grants: Grants) -> str:
    whole = {
        "schema": SCHEMA,
        "tightens": _tightens(found, grants),
        "verdict": _verdict(found, grants),
        "looked_at": found.looked,
        "newly_allowed": [*map(_object, found.allowed)],
        "newly_denied": [*map(_object, found.denied)],
        "newly_granted": grants.more,
        "no_longer_granted": grants.less,
        "undecided": [*found.undecided, *grants.undecided],
    }
    return json.dumps(whole, sort_keys=True)


def _object(one: Difference) -> dict[str, object]:
    about, request = one.sending.subject, one.sending.request
    whole: dict[str, object] = {
        "words": one.words,
        "kind": one.sending.kind.name.lower(),
        "name": about.name,
        "address": about.address,
        "port": about.port,
        "old": one.old,
        "new": one.new,
        "others": one.others,
    }
    if request is not None:
        whole |= {
            "method": request.method,
            "target": request.target,
            "headers": [list(pair) for pair in request.fields],
        }
    if one.answers:
        whole["resolves_to"] = list(one.answers)
    return whole


def _usage(said: str) -> int:
    say.complain(said)
    sys.stderr.write(USAGE)
    return WRONG
