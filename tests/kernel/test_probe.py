"""The probe inside a real boundary: sluicegate.boundary.probe."""

from __future__ import annotations

import json

from tests.conftest import Tier


def test_the_posture_is_what_was_tried(tier: Tier) -> None:
    done = tier.run(["true"])
    assert done.code == 0, done.err
    opened = done.boundary()["open"]
    probe, posture = opened["probe"], opened["posture"]
    assert probe["holes"] == []
    assert opened["holes_ignored"] is False
    outcomes = probe["outcomes"]
    assert len(outcomes) > 40
    assert {outcomes[f"socket {kind}"] for kind in ("raw", "packet", "vsock")} <= {
        "EPERM",
        "EAFNOSUPPORT",
    }
    assert outcomes["uid"] == str(opened["identity"]["uid"])
    # The probe's own traffic: taken out of the boundary's sockets, so that it is not the command's.
    assert {"tcp 192.0.2.1 443", "dns 2001:db8::53 53", "log"} <= set(probe["captured"])
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
    "no filter": ("privilege", "privilege.install_filter = lambda program: None", "seccomp: 0"),
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


def test_a_control_that_is_broken_on_purpose_stops_the_run(tier: Tier) -> None:
    import sys

    from tests.world import ROOT

    for name, (module, how, said) in BROKEN.items():
        argv, packet = tier.argv(["touch", "ran"], "version: 1\n")
        script = BREAK.format(module=module, how=how)
        # `python -m sluicegate` becomes a program that first breaks one layer of the wall.
        broken = [sys.executable, "-c", script, *argv[3:]]
        done = tier.world.run(
            broken, user=tier.user, cwd=tier.work, env={"SOURCE": str(ROOT / "src")}
        )
        assert done.code == 125, f"{name}: {done.code} {done.err}"
        assert said in done.err, f"{name}: {done.err}"
        assert not (tier.work / "ran").exists(), name
        assert not packet.exists(), name
        at = broken.index("--packet")
        again = [*broken[:at], "--unsafe-ignore-holes", *broken[at:]]
        done = tier.world.run(
            again, user=tier.user, cwd=tier.work, env={"SOURCE": str(ROOT / "src")}
        )
        if done.code == 0:
            opened = json.loads((packet / "boundary.json").read_text())["open"]
            assert opened["holes_ignored"] is True
            assert any(said in hole for hole in opened["probe"]["holes"])
            (tier.work / "ran").unlink()
