"""Checkpoints of real runs in both tiers: told while the record grows, and what a later cut or rewrite comes to."""

from __future__ import annotations

import functools
import json
import re
import stat
from pathlib import Path

import pytest

from sluicegate.evidence import keys, note, packet, tree
from tests.conftest import Run, Tier
from tests.peers import second
from tests.world import USER

LINE = re.compile(r"sluicegate: checkpoint (sluicegate/run/[0-9a-f]{32}) (\d+) \S+ \S+\n")
# Each line it reads is one denied connection; it says so when the client is gone.
TALK = 'while read -r x; do curl -s -o /dev/null http://denied.test/; echo "$x"; done'
Heads = list[tuple[str, int]]


def spoken(tier: Tier, rounds: int, *options: str) -> tuple[Run, str, Heads]:
    """A run in which the record grew and a checkpoint of it was printed so many times, and all its stderr."""
    command = ["bash", "-c", TALK]
    argv, out = tier.argv(command, "version: 1\n", "--checkpoint-seconds", "1", *options)
    process = tier.world.popen(argv, user=tier.user, cwd=tier.work)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    err = process.stderr.readline()
    heads = [head(err)]
    for number in range(rounds):
        process.stdin.write(f"{number}\n")
        process.stdin.flush()
        assert process.stdout.readline() == f"{number}\n"
        # What was denied may be on record some moments later, in one checkpoint or in two.
        line = process.stderr.readline()
        if line.startswith("sluicegate: denied "):
            err, line = err + line, process.stderr.readline()  # the first one is told as well
        heads.append(head(line))
        err += line
    rest_out, rest_err = process.communicate(timeout=120)
    err += rest_err
    heads += [(match[1], int(match[2])) for match in LINE.finditer(rest_err)]
    return Run(process.returncode, rest_out, err, out), err, heads


def head(line: str) -> tuple[str, int]:
    match = LINE.fullmatch(line)
    assert match, line
    return match[1], int(match[2])


@pytest.fixture
def given(tier: Tier) -> tuple[Path, str]:
    """A key file, and the digits of its public half."""
    pair = tier.work.parent / "release"
    assert tier.sluicegate("keygen", str(pair)).code == 0
    public = keys.read_public(pair.with_suffix(".pub").read_text()).hex()
    return pair.with_suffix(".key"), public


def test_they_are_told_while_the_record_grows(tier: Tier) -> None:
    place = tier.work.parent / "told"
    done, err, heads = spoken(tier, 2, "--checkpoint-file", str(place))
    assert done.code == 0, err
    lines = (done.packet / "evidence.jsonl").read_bytes().splitlines()
    sizes = [size for _, size in heads]
    assert sizes[0] == 1
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == len(lines)
    assert len(heads) >= 4
    assert len({origin for origin, _ in heads}) == 1
    # The file has the same, as notes, and the last is the packet's own.
    printed = [match[0].split()[2:] for match in LINE.finditer(err)]
    notes = [note.from_line(*words) for words in printed]
    assert place.read_bytes() == b"".join(notes)
    assert notes[-1] == (done.packet / "checkpoint").read_bytes()
    for data, size in zip(notes, sizes, strict=True):
        root = tree.root(functools.reduce(tree.grown, lines[:size], tree.EMPTY))
        assert note.read_body(note.read(data).text).root == root
    status = place.stat()
    assert stat.S_IMODE(status.st_mode) == 0o644
    assert status.st_uid == (0 if tier.user is None else USER)
    log = tier.work.parent / "log"
    log.write_text(re.sub("^", "2026-01-02T03:04:05.0Z ", err, flags=re.MULTILINE))
    signer = json.loads((done.packet / "packet.json").read_text())["verifier"]["signer_key"]
    checked = tier.verify(
        done, "--key", signer, "--checkpoint", str(log), "--checkpoint", str(place)
    )
    assert checked.code == 0, checked.out + checked.err


def test_a_packet_that_was_cut_or_rewritten_is_refused(tier: Tier, given: tuple[Path, str]) -> None:
    key, public = given
    done, err, heads = spoken(tier, 2, "--key", str(key))
    assert done.code == 0, err
    log = tier.work.parent / "log"
    log.write_text(err)
    told = ("--checkpoint", str(log))
    assert tier.verify(done, "--key", public, *told).code == 0
    files = {file.name: file.read_bytes() for file in done.packet.iterdir()}
    lines = files["evidence.jsonl"].splitlines(keepends=True)
    seed = bytes(keys.read_private(key.read_text()))

    cut = stored(done, "cut", prefix(files, heads[1][1]))
    assert tier.verify(cut, "--key", public).code == 3
    refused = tier.verify(cut, "--key", public, *told)
    assert refused.code == 1
    assert "the record was cut: it had" in refused.out

    # The key's holder takes the second receipt back and signs all from there anew, so that nothing but the log knows.
    at = json.loads(lines[0])["detail"]["action_record"]["timestamp"]
    forged = prefix(files, heads[1][1])
    changed = second.rebuilt(
        [line.rstrip(b"\n") for line in lines[: heads[1][1]]],
        second.put(1, timestamp=at),
        seed=seed,
    )
    rewritten = stored(done, "rewritten", forged | {"evidence.jsonl": changed})
    assert tier.verify(rewritten, "--key", public).code == 3
    refused = tier.verify(rewritten, "--key", public, *told)
    assert refused.code == 1
    assert f"its first {heads[1][1]} lines were others" in refused.out


def prefix(files: dict[str, bytes], count: int) -> dict[str, bytes]:
    lines = files["evidence.jsonl"].splitlines(keepends=True)[:count]
    opened = json.loads(files["boundary.json"])["open"]
    left = {name: data for name, data in files.items() if name not in second.FINISHED}
    return left | {
        "evidence.jsonl": b"".join(lines),
        "boundary.json": packet.boundary(opened, None),
    }


def stored(done: Run, name: str, files: dict[str, bytes]) -> Run:
    place = done.packet.with_name(f"{done.packet.name}-{name}")
    place.mkdir()
    for file, data in files.items():
        (place / file).write_bytes(data)
    return Run(0, "", "", place)


def test_checkpoints_of_another_run(tier: Tier) -> None:
    one, other = tier.run(["true"]), tier.run(["true"])
    log = tier.work.parent / "log"
    log.write_text(other.err)
    refused = tier.verify(one, "--checkpoint", str(log))
    assert refused.code == 1
    assert "not of this record's sluicegate/run/" in refused.out
    log.write_text(one.err + other.err)
    for run in (one, other):
        assert tier.verify(run, "--checkpoint", str(log)).code == 4


def test_the_first_and_the_last_are_always_told_unless_quiet(tier: Tier) -> None:
    place = tier.work.parent / "told"
    done = tier.run(["true"], "version: 1\n", "--quiet", "--checkpoint-file", str(place))
    assert (done.code, done.err) == (0, "")
    assert place.read_text().count("\n\u2014 ") == 2
    done = tier.run(["true"])
    assert [int(match[2]) for match in LINE.finditer(done.err)] == [1, 5]


def test_the_command_neither_sees_nor_writes_the_file(tier: Tier) -> None:
    place = tier.work.parent / "told"
    script = f"cat {place}; echo x >>{place}; rm -f {place}; mv {place} {tier.work}/x; true"
    done = tier.run(["sh", "-c", script], "version: 1\n", "--checkpoint-file", str(place))
    assert done.code == 0
    assert done.out == ""
    log = note_origins(place)
    assert len(log) == 2
    for name in ("work/told", "packet-{}/told", "packet-{}"):
        inside = tier.work.parent / name.format(tier.count + 1)
        refused = tier.run(["true"], "version: 1\n", "--checkpoint-file", str(inside))
        assert refused.code == 125
        assert "lies in the packet, or where the command writes" in refused.err
        assert not inside.exists()
    again = tier.run(["true"], "version: 1\n", "--checkpoint-file", str(place))
    assert again.code == 125
    assert "exists" in again.err
    assert note_origins(place) == log


def note_origins(place: Path) -> list[str]:
    return [line for line in place.read_text().splitlines() if line.startswith("sluicegate/run/")]


def test_a_run_that_never_began_leaves_no_file(tier: Tier) -> None:
    place = tier.work.parent / "told"
    done = tier.run(["true"], "version: 1\nallow: 3\n", "--checkpoint-file", str(place))
    assert done.code == 125
    assert not place.exists()
