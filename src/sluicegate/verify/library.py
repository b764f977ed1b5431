"""The verifier as one function: a path and public keys to what was found, or an exception that says why not."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sluicegate.evidence import keys as texts
from sluicegate.verify import bare, expect, files, foreign, packet, strict, summary, verifymd
from sluicegate.verify.checkpoints import Checkpoints, NoCheckpointError
from sluicegate.verify.packet import DEFAULT, Level, Report
from sluicegate.verify.signatures import AT_ONCE, Signatures

KEY_BYTES = 65_536  # of a file with a key or an endorsement, which are a few lines
# Pages that the run made of the record, and how: what a reader is told to do must be the record's too.
PAGES = {"summary.md": summary.of_the_run, "VERIFY.md": verifymd.of_the_run}


class IncompleteError(strict.VerificationError):
    """What is there holds, but its end is not proven."""

    exit_code = packet.UNPROVEN


class UntrustedError(strict.VerificationError):
    """Sound, but below the required trust: no key given, another signer, or not of what was expected."""

    exit_code = packet.UNTRUSTED


class UsageError(strict.VerificationError):
    """What was asked can not be done; the text says why."""

    exit_code = packet.USAGE


@dataclass(frozen=True, slots=True)
class Verified:
    """What the evidence supports. Only `verify` makes one, of a record that reached every required level.

    `levels`: level -> (reached, reason). `totals`: verdict -> receipts; `receipts` counts those of the lifecycle too.
    `signer_key`: 64 hex digits. `root`: the hash of the last receipt. `policy_hash`: as the receipts have it.
    `allowed`, `denied`, `warned`: connections and requests; `dropped`: packets; `questions`: of DNS. All 0 where there
    are no facts. `boundary`: boundary.json's object, which the record binds; empty where there is none. `streams`:
    SHA-256 of the files that `rows` reads once more. `workspace`: workspace.json's object, which the record binds too.
    """

    levels: Mapping[str, tuple[bool, str]]
    receipts: int
    totals: Mapping[str, int]
    signer_key: str
    run_nonce: str
    root: str
    policy_hash: str
    allowed: int
    denied: int
    warned: int
    dropped: int
    questions: int
    boundary: Mapping[str, object]
    streams: Mapping[str, str] = field(default_factory=dict)
    workspace: Mapping[str, object] = field(default_factory=dict)


class Place(Protocol):
    """A path that is no text, as those of pathlib."""

    def __fspath__(self) -> str: ...


def verify(
    path: str | Place,
    keys: Sequence[bytes | str],
    *,
    require: Sequence[Level | str] = DEFAULT,
    expect: Mapping[str, str] | None = None,
    checkpoints: Sequence[bytes] = (),
) -> Verified:
    """What the packet (a directory), recorder file (.jsonl) or receipt (.json) at `path` supports.

    `keys`: the public keys that are trusted, from outside; each 32 raw bytes, 64 hex digits, the text of a public key
    file, or its path. `require`: the levels that must be reached, by name or member. `expect`: demands by the names of
    `expect.EXPECTABLE`. `checkpoints`: what the run told meanwhile, each the bytes of its --checkpoint-file, or of a
    log with its stderr; the record must continue every one of this run.

    Raises:
        VerificationError: the record does not hold; its subclasses IncompleteError (the end is not proven),
            UntrustedError (the signer, or what was expected) and UsageError, UnreadableError (nothing was verified).
            `exit_code` is the command's, `report` is what was found, where something was.
    """
    path = _place(path)
    _kinds(keys, require, expect, checkpoints)
    try:
        pins = [key(one) for one in keys]
        levels = [level(one) for one in require]
        heard = told([(f"checkpoints[{at}]", data) for at, data in enumerate(checkpoints)])
        report = examine(path, pins, levels, expect or {}, checkpoints=heard)
    except (OSError, texts.KeyTextError) as error:
        raise UsageError(f"{path}: {error}") from error
    if report.outcome != packet.VALID:
        kind: dict[int, type[strict.VerificationError]] = {
            packet.UNPROVEN: IncompleteError,
            packet.UNTRUSTED: UntrustedError,
        }
        failed = kind.get(report.outcome, strict.VerificationError)(why(report, levels))
        failed.report = report
        raise failed
    account = report.account
    return Verified(
        levels={one.value: found for one, found in report.reached.items()},
        receipts=report.receipts,
        totals=dict(report.tally.totals),
        signer_key=report.signer_key,
        run_nonce=report.run_nonce,
        root=report.root,
        policy_hash=report.policy_hash,
        allowed=account.allowed,
        denied=account.denied,
        warned=account.warned,
        dropped=account.dropped,
        questions=account.questions,
        boundary=report.boundary,
        streams=report.streams,
        workspace=report.workspace,
    )


def _place(path: object) -> str:
    """The text of a path."""
    found = path.__fspath__() if hasattr(path, "__fspath__") else path
    if not isinstance(found, str) or not found or not files.can_be_named(found):
        raise UsageError(f"want a path as a text, got {found!a:.80}")
    return found


def _kinds(keys: object, require: object, expect: object, checkpoints: object) -> None:
    """Nothing, if each argument of `verify` is of its kind: a text is a sequence of texts to Python, and no list."""
    for name, given, kinds in (
        ("keys", keys, (bytes, str)),
        ("require", require, (Level, str)),
        ("checkpoints", checkpoints, (bytes,)),
    ):
        listed = isinstance(given, Sequence) and not isinstance(given, str | bytes)
        if not listed or not all(isinstance(one, kinds) for one in given):  # type: ignore[attr-defined]
            words = " or ".join(kind.__name__ for kind in kinds)
            raise UsageError(f"{name}: want a list, each {words}, got {given!a:.80}")
    pairs = expect.items() if isinstance(expect, Mapping) else () if expect is None else None
    if pairs is None or not all(isinstance(one, str) for pair in pairs for one in pair):
        raise UsageError(f"expect: want a mapping of texts to texts, got {expect!a:.80}")


def examine(
    path: str,
    pins: Sequence[bytes],
    require: Sequence[Level],
    wanted: Mapping[str, str],
    endorsements: Sequence[bytes] = (),
    session: str | None = None,
    checkpoints: Checkpoints | None = None,
    signatures: Signatures = AT_ONCE,
) -> Report:
    """The report on what is at `path`, whichever of the three it is. `signatures` checks those of our receipts.

    Raises:
        UsageError, UnreadableError: a demand that has no meaning there, or nothing that could be read.
        OSError: it can not be read.
    """
    if unknown := wanted.keys() - set(expect.EXPECTABLE):
        raise UsageError(f"nothing to expect of {', '.join(sorted(unknown))}")
    if files.is_directory(path):
        if endorsements or session is not None:
            raise UsageError("endorsements and sessions are for recorder files, not for packets")
        return _directory(path, pins, require, wanted, checkpoints, signatures)
    if wrong := wanted.keys() - set(expect.OF_A_CHAIN):
        raise UsageError(f"expect {', '.join(sorted(wrong))}: a packet alone has that")
    if path.endswith(".json"):
        if checkpoints is not None:
            raise UsageError("checkpoints are of records, not of one receipt")
        return bare.single(files.contents(path, files.SMALL_BYTES), pins, require, wanted)
    with files.stream(path, bare.MAX_LINE_BYTES) as source:
        return bare.verify(
            source, pins, require, wanted, endorsements, session, checkpoints=checkpoints
        )


def told(texts: Sequence[tuple[str, bytes]]) -> Checkpoints | None:
    """What `texts` (name for messages, bytes) hold of checkpoints; None for no texts.

    Raises:
        UsageError: one holds none.
    """
    try:
        return Checkpoints(texts) if texts else None
    except NoCheckpointError as error:
        raise UsageError(str(error)) from error


def _directory(
    path: str,
    pins: Sequence[bytes],
    require: Sequence[Level],
    wanted: Mapping[str, str],
    checkpoints: Checkpoints | None,
    signatures: Signatures,
) -> Report:
    with files.packet(path) as found:
        evidence, claimed = found["evidence.jsonl"], found.get("packet.json")
        if isinstance(claimed, bytes) and not foreign.OURS & found.keys():
            return foreign.verify(evidence, claimed, pins, require, wanted)
        pages, unknown = {n: found[n] for n in PAGES.keys() & found.keys()}, files.unknown(path)
        report = packet.verify(
            found, pins, require, wanted, checkpoints=checkpoints, signatures=signatures
        )
    if report.outcome == packet.INVALID:
        return report
    if unknown:
        return packet.refused(f"{unknown[0]!a} is no file of a packet")
    for name in sorted(pages):
        if claimed is None or pages[name] != PAGES[name](report).encode():
            return packet.refused(f"{name} says other things than the record")
    return report


def key(given: bytes | str) -> bytes:
    """The 32 bytes of the public key in `given`: raw, 64 hex digits, a key file's text, or the path of one.

    Raises:
        UsageError: the file can not be read, or is no text.
        KeyTextError: it is no public key.
    """
    if isinstance(given, bytes):
        if len(given) != texts.SEED_BYTES:
            raise UsageError(f"a raw public key has {texts.SEED_BYTES} bytes, not {len(given)}")
        return given
    if _is_text(given):
        return texts.read_public(given)
    if not files.can_be_named(given):
        raise UsageError(f"want a public key or the path of one, got {given!a:.80}")
    try:
        return texts.read_public(files.head(given, KEY_BYTES).decode("ascii"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{given}: not a key text") from error


def _is_text(given: str) -> bool:
    return "\n" in given or (len(given) == 64 and not set(given) - set(string.hexdigits))


def why(report: Report, require: Sequence[Level]) -> str:
    """The first reason for an outcome that is not VALID."""
    for one in (Level.INTACT, *require):
        reached, reason = report.reached[one]
        if not reached:
            return f"{one.value}: {reason}"
    return expect.unmet(report.expectations)


def level(name: Level | str) -> Level:
    """The level of that name, in either case.

    Raises:
        UsageError: there is none.
    """
    try:
        return name if isinstance(name, Level) else Level(name.strip().upper())
    except ValueError as error:
        known = ", ".join(one.value for one in Level)
        raise UsageError(f"{name} is no level: they are {known}") from error
