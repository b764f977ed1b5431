"""What is fuzzed: each target takes any bytes, and raises only if an invariant does not hold.

The invariant of every target: the bytes are understood, or refused with the room's own error; and nothing that was
changed is taken for what was signed.
"""

from __future__ import annotations

import contextlib
import functools
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sluicegate import jcs
from sluicegate.evidence import keys, note, packet, seal
from sluicegate.verify import bare, endorsement, notes, proof, strict
from sluicegate.verify import packet as check
from sluicegate.verify import seal as seals
from sluicegate.verify.packet import UNTRUSTED, VALID, Level
from sluicegate.verify.strict import VerificationError
from tests.evidence import made
from tests.fuzz import scripts
from tests.peers import second
from tests.vectors import recipes, runs
from tests.vectors.runs import Files

VECTORS = Path(__file__).parents[1] / "vectors"
PINS = [bytes.fromhex(key) for key in recipes.PUBLIC.values()]


class FindingError(Exception):
    """An invariant that does not hold."""


def hold(ok: object, what: str) -> None:
    if not ok:
        raise FindingError(what)


@functools.cache
def bases() -> dict[str, Files]:
    with tempfile.TemporaryDirectory() as place:
        return runs.bases(Path(place))


def _sound(files: Files, base: Files) -> bool:
    """Whether `files` are those of `base`, or what a killed run leaves of it."""
    if files == base:
        return True
    lines = files.get("evidence.jsonl", b"").rpartition(b"\n")[0]
    # Facts are written before their receipts: of a killed run some may be left that no receipt names.
    named = lines.count(b'"request_id"')
    facts, theirs = (some.get("flows.jsonl", b"").split(b"\n") for some in (files, base))
    whole = base["evidence.jsonl"].startswith(lines) and facts[:named] == theirs[:named]
    boundaries = {packet.boundary(made.OPENED, None), base["boundary.json"], None}
    kept = files.keys() <= {"evidence.jsonl", "flows.jsonl", "policy.json", "boundary.json"}
    same = files.get("policy.json") == base["policy.json"]
    return whole and same and kept and files.get("boundary.json") in boundaries


def packets(data: bytes) -> None:
    """A script of changes without a key: what is not refused is a packet of ours, or a clean cut of one."""
    files = scripts.changed(data, bases())
    report = check.verify(files, [made.PIN])
    if report.reached[Level.INTACT][0]:
        hold(any(_sound(files, base) for base in bases().values()), "changed and intact")
    if report.outcome in {VALID, UNTRUSTED}:
        hold(any(files == base for base in bases().values()), "changed and closed")


def cuts(data: bytes) -> None:
    """The same over what a killed run leaves."""
    at, rest = scripts.Script(data[:1]).number(12), data[1:]
    left = {name: second.prefix(base, at + 1) for name, base in bases().items()}
    files = scripts.changed(rest, left)
    report = check.verify(files, [made.PIN])
    hold(report.outcome != VALID, "a cut record is whole")
    if report.reached[Level.INTACT][0]:
        hold(any(_sound(files, base) for base in bases().values()), "changed and intact")


def signed(data: bytes) -> None:
    """A script of changes signed by the record's key: any outcome, but never an error of another kind."""
    script = scripts.Script(data)
    at = [script.number(13) for _ in range(1 + script.number(2))]
    files = dict(bases()["whole"])
    evidence = files["evidence.jsonl"].splitlines()

    def change(seq: int, found: dict[str, Any]) -> None:
        if seq in at:
            scripts.replaced(script, found)

    def later(seq: int, found: dict[str, Any]) -> None:
        if seq in at and script.number(2):
            scripts.replaced(script, found)

    try:
        files["evidence.jsonl"] = second.rebuilt(evidence, change, later)
        files = second.finished(files, bases()["whole"])
    except Exception:
        pass  # so broken that it can not even be signed: then as far as it came
    check.verify(files, [made.PIN])


def values(data: bytes) -> None:
    """`strict.value` and what other readers of JSON make of the same bytes agree, or it refuses."""
    try:
        found = strict.value(data, "it")
    except VerificationError:
        return
    hold(found == json.loads(data), "another reader reads something else")
    again = jcs.encode(found) if _ascii(found) else json.dumps(found).encode()  # type: ignore[arg-type]
    hold(strict.same(strict.value(again, "it"), found), "written again it is something else")


def _ascii(found: object) -> bool:
    if isinstance(found, dict):
        return all(name.isascii() and _ascii(item) for name, item in found.items())
    return all(map(_ascii, found)) if isinstance(found, list) else True


def heads(data: bytes) -> None:
    """Of a note's bytes only the signed text counts, and only the one that was signed is accepted."""
    base = bases()["whole"]["checkpoint"]
    given = scripts.bent(data[1:], base) if data[:1] < b"\x80" else data[1:]
    origin = base.partition(b"\n")[0].decode()
    try:
        head = notes.checkpoint(given, origin, [made.PIN], "it")
    except VerificationError:
        return
    text = note.write_body(note.Checkpoint(head.origin, head.size, head.root))
    hold(given.startswith(text.encode()) and base.startswith(text.encode()), "another head")


@functools.cache
def _proofs() -> tuple[bytes, ...]:
    base = bases()["whole"]
    evidence, flows = (base[name].splitlines() for name in ("evidence.jsonl", "flows.jsonl"))
    return tuple(proof.write(evidence, flows, base["checkpoint"], seq) for seq in range(11))


def proofs(data: bytes) -> None:
    """A proof that holds is of a receipt and facts of the record."""
    given = scripts.bent(data[2:], _proofs()[data[1] % 11] if len(data) > 1 else b"")
    given = data[1:] if data[:1] >= b"\x80" else given
    try:
        found = proof.read(given)
    except VerificationError:
        return
    if found.signer == made.PUBLIC:
        honest = proof.read(_proofs()[found.seq])
        hold((found.record, found.flow) == (honest.record, honest.flow), "another receipt")


def bundles(data: bytes) -> None:
    """A bundle that is accepted is the one that was written."""
    base = bases()["whole"][seal.SEAL]
    given = scripts.bent(data[1:], base) if data[:1] < b"\x80" else data[1:]
    try:
        seals.checked(given, made.PIN, seal.TRACE, _digests())
    except VerificationError:
        return
    hold(given == base, "another bundle")


@functools.cache
def _digests() -> Mapping[str, str]:
    base = bases()["whole"]
    files = {name: made.digest(data) for name, data in base.items() if name != seal.SEAL}
    return {name: digest.removeprefix("sha256:") for name, digest in files.items()}


FILES = (
    "clean-room-vector-1.jsonl",
    "pipelock/v3_2_0_live_chain.jsonl",
    "pipelock/valid-chain.jsonl",
)
SINGLE = ("pipelock/valid-single.json", "pipelock/valid-evidence-proxy-decision.json")
BARE = [
    *(
        bytes.fromhex(key)
        for key in (
            "4655a7e605c12ebb00a46037881c33c5bca5eb74b45a02e8e7261a7ff5a21678",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        )
    ),
]


@functools.cache
def _vectors(names: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple((VECTORS / name).read_bytes() for name in names)


def records(data: bytes) -> None:
    """Of a recorder file alone, what is intact is a beginning of a file that was recorded."""
    files = _vectors(FILES)
    given = (
        scripts.bent(data[1:], files[data[0] % len(files)])
        if data[:1] < b"\x80" and data
        else data[1:]
    )
    report = bare.verify(given, BARE)
    if report.reached[Level.INTACT][0]:
        lines = [line for line in given.rpartition(b"\n")[0].split(b"\n") if line.strip()]
        wholes = [file.splitlines() for file in files]
        same = any(_lines_equal(lines, whole[: len(lines)]) for whole in wholes)
        own = report.signer_key not in _signers()
        hold(same or own, "changed and intact")


@functools.cache
def _signers() -> frozenset[str]:
    return frozenset(bare.verify(data, BARE).signer_key for data in _vectors(FILES))


def _lines_equal(ours: list[bytes], theirs: list[bytes]) -> bool:
    return [json.loads(line) for line in ours] == [json.loads(line) for line in theirs]


def receipts(data: bytes) -> None:
    """Of one receipt alone, what is intact says what was signed."""
    files = _vectors(SINGLE)
    given = (
        scripts.bent(data[1:], files[data[0] % len(files)])
        if data[:1] < b"\x80" and data
        else data[1:]
    )
    report = bare.single(given, BARE)
    if report.reached[Level.INTACT][0] and report.reached[Level.PINNED][0]:
        hold(any(_said(given) == _said(file) for file in files), "changed and intact")


def _said(receipt: bytes) -> object:
    """What a receipt says; in its second version the name of the key is a label that nobody signs."""
    found = json.loads(receipt)
    if isinstance(found["signature"], dict):
        del found["signature"]["signer_key_id"]
    return found


def endorsements(data: bytes) -> None:
    """An endorsement that is accepted is the one that was signed."""
    (base,) = _vectors(("pipelock/g1-rotation-endorsement.json",))
    given = scripts.bent(data[1:], base) if data[:1] < b"\x80" else data[1:]
    try:
        found = endorsement.read(given)
    except VerificationError:
        return
    if found.boundary.prior_key == json.loads(base)["prior_signer_key"]:
        hold(json.loads(given) == json.loads(base), "another endorsement")


def key_texts(data: bytes) -> None:
    """A key's text is 32 bytes or an error that says why."""
    texts = (keys.write_public(made.PIN), keys.write_private(made.SEED), made.PUBLIC)
    how = data[0] if data else 0
    given = data[1:] if how >= 128 else scripts.bent(data[1:], texts[how % 3].encode())
    with contextlib.suppress(keys.KeyTextError):
        hold(len(keys.read_public(given.decode("ascii", "replace"))) == 32, "a key's size")
    with contextlib.suppress(keys.KeyTextError):
        hold(len(keys.read_private(bytearray(given))) == 32, "a seed's size")


# Whoever signs with the record's key makes other things that are accepted: no seeds for those who have no key.
SIGNING = {"sign", "finish", "reseal", "statement", "sign note"}
TARGETS: dict[str, Callable[[bytes], None]] = {
    "packets": packets,
    "cuts": cuts,
    "signed": signed,
    "values": values,
    "heads": heads,
    "proofs": proofs,
    "bundles": bundles,
    "records": records,
    "receipts": receipts,
    "endorsements": endorsements,
    "keys": key_texts,
}


def seeds(target: str) -> list[bytes]:
    """Where the search begins: what this target reads of the corpus, or short scripts."""
    names = {
        "heads": ["checkpoint"],
        "bundles": [seal.SEAL],
        "values": ["evidence.jsonl", "boundary.json", seal.SEAL],
    }
    found = []
    for one in recipes.recipes():
        if SIGNING & {edit["do"] for edit in one.edits}:
            continue
        files = recipes.cooked(one, bases())
        for name in names.get(target, []):
            found += [
                b"\x80" * (target != "values") + part for part in _parts(files.get(name, b""))
            ]
    if target == "proofs":
        found += [b"\x80" + data for data in _proofs()]
    if target in {"records", "receipts"}:
        found += [b"\x80" + data for data in _vectors(FILES if target == "records" else SINGLE)]
    scripts_ = [
        bytes([edit, n, n * 7 % 256, n * 13 % 256, n]) for edit in range(10) for n in range(8)
    ]
    return sorted({*found, *scripts_})


def _parts(data: bytes) -> list[bytes]:
    lines = data.splitlines() if data.startswith(b'{"v"') else [data]
    return [line for line in lines if len(line) < 8192]
