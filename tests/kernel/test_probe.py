"""The probe inside a real boundary: sluicegate.boundary.probe."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sluicegate.boundary import probe
from tests.conftest import Run, Tier
from tests.world import ROOT, USER


def test_the_posture_is_what_was_tried(tier: Tier) -> None:
    done = tier.run(["true"])
    assert done.code == 0, done.err
    opened = done.boundary()["open"]
    found, posture = opened["probe"], opened["posture"]
    assert found["holes"] == []
    assert opened["holes_ignored"] is False
    outcomes = found["outcomes"]
    assert len(outcomes) > 40
    assert {outcomes[f"socket {kind}"] for kind in ("raw", "packet", "vsock")} <= {
        "EPERM",
        "EAFNOSUPPORT",
    }
    assert outcomes["uid"] == str(opened["identity"]["uid"])
    # The probe's own traffic: taken out of the boundary's sockets, so that it is not the command's.
    assert {"tcp 192.0.2.1 443", "dns 2001:db8::53 53", "log"} <= set(found["captured"])
    assert "0 connections allowed, 0 denied\n" in done.err
    assert [flow["kind"] for flow in done.flows()] == ["boundary"]
    assert posture["raw_socket_status"] == "denied"
    assert posture["dns_udp_status"] == "proxied"
    told = json.loads((done.packet / "packet.json").read_text())["posture"]
    assert told["raw_socket_status"] == "denied"


def test_what_is_hidden_from_the_command_was_tried_too(tier: Tier) -> None:
    secret = tier.work.parent / "credential"
    secret.write_text("s3cret")
    done = tier.run(["true"], env={"GOOGLE_APPLICATION_CREDENTIALS": str(secret)})
    assert done.code == 0, done.err
    assert done.boundary()["open"]["probe"]["outcomes"]["read hidden"] == "none readable"


BREAK = """
import os, sys
sys.path.insert(0, os.environ["SOURCE"])
from sluicegate.boundary import {module}
{how}
from sluicegate.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
BROKEN = {
    "no filter": ("privilege", "privilege.install_filter = lambda program: None", "socket families: "),
    "an accepting rule": (
        "rules",
        "old = rules.ruleset; rules.ruleset = lambda: old().replace('log group', 'accept\\n    log group')",
        "udp 192.0.2.1 443 is not refused",
    ),
    "no capture": (
        "rules",
        "old = rules.ruleset; rules.ruleset = lambda: old().replace('meta l4proto tcp tproxy', '#')",
        "did not arrive at the gate",
    ),
}  # fmt: skip


def broken(tier: Tier, name: str, *options: str) -> Run:
    """A run of `touch ran` by a program that first breaks one layer of the wall, and is sluicegate otherwise."""
    module, how, _ = BROKEN[name]
    argv, packet = tier.argv(["touch", "ran"], "version: 1\n", *options)
    argv = [sys.executable, "-c", BREAK.format(module=module, how=how), *argv[3:]]
    env = {"SOURCE": str(ROOT / "src")}
    done = tier.world.run(argv, user=tier.user, cwd=tier.work, env=env)
    return Run(done.code, done.out, done.err, packet)


@pytest.mark.parametrize("name", BROKEN)
def test_a_control_that_is_broken_on_purpose_stops_the_run(tier: Tier, name: str) -> None:
    done = broken(tier, name)
    assert done.code == 125, done.err
    assert BROKEN[name][2] in done.err
    assert not (tier.work / "ran").exists()
    assert not done.packet.exists()


@pytest.mark.parametrize("name", BROKEN)
def test_a_hole_that_is_ignored_is_said_wherever_the_run_is_told_of(tier: Tier, name: str) -> None:
    hole = BROKEN[name][2]
    done = broken(tier, name, "--unsafe-ignore-holes")
    assert done.code == 0, done.err
    assert (tier.work / "ran").exists()
    opened = done.boundary()["open"]
    assert opened["holes_ignored"] is True
    assert any(hole in one for one in opened["probe"]["holes"])
    assert "failed" in opened["probe"]["results"].values()
    posture = json.loads((done.packet / "packet.json").read_text())["posture"]
    assert posture["browser_proxy_status"] == "advisory"
    assert posture["unsupported_paths"]
    assert "boundary had holes that the caller chose to ignore: " in (
        done.packet / "summary.md"
    ).read_text().replace("\\", "")
    seen = tier.verify(done, "--key", opened_key(done))
    assert "reservation: the boundary had holes that the caller chose to ignore: " in seen.out
    assert hole in seen.out
    told = json.loads(tier.verify(done, "--json").out)
    assert len(told["reservations"]) == 1


def opened_key(run: Run) -> str:
    """The signer of the run's packet, as packet.json has it."""
    key = json.loads((run.packet / "packet.json").read_text())["verifier"]["signer_key"]
    assert isinstance(key, str)
    return key


def test_the_probe_finds_what_can_be_reached(tmp_path: Path) -> None:
    """Without a boundary around it nearly every way is open, and it says so."""
    secret, agent = tmp_path / "key", str(tmp_path / "agent.sock")
    secret.write_text("s")
    name = f"sluicegate-test-{os.getpid()}"
    with (
        socket.socket() as tcp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told,
    ):
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        unix.bind(f"\0{name}")
        unix.listen()
        told.bind(agent)
        aims = probe.Aims(
            (f"@{name}", agent, "@sluicegate-none"),
            (str(secret),),
            str(tmp_path),
            str(secret),
            tcp.getsockname()[1],
            name,
        )
        found = {
            **probe._host_sockets(aims, {"SSH_AUTH_SOCK": agent, "PATH": "/usr/bin:/bin"}),
            **probe._files(aims),
            "host loopback": probe.tried(probe._connect, "127.0.0.1", aims.port),
        }
    assert found["host sockets"] == " ".join(sorted((f"@{name}", agent)))
    assert found["host sockets tried"] == "3 of 3"
    assert found["environment sockets"] == agent
    assert found["host abstract socket"] == found["host loopback"] == probe.OPEN
    assert found["read key"] == found["write evidence"] == probe.OPEN
    assert found["read hidden"] == str(secret)


def test_a_set_id_program_that_gains_an_identity_is_seen() -> None:
    """As a user without no_new_privs: what the probe starts is root then."""
    code = "from sluicegate.boundary import probe; print(probe._ran_as(probe._start_set_id()))"
    argv = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    env = {"PYTHONPATH": str(ROOT / "src")}
    plain = [*argv, sys.executable, "-c", code]
    said = subprocess.run(plain, capture_output=True, text=True, check=True, env=env).stdout
    assert " ran as 0 " in said
    bound = [*argv, "--no-new-privs", sys.executable, "-c", code]
    said = subprocess.run(bound, capture_output=True, text=True, check=True, env=env).stdout
    assert said == f"{probe.SAME}\n"


def test_the_signing_key_was_tried(tier: Tier) -> None:
    made = tier.sluicegate("keygen", str(tier.work / "release"))
    assert made.code == 0, made.err
    key = tier.work.parent / "release.key"
    (tier.work / "release.key").rename(key)
    done = tier.run(["true"], "version: 1\n", "--key", str(key))
    assert done.code == 0, done.err
    outcomes = done.boundary()["open"]["probe"]["outcomes"]
    assert outcomes["read key"] not in {probe.OPEN, "no file"}
