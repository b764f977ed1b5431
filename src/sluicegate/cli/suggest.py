"""`sluicegate policy suggest PACKET`: the smallest allow list that covers what runs were seen to do."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import sys
from collections.abc import Iterator, Sequence

from sluicegate.cli import packets, presetting, say
from sluicegate.policy import grammar, learn, needs, suggestion
from sluicegate.policy.learn import Learnt, Preset
from sluicegate.policy.model import PolicyError
from sluicegate.policy.needs import Need
from sluicegate.policy.presets import MAX_REPOS, PresetError, is_repo, made
from sluicegate.policy.seen import Seen
from sluicegate.presets import catalog

WHOLE, LACKING, WRONG = 0, 1, 2
SOURCE = "the suggestion"
# Each is held, and takes a kilobyte; a build makes thousands.
MAX_DECISIONS = 200_000


def main(argv: Sequence[str]) -> int:
    """0 all that passed is covered, 1 something is not or nothing passed, 2 usage or a packet that does not verify."""
    try:
        args = _parser().parse_args(list(argv))
    except SystemExit as stop:
        return WRONG if stop.code else WHOLE
    try:
        found = packets.verified(args)
        needed = needs.needs(_bounded(found))
    except packets.PacketError as error:
        say.complain(str(error), error.hint)
        return WRONG
    machine = presetting.here(os.curdir, quiet=True)
    known = [] if args.no_presets else list(_presets(needed.all(), machine))
    learnt = learn.learn(needed.all(), known)
    text = suggestion.text(learnt, [*_about(found)], needed.others, many=len(found) > 1)
    _same(text, learnt, known, machine)
    sys.stdout.write(text)
    if learnt.lines and not learnt.uncovered:
        return WHOLE
    say.say(
        "nothing was let through" if not learnt.lines else "not all that was let through is covered"
    )
    return LACKING


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sluicegate policy suggest",
        description="Print a policy that allows what the runs of verified packets did, with the evidence as comments.",
        epilog="exit: 0 all that was let through is covered; 1 something is not, or nothing was; 2 usage, or a packet "
        "that does not verify",
        allow_abbrev=False,
    )
    packets.arguments(parser)
    parser.add_argument("--no-presets", action="store_true", help="write rules, not presets")
    return parser


def _bounded(found: Sequence[packets.Packet]) -> list[list[Seen]]:
    """The decisions of each packet, which are held until all is checked.

    Raises:
        PacketError: too many of them.
    """
    held = [list(itertools.islice(one.seen(), MAX_DECISIONS + 1)) for one in found]
    if sum(map(len, held)) > MAX_DECISIONS:
        hint = "one packet alone, or a shorter run, says as much"
        raise packets.PacketError(f"more than {MAX_DECISIONS} decisions to learn from", hint)
    return held


def _about(found: Sequence[packets.Packet]) -> Iterator[str]:
    """Where the suggestion comes from."""
    yield "what these runs were seen to need; read it before it is used"
    for at, one in enumerate(found, 1):
        who = f"signed by {one.report.signer_key[:16]}..." if one.pinned else "NOT pinned to a key"
        yield f"packet {at}: run {one.report.run_nonce[:16]}, {one.report.receipts} receipts, {who}"


def _presets(found: Sequence[Need], machine: presetting.Presets) -> Iterator[Preset]:
    """Presets as they are on this machine; of those of repositories, the ones that were asked for alone."""
    for name in catalog.NAMES:
        try:
            rows = machine(name, ())
        except PresetError:
            continue
        repos = _repos([need for need in found if need.name in {row.host for row in rows}])
        with contextlib.suppress(PresetError):
            yield Preset(name, made(machine(name, repos), f"preset {name}", name), repos)
            if not repos:
                continue
        yield Preset(name, made(rows, f"preset {name}", name))


def _repos(found: Sequence[Need]) -> tuple[str, ...]:
    """What the paths of code hosts begin with; none where these are too many to list."""
    asked = {tuple(path.split("/")[1:4]) for need in found for _, path in need.requests if path}
    texts = {"/".join(one[1:3] if one[:1] == ("repos",) else one[:2]) for one in asked}
    repos = sorted({text.removesuffix(".git") for text in texts if is_repo(text)})
    return tuple(repos) if len(repos) <= MAX_REPOS else ()


def _same(text: str, learnt: Learnt, known: Sequence[Preset], machine: presetting.Presets) -> None:
    """Nothing, if the text says what was learnt: it is read as a policy is.

    Raises:
        RuntimeError: it does not.
    """
    try:
        policy = grammar.parse(text, SOURCE, machine)
    except PolicyError as error:
        raise RuntimeError(f"{SOURCE} is no policy: {error}") from error
    wanted = {learn.bare(rule) for rule in learn.rules_of(learnt.lines, known)}
    if {learn.bare(rule) for rule in policy.allow} != wanted:
        raise RuntimeError(f"{SOURCE} says other things than what was learnt")
