"""Packets that a command learns from: only those that verify."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sluicegate.cli import say
from sluicegate.evidence import keys
from sluicegate.policy.model import Policy
from sluicegate.policy.seen import Seen
from sluicegate.verify import flows, library, packet, rows
from sluicegate.verify.packet import Level
from sluicegate.verify.strict import VerificationError
from sluicegate.verify.workers import Workers

WHOLE = "INTACT,CLOSED,ACCOUNTED"


class PacketError(Exception):
    """A packet can not be used; `hint` is the remedy."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Packet:
    """One that verified. `pinned`: by a key that the caller gave."""

    path: str
    policies: tuple[Policy, ...]
    report: packet.Report

    @property
    def pinned(self) -> bool:
        """Whether its signer is one that the caller trusts."""
        return self.report.reached[Level.PINNED][0]

    def seen(self) -> Iterator[Seen]:
        """Its decisions.

        Raises:
            PacketError: it changed since it was verified.
        """
        try:
            yield from flows.seen(rows.rows(self.path, self.report), self.policies)
        except (VerificationError, OSError) as error:
            raise PacketError(f"{self.path}: {error}") from error


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `verified` takes."""
    parser.add_argument("packet", nargs="+", help="a packet's directory")
    parser.add_argument(
        "--key", action="append", default=[], help="a trusted public key: a file, or 64 hex digits"
    )
    parser.add_argument(
        "--require",
        default=WHOLE,
        help=f"levels that each packet must reach (default {WHOLE}; with --key, PINNED as well)",
    )


def verified(args: argparse.Namespace) -> list[Packet]:
    """The packets that `args` name, each after it verified; of those that no given key pins, a line on stderr.

    Raises:
        PacketError: one does not verify, or is no packet of ours.
    """
    try:
        pins = [library.key(text) for text in args.key]
        require = [library.level(name) for name in args.require.split(",") if name]
    except (VerificationError, keys.KeyTextError, OSError) as error:
        raise PacketError(str(error)) from error
    if pins and Level.PINNED not in require:
        require.append(Level.PINNED)
    found = [_one(path, pins, require) for path in args.packet]
    for one in found:
        if not one.pinned:
            say.say(
                f"{one.path}: not pinned: whoever wrote it may have signed it; --key PUBLIC_KEY pins"
            )
    return found


def _one(path: str, pins: Sequence[bytes], require: Sequence[Level]) -> Packet:
    try:
        with Workers() as signatures:
            report = library.examine(path, pins, require, {}, signatures=signatures)
        if report.outcome != packet.VALID:
            message = f"{path} does not verify: {library.why(report, require)}"
            raise PacketError(message, f"see `sluicegate verify {path}`")
        return Packet(path, flows.policies(path, report), report)
    except VerificationError as error:
        raise PacketError(
            f"{path}: {error}", "want the directory that `run --packet` made"
        ) from error
    except OSError as error:
        raise PacketError(
            f"{path}: {error.strerror}", "want the directory that `run --packet` made"
        ) from error
