"""`sluicegate report PACKET`: what a verified packet says, for people, CI systems and SIEMs. Never opens a socket."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence

from sluicegate.cli import reportfiles, say
from sluicegate.evidence import keys
from sluicegate.report.told import Told
from sluicegate.report.verdict import Case
from sluicegate.verify import files, library, packet
from sluicegate.verify.rows import Row, rows
from sluicegate.verify.strict import VerificationError
from sluicegate.verify.workers import Workers

HELP = {
    "summary": "Markdown for people: the verdict, denials, destinations, programs (the default, on stdout)",
    "html": "one page that stands alone, and checks the packet again in the browser",
    "sarif": "denials as SARIF 2.1.0, for code scanning",
    "junit": "levels, probes and denials as JUnit XML",
    "ocsf": "every decision as OCSF, a JSON line each",
    "ecs": "every decision in the Elastic Common Schema, a JSON line each",
    "json": "totals, denials, destinations and programs as one JSON object",
}
# Those that have a line for each row, and so are written while the rows are read.
STREAMS = ("ocsf", "ecs")
POLICY = "sluicegate.yaml"  # what `run` reads where none is named


def main(argv: Sequence[str]) -> int:
    """0: written, of a record that holds. 1: written, of one that does not. 2: wrong usage, or not written."""
    parser = _parser()
    try:
        args = parser.parse_args(argv)
    except SystemExit as stop:
        return packet.USAGE if stop.code else packet.VALID
    wanted = {name: getattr(args, name) for name in HELP if getattr(args, name) is not None}
    if not wanted and not args.annotations:
        wanted["summary"] = reportfiles.STDOUT
    try:
        if list(wanted.values()).count(reportfiles.STDOUT) + args.annotations > 1:
            raise library.UsageError("stdout can hold one report: name a file for the others")
        if not files.is_directory(args.packet):
            raise library.UsageError(f"{args.packet}: a report is of a packet's directory")
        reportfiles.outside(args.packet, wanted.values())
        pins = [library.key(text) for text in args.key]
        with Workers() as signatures:
            report = library.examine(args.packet, pins, packet.DEFAULT, {}, signatures=signatures)
        return _write(args, wanted, report)
    except (VerificationError, keys.KeyTextError, reportfiles.OutputError) as error:
        say.complain(str(error))
        return packet.USAGE
    except OSError as error:
        name = error.filename if isinstance(error.filename, str) else args.packet
        say.complain(f"{name}: {error.strerror}")
        return packet.USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sluicegate report", allow_abbrev=False)
    add = parser.add_argument
    add("packet", help="a packet's directory")
    add("--key", action="append", default=[], help="a trusted public key: a file, or 64 hex digits")
    for name, what in HELP.items():
        add(f"--{name}", metavar="FILE", help=f"{what}; `-` is stdout")
    add("--annotations", action="store_true", help="workflow commands of GitHub Actions, on stdout")
    add(
        "--policy-file",
        default=POLICY,
        metavar="NAME",
        help=f"where findings that no line of a policy gave are shown (default {POLICY})",
    )
    return parser


def _write(args: argparse.Namespace, wanted: dict[str, str], report: packet.Report) -> int:
    """Every report that is wanted; all of them are put in place only when the rows were read to their end."""
    with reportfiles.Outputs(wanted) as out:
        told = None
        if report.streams:
            told = Told()
            for row in _through(rows(args.packet, report), _lines(out, report, wanted)):
                told.add(row)
        case = Case(report, told, bool(args.key))
        for name in wanted.keys() - set(STREAMS):
            out.write(name, _page(name, case, args))
        if args.annotations:
            from sluicegate.report import annotations

            print(annotations.commands(case, reportfiles.root()), end="")
        out.publish()
    if not case.sound:
        say.complain(f"{args.packet}: {case.state.value}: {case.why}")
    return packet.VALID if case.sound else packet.INVALID


def _through(found: Iterable[Row], to: Sequence[Callable[[Row], None]]) -> Iterator[Row]:
    """`found`, each row given to all of `to`."""
    for row in found:
        for take in to:
            take(row)
        yield row


def _lines(
    out: reportfiles.Outputs, report: packet.Report, wanted: dict[str, str]
) -> list[Callable[[Row], None]]:
    """What writes each row's lines, for each report of `STREAMS` that is wanted."""
    made: list[Callable[[Row], None]] = []
    if "ocsf" in wanted:
        from sluicegate.report.ocsf import Ocsf

        ocsf = Ocsf(report)
        made.append(lambda row: out.write("ocsf", ocsf.lines(row)))
    if "ecs" in wanted:
        from sluicegate.report.ecs import Ecs

        ecs = Ecs(report)
        made.append(lambda row: out.write("ecs", ecs.lines(row)))
    return made


def _page(name: str, case: Case, args: argparse.Namespace) -> str:
    """The text of the report `name`."""
    if name == "html":
        from sluicegate.report import standalone

        return standalone.page(case, reportfiles.embedded(args.packet, case))
    if name == "sarif":
        from sluicegate.report import sarif

        return sarif.sarif(case, args.policy_file, reportfiles.root())
    if name == "junit":
        from sluicegate.report import junit

        return junit.junit(case)
    if name == "json":
        from sluicegate.report import plain

        return plain.plain(case)
    from sluicegate.report import summary

    return summary.summary(case)
