"""Reports of real runs, in both tiers: `sluicegate.cli.report` and `sluicegate.cli.reportfiles` as a job calls them."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Tier
from tests.report.dom import read

ROOT = Path(__file__).parent.parent.parent
# A denial, a packet that nobody speaks for, a path that would be a command of a runner, and a hook.
COMMAND = r"""
import os, socket
def tried(port, sent=b""):
    try:
        with socket.create_connection(("192.0.2.77", port), 10) as made:
            made.sendall(sent)
            made.recv(1000)
    except OSError:
        pass
tried(443)
tried(80, b"GET /%0A::error::x/<script>alert(1)</script>|`## HTTP/1.1\r\nHost: x.example\r\n\r\n")
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.77", 443))
except OSError:
    pass
os.mkdir(".husky")
open(".husky/<img src=x>", "w").close()
"""


def test_a_run_is_told_in_every_form(tier: Tier) -> None:
    done = tier.python(COMMAND)
    assert done.code == 0, done.err
    out = tier.work.parent
    names = ("summary", "html", "sarif", "junit", "ocsf", "ecs", "json")
    words = [word for name in names for word in (f"--{name}", str(out / f"report.{name}"))]
    said = tier.sluicegate("report", str(done.packet), *words, "--annotations")
    assert said.code == 0, said.err
    found = json.loads((out / "report.json").read_text())
    assert (found["state"], found["total"]["denied"]) == ("consistent", 2)
    where = {one["where"] for one in found["denials"]}
    assert where == {"192.0.2.77:443", "192.0.2.77:80"}
    assert [one["path"] for one in found["workspace"]["to_look_at"]][1] == ".husky/<img src=x>"
    assert all(one["program"].startswith("/usr/bin/python3") for one in found["programs"])
    for name in ("ocsf", "ecs"):
        lines = (out / f"report.{name}").read_text().splitlines()
        assert len([json.loads(line) for line in lines]) == 3
    assert "### Denied" in (out / "report.summary").read_text()
    assert all(line.startswith(("::warning ", "::notice ")) for line in said.out.splitlines())
    # The packet is as it was: nothing was written into it.
    assert tier.verify(done, "--require", "INTACT,CLOSED,ACCOUNTED").code == 0


@pytest.mark.skipif(shutil.which("node") is None, reason="an optional client: no node")
def test_the_page_carries_the_packet(tier: Tier, tmp_path: Path) -> None:
    """What is in it, taken out again, is the packet, and the verifier in it says so."""
    done = tier.python(COMMAND)
    page = tier.work.parent / "report.html"
    assert tier.sluicegate("report", str(done.packet), "--html", str(page)).code == 0
    [html] = read(page.read_text().removeprefix("<!doctype html>\n"))
    directory = tmp_path / "packet"
    directory.mkdir()
    *blocks, verifier, _ = html.find("script")
    for block in blocks:
        (directory / block.attributes["data-name"]).write_bytes(base64.b64decode(block.text))
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == {
        path.name: path.read_bytes() for path in done.packet.iterdir()
    }
    script = tmp_path / "verify.js"
    script.write_text(verifier.text)
    argv = ["node", str(script), str(directory), "--json"]
    said = json.loads(subprocess.run(argv, capture_output=True, check=False, timeout=60).stdout)
    assert [said["levels"][name]["reached"] for name in ("INTACT", "CLOSED", "ACCOUNTED")] == [
        True
    ] * 3
