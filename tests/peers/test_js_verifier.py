"""The second verifier, in JavaScript, and the first one say the same of every packet, good or bad."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluicegate.evidence import (
    keys,
    packet,
    seal,
)
from sluicegate.verify import packet as check
from sluicegate.verify.packet import INVALID, UNPROVEN, UNTRUSTED, USAGE, VALID
from tests.conftest import Tier
from tests.evidence import made
from tests.peers.second import (
    FINISHED,
    OTHER,
    VERIFIER,
    Case,
    Files,
    agree,
    node,
    prefix,
    resealed,
)
from tests.verify.test_tampering import EDITS


def edits(files: Files, label: str) -> Iterator[Case]:
    for edit, change in EDITS.items():
        for name, data in files.items():
            if (changed := change(data)) != data:
                yield Case(f"{label}: {edit} of {name}", files | {name: changed})


def test_honest_packets(files: Files, other: Files, many: Files, tmp_path: Path) -> None:
    cases = [
        Case("pinned", files),
        Case("one of two pins", files, (OTHER, made.PUBLIC)),
        Case("no pin", files, ()),
        Case("another pin", files, (OTHER,)),
        Case("another signer", other),
        Case("many flows", many),
        Case("a prefix", prefix(files, 5)),
        Case("a prefix of another signer", prefix(other, 5)),
    ]
    wanted = [VALID, VALID, UNTRUSTED, UNTRUSTED, UNTRUSTED, VALID, UNPROVEN, UNPROVEN]
    assert agree(cases, tmp_path) == wanted


def test_every_edit_of_every_file(files: Files, tmp_path: Path) -> None:
    assert set(agree(list(edits(files, "whole")), tmp_path)) <= {INVALID, UNPROVEN}


def test_every_edit_of_a_prefix(files: Files, tmp_path: Path) -> None:
    cases = list(edits(prefix(files, 6), "prefix"))
    assert set(agree(cases, tmp_path)) == {INVALID, UNPROVEN}


def test_changed_bytes(files: Files, tmp_path: Path) -> None:
    cases = [
        Case(f"{name} at {at}", files | {name: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]})
        for name, data in files.items()
        for at in [*range(0, len(data), 61), len(data) - 1]
    ]
    assert set(agree(cases, tmp_path)) <= {INVALID, UNPROVEN}


def test_files_that_are_missing_foreign_or_too_many(
    files: Files, other: Files, tmp_path: Path
) -> None:
    cases = [Case(f"foreign {n}", files | {n: other[n]}) for n in files if files[n] != other[n]]
    cases += [Case(f"extra {n}", files | {n: b"x"}) for n in ("report.html", "Packet.json", "a b")]
    cases.append(Case("extra in a prefix", prefix(files, 4) | {"x": b""}))
    for whole in (files, prefix(files, 4)):
        cases += [
            Case(f"{len(whole)} files without {n}", {o: d for o, d in whole.items() if o != n})
            for n in whole
            if n != "evidence.jsonl"  # a packet without it is not read at all: see the command
        ]
    cases += [Case(f"prefix with {n}", prefix(files, 4) | {n: files[n]}) for n in FINISHED]
    outcomes = dict(zip([c.name for c in cases], agree(cases, tmp_path), strict=True))
    left = {name for name, outcome in outcomes.items() if outcome != INVALID}
    assert left == {"4 files without boundary.json"}


def test_lines_cut_swapped_doubled_and_spliced(
    files: Files, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    again = made.files(tmp_path_factory.mktemp("again"), made.some())
    cases = []
    for name in made.NAMES:
        ours, theirs = (some[name].splitlines(keepends=True) for some in (files, again))
        for at in range(len(ours)):
            variants = {
                "cut": ours[:at],
                "torn": [*ours[:at], ours[at][:-9]],
                "dropped": [*ours[:at], *ours[at + 1 :]],
                "swapped": [*ours[:at], *reversed(ours[at : at + 2]), *ours[at + 2 :]],
                "doubled": [*ours[: at + 1], *ours[at:]],
                "spliced": [*ours[:at], theirs[at], *ours[at + 1 :]],
                "continued": [*ours[:at], *theirs[at:]],
            }
            for what, lines in variants.items():
                changed = b"".join(lines)
                if changed == files[name]:
                    continue
                cases.append(Case(f"{what} {name} {at}", files | {name: changed}))
                left = prefix(files, 6) | {name: changed}
                cases.append(Case(f"{what} {name} {at} of a prefix", left))
    assert set(agree(cases, tmp_path)) == {INVALID, UNPROVEN}


def test_ends_that_were_cut_off(files: Files, tmp_path: Path) -> None:
    whole = len(files["evidence.jsonl"].splitlines())
    cases = [Case(f"{kept} lines", prefix(files, kept)) for kept in range(whole + 1)]
    # Closed, but without root or checkpoint: only then does boundary.json have its second half.
    for kept in range(whole - 3, whole):
        closed = prefix(files, kept) | {"boundary.json": files["boundary.json"]}
        cases.append(Case(f"{kept} lines and the boundary", closed))
    outcomes = agree(cases, tmp_path)
    assert outcomes == [INVALID] + [UNPROVEN] * 8 + [INVALID] * 4 + [UNPROVEN] * 2


def test_the_words_of_the_page_are_compared_by_both(files: Files, tmp_path: Path) -> None:
    changed = files | {"summary.md": b"# all is well\n"}
    cases = [Case("sealed", resealed(changed)), Case("not sealed", changed)]
    assert agree(cases, tmp_path) == [INVALID, INVALID]


def test_the_commands_for_people_are_compared_by_both(files: Files, tmp_path: Path) -> None:
    page = files["VERIFY.md"]
    nonce = json.loads(files["evidence.jsonl"].splitlines()[0])["detail"]["action_record"][
        "run_nonce"
    ].encode()
    pages = {
        "another command": page.replace(b"sha256sum", b"true || sha256sum"),
        "another signer": page.replace(made.PUBLIC.encode(), b"0" * 64),
        "another run": page.replace(nonce, b"0" * 32),
        "not ASCII": page.replace(b"claims", "cl\u00e4ims".encode()),
        "a tail": page + b"\n",
        "empty": b"",
    }
    cases = [Case(name, resealed(files | {"VERIFY.md": data})) for name, data in pages.items()]
    cases.append(Case("the same", resealed(files)))
    assert agree(cases, tmp_path) == [INVALID] * len(pages) + [VALID]


def test_a_run_that_says_more_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, object] = {
        "commit": "c" * 40,
        "command": {"name": "curl", "args": 2, "argv_sha256": "0" * 64},
        **made.probed({"read hidden": 'caf\u00e9 \u2028 \x7f \x01 \U0001f511 "'}),
    }
    run = dict(made.CLOSED["run"])  # type: ignore[call-overload]
    run |= {"agent_identity": '\u00e9\x7f\U0001f511"\n', "key": "ephemeral", "agent_exit_code": -1}
    monkeypatch.setattr(made, "OPENED", made.OPENED | told)
    monkeypatch.setattr(made, "CLOSED", made.CLOSED | {"run": run})
    whole = made.files(tmp_path, made.some())
    assert json.loads(whole["packet.json"])["run"]["agent_identity"] == run["agent_identity"]
    statement = base64.b64decode(json.loads(whole[seal.SEAL])["dsseEnvelope"]["payload"])
    assert b'"gitCommit":"cccc' in statement
    (tmp_path / "work").mkdir()
    assert agree([Case("told", whole)], tmp_path / "work") == [VALID]


JOB = {
    "repository": "o/r",
    "run_id": "7",
    "run_attempt": "1",
    "sha": "c" * 40,
    "ref": "m",
    "workflow": "w",
}


@pytest.mark.parametrize(
    ("at_start", "at_close", "code"),
    [
        (JOB, JOB, VALID),
        ({}, {}, VALID),
        (JOB, JOB | {"sha": "d" * 40}, INVALID),
        (JOB, {}, INVALID),
        ({}, {"repository": "o/r"}, INVALID),
    ],
)
def test_the_job_of_a_run(
    at_start: dict[str, object],
    at_close: dict[str, object],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = dict(made.CLOSED["run"])  # type: ignore[call-overload]
    monkeypatch.setattr(made, "OPENED", made.OPENED | {"ci": at_start})
    monkeypatch.setattr(made, "CLOSED", made.CLOSED | {"run": run | at_close})
    with monkeypatch.context() as blind:
        blind.setattr(check, "_same_job", lambda *_: None)
        whole = made.files(tmp_path, made.some())
    (tmp_path / "work").mkdir()
    assert agree([Case("told", whole)], tmp_path / "work") == [code]


def test_the_command(files: Files, other: Files, tmp_path: Path) -> None:
    place, public = tmp_path / "packet", tmp_path / "release.pub"
    public.write_text(keys.write_public(made.PIN))
    place.mkdir()

    def run(whole: Files, *options: str | Path) -> tuple[int, str]:
        for old in place.iterdir():
            old.unlink()
        for name, data in whole.items():
            (place / name).write_bytes(data)
        code, out = node(VERIFIER, place, *options)
        return code, out.partition("\n")[0]

    assert run(files, "--key", made.PUBLIC) == (VALID, "verified (exit 0)")
    assert run(files, "--key", OTHER, f"--key={public}") == (VALID, "verified (exit 0)")
    assert run(other, "--key", public)[0] == UNTRUSTED
    code, said = run(prefix(files, 3), "--key", public, "--json")
    assert (code, json.loads(said)["outcome"]) == (UNPROVEN, UNPROVEN)
    assert run(files | {"x": b""}, "--key", public) == (INVALID, "INVALID (exit 1)")
    for whole, options in (
        ({n: d for n, d in files.items() if n != "evidence.jsonl"}, []),
        (files, ["--key", "release.pub"]),
        (files, ["--key"]),
        (files, ["--what"]),
    ):
        assert run(whole, *options) == (USAGE, "")
    (place / "flows.jsonl").unlink()
    (place / "flows.jsonl").symlink_to(place / "evidence.jsonl")
    assert node(VERIFIER, place) == (USAGE, "")


def test_real_runs(tier: Tier, tmp_path: Path) -> None:
    policy = "version: 1\nallow:\n  - host: allowed.test\n"
    script = "curl -sS http://allowed.test/a; curl -sS https://denied.test/; getent hosts x.test; :"
    done = tier.run(["sh", "-c", script], policy)
    whole = {path.name: path.read_bytes() for path in done.packet.iterdir()}
    key = json.loads(whole["packet.json"])["verifier"]["signer_key"]
    assert node(VERIFIER, done.packet, "--key", key)[0] == VALID
    assert node(VERIFIER, done.packet)[0] == UNTRUSTED
    first_half = whole["evidence.jsonl"][: len(whole["evidence.jsonl"]) // 2]
    boundary = packet.boundary(done.boundary()["open"], None)
    cut = {n: d for n, d in whole.items() if n not in FINISHED}
    cases = [
        Case("whole", whole, (key,)),
        Case("cut", cut | {"evidence.jsonl": first_half, "boundary.json": boundary}, (key,)),
        *(Case(case.name, case.files, (key,)) for case in edits(whole, tier.name)),
    ]
    outcomes = agree(cases, tmp_path)
    assert outcomes[:2] == [VALID, UNPROVEN]
    assert not set(outcomes[2:]) - {INVALID, UNPROVEN}
    assert check.verify(whole, [bytes.fromhex(key)]).outcome == VALID
