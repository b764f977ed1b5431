"""What a run says of the workspace, and outputs for later steps, in both tiers.

By the processes of sluicegate.cli.scribe and sluicegate.cli.processes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sluicegate.verify.library import verify
from tests.conftest import Run, Tier
from tests.kernel.test_run import descendants
from tests.kernel.test_watch import titled

CHANGED = r"""
echo new >new; chmod +x run; rm old; echo more >>deep/file; ln -s /etc/passwd out; mkfifo pipe
mkdir -p .husky; printf '#!/bin/sh\n' >.husky/pre-commit; printf '{}' >package.json
: >"$(printf 'odd\033[31m\n::set-output name=a::b\n%%\377')"
python3 -c 'import mmap; f = open("mapped", "r+b"); m = mmap.mmap(f.fileno(), 0); m[0] = 88'
touch -d @0 deep/file
"""
# EXT4_IOC_MOVE_EXT, which changes what is in the other file and sets none of its times.
EXCHANGE = """
import fcntl, os, struct
mine, other = os.open("run", os.O_RDWR), os.open("old", os.O_RDWR)
try:
    fcntl.ioctl(mine, 0xC028660F, struct.pack("<IIQQQQ", 0, other, 0, 0, 1, 0))
except PermissionError:
    print("refused")
"""


def manifest(run: Run) -> dict[str, Any]:
    found = json.loads((run.packet / "workspace.json").read_text())
    assert isinstance(found, dict)
    return found


def furnish(tier: Tier) -> None:
    (tier.work / "deep").mkdir()
    for name in ("run", "old", "deep/file", "mapped", "same"):
        (tier.work / name).write_text(f"{name}\n")
    for path in (tier.work, *tier.work.rglob("*")):
        os.chown(path, tier.work.stat().st_uid, tier.work.stat().st_gid)


def test_every_change_is_in_the_packet_and_on_its_page(tier: Tier) -> None:
    furnish(tier)
    done = tier.run(["sh", "-ec", CHANGED])
    assert done.code == 0, done.err
    found = manifest(done)
    odd = "odd%1B[31m%0A::set-output name=a::b%0A%25%FF"
    assert {c["path"]: (c["change"], *c["flags"]) for c in found["changes"]} == {
        ".husky": ("added", "hook"),
        ".husky/pre-commit": ("added", "hook"),
        "deep/file": ("modified",),
        "mapped": ("modified",),
        "new": ("added",),
        odd: ("added",),
        "old": ("deleted",),
        "out": ("added", "link-out"),
        "package.json": ("added", "script"),
        "pipe": ("added", "special"),
        "run": ("mode", "executable"),
    }
    assert "changed what later steps execute: .husky, .husky/pre-commit\n" in done.err
    page = (done.packet / "summary.md").read_text()
    assert "workspace: 7 added, 2 modified, 1 deleted, 1 of another mode" in page
    assert "- added `.husky/pre-commit` (hook)" in page
    verified = verify(str(done.packet), [_key(done)])
    assert verified.workspace == found


def test_no_file_changes_without_a_time_that_says_so(tier: Tier) -> None:
    furnish(tier)
    for name in ("run", "old"):
        with (tier.work / name).open("r+") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    done = tier.run(["python3", "-c", EXCHANGE])
    assert (done.out, manifest(done)["changes"]) == ("refused\n", [])
    assert (tier.work / "old").read_text() == "old\n"


def test_nothing_changed_and_the_packet_within_the_workspace_is_no_change(tier: Tier) -> None:
    furnish(tier)
    argv, _ = tier.argv(["true"], "version: 1\n")
    packet = tier.work / "packet"
    argv[argv.index("--packet") + 1] = str(packet)
    done = tier.world.run(argv, user=tier.user, cwd=tier.work)
    assert done.code == 0, done.err
    found = manifest(Run(0, "", "", packet))
    # With what stands for a policy while the run lasts.
    assert (found["changes"], found["trees"][0]["entries"]) == ([], 7)


def test_bound_directories_are_covered_too(tier: Tier) -> None:
    other = tier.work.parent / "other"
    other.mkdir()
    os.chown(other, tier.work.stat().st_uid, tier.work.stat().st_gid)
    done = tier.run(["touch", str(other / "x")], "version: 1\n", "--bind", str(other))
    found = manifest(done)
    assert [tree["path"] for tree in found["trees"]] == [str(tier.work), str(other)]
    assert [(c["tree"], c["path"]) for c in found["changes"]] == [(1, "x")]


def test_a_place_that_can_not_be_read_is_said(tier: Tier) -> None:
    done = tier.run(["sh", "-c", "mkdir dark; echo x >dark/x; chmod 0 dark"])
    found = manifest(done)
    dark = [{"path": "dark", "tree": 0}] if tier.user else []
    assert found["unread"] == {"count": len(dark), "places": dark}
    assert [c["path"] for c in found["changes"]] == ["dark", *([] if dark else ["dark/x"])]
    (tier.work / "dark").chmod(0o700)


POLICY = "version: 1\nagent: {outputs: [result, lines]}\n"


def _real(tier: Tier) -> Path:
    real = tier.work.parent / "set_output"
    real.write_text("before=1\n")
    os.chown(real, tier.work.stat().st_uid, tier.work.stat().st_gid)
    return real


def test_granted_outputs_are_handed_on_and_others_are_not(tier: Tier) -> None:
    real = _real(tier)
    script = """
    printf 'result=ok\\nlines<<E\\na\\nb\\nE\\nother=1\\n' >>$GITHUB_OUTPUT
    printf 'result<<ghadelimiter_1\\n1\\nghadelimiter_1\\nevil=1\\n' >>$GITHUB_OUTPUT
    mv $GITHUB_OUTPUT x; rm $GITHUB_OUTPUT; ln -sf /etc/passwd $GITHUB_OUTPUT; ln $GITHUB_OUTPUT hard
    cat "$1"; echo evil=2 >>"$1"; :
    """
    done = tier.run(["sh", "-c", script, "sh", str(real)], POLICY, env={"GITHUB_OUTPUT": str(real)})
    assert done.code == 0, done.err
    before, *rest = real.read_text().splitlines()
    names = [line.partition("<<")[0] for line in rest if "<<" in line]
    assert (before, names, len(rest)) == ("before=1", ["lines", "result"], 7)
    assert "before" not in done.out
    assert "output other is not handed on: not granted by every policy" in done.err
    outputs = manifest(done)["outputs"]
    assert [one["name"] for one in outputs["given"]] == ["lines", "result"]
    assert [one["name"] for one in outputs["refused"]] == ["other", "evil"]
    assert "outputs handed on: lines, result" in (done.packet / "summary.md").read_text()


def test_a_line_that_the_step_did_not_end_is_none_of_ours(tier: Tier) -> None:
    real = _real(tier)
    real.write_text("before=1")
    argv = ["sh", "-c", "printf 'lines<<E\\nevil=1\\nE\\n' >>$GITHUB_OUTPUT"]
    done = tier.run(argv, POLICY, env={"GITHUB_OUTPUT": str(real)})
    assert done.code == 0, done.err
    before, ours, value, _ = real.read_text().splitlines()
    assert (before, ours[:7], value) == ("before=1", "lines<<", "evil=1")


def test_without_a_grant_there_is_no_file(tier: Tier) -> None:
    real = _real(tier)
    done = tier.run(["sh", "-c", "echo ${GITHUB_OUTPUT-none}"], env={"GITHUB_OUTPUT": str(real)})
    assert done.out == "none\n"
    assert "outputs" not in manifest(done)
    assert real.read_text() == "before=1\n"


def test_a_scribe_that_dies_ends_the_run_as_evidence_failure(tier: Tier) -> None:
    argv, packet = tier.argv(["sh", "-c", "echo up; read x"], "version: 1\n")
    process = tier.world.popen(argv, user=tier.user, cwd=tier.work)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    os.kill(titled(process.pid, "scribe"), 9)
    _, err = process.communicate("x\n", timeout=60)
    assert process.returncode == 120, err
    assert "the scribe" in err
    assert not (packet / "packet.json").exists()
    assert not descendants(process.pid)


def _key(run: Run) -> str:
    return str(json.loads((run.packet / "packet.json").read_text())["verifier"]["signer_key"])
