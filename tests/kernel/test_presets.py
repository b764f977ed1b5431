"""Presets on a real run, in both tiers: what they allow and deny at the sink, and whose configuration counts."""

from __future__ import annotations

import json
import os

import pytest

from tests.conftest import Run, Tier
from tests.peers.second import VERIFIER, node

INDEX = "https://someone:hunter2@allowed.test/mirror/simple/"
LINES = """
curl -sS https://allowed.test/mirror/simple/six/
curl -sS https://allowed.test/mirror/packages/six.whl
curl -sS -o /dev/null -w '%{http_code}\\n' -d x https://allowed.test/mirror/simple/six/
curl -sS -o /dev/null -w '%{http_code}\\n' https://allowed.test/account
curl -sS -m 20 https://four.test/mirror/simple/ 2>/dev/null || echo refused
"""


def run(tier: Tier, policy: str, *options: str, **env: str) -> Run:
    every = {**os.environ, "SSL_CERT_FILE": str(tier.world.ca), "NODE_EXTRA_CA_CERTS": "", **env}
    return tier.run(["sh", "-c", LINES], policy, *options, env=every)


def arrived(tier: Tier, before: int) -> list[str]:
    tier.world.settle()
    came = [entry for entry in tier.world.arrived()[before:] if entry["protocol"] == "http"]
    return [entry["head"].partition(" HTTP/")[0] for entry in came]


@pytest.mark.parametrize("way", ["option", "line"])
def test_a_mirror_is_read_below_its_path_and_nothing_else(tier: Tier, way: str) -> None:
    before = len(tier.world.arrived())
    if way == "option":
        done = run(tier, "version: 1\n", "--preset", "python", PIP_INDEX_URL=INDEX)
        assert "made from PIP_INDEX_URL, which the command does not get" in done.err
    else:
        line = "version: 1\nallow:\n  - preset: python\n"
        done = run(tier, line, f"--env=PIP_INDEX_URL={INDEX.replace('someone:hunter2@', '')}")
    assert done.code == 0, done.err
    assert done.out.splitlines()[-3:] == ["403", "403", "refused"]
    assert arrived(tier, before) == ["GET /mirror/simple/six/", "GET /mirror/packages/six.whl"]
    text = (done.packet / "policy.json").read_text()
    assert json.loads(text)["policies"][0]["allow"] == [
        {
            "host": "allowed.test",
            "methods": ["GET", "HEAD"],
            "paths": ["/mirror/**"],
            "ports": [443],
        }
    ]
    key = json.loads((done.packet / "packet.json").read_text())["verifier"]["signer_key"]
    checked = tier.verify(done, "--key", key)
    assert checked.code == 0, checked.out + checked.err
    code, out = node(VERIFIER, done.packet, "--key", key)
    assert code == 0, out
    for file in done.packet.iterdir():
        assert b"hunter2" not in file.read_bytes(), file.name
    assert "hunter2" not in done.err


def test_files_of_the_workspace_widen_nothing(tier: Tier) -> None:
    before = len(tier.world.arrived())
    (tier.work / "pip.conf").write_text("[global]\nindex-url = https://four.test/mirror/simple/\n")
    (tier.work / ".npmrc").write_text("registry=https://four.test/\n")
    done = run(
        tier, "version: 1\n", "--preset", "python", PIP_CONFIG_FILE=str(tier.work / "pip.conf")
    )
    assert done.code == 125
    assert "pip.conf lies where the command writes: who wrote it could widen the policy" in done.err
    assert "hint: keep the client's configuration outside of the workspace" in done.err
    assert not (done.packet / "policy.json").exists()
    done = run(
        tier, "version: 1\n", "--preset", "node", NPM_CONFIG_REGISTRY="https://allowed.test/mirror/"
    )
    assert done.code == 0, done.err
    assert "refused" in done.out
    assert "four.test" not in (done.packet / "policy.json").read_text()
    assert "GET /mirror/simple/" not in arrived(tier, before)


def test_configuration_that_the_command_may_write_is_an_error(tier: Tier) -> None:
    config = tier.work.parent / "config"
    (config / "pip").mkdir(parents=True)
    (config / "pip/pip.conf").write_text("[global]\nindex-url = https://four.test/simple/\n")
    for directory in (config, config / "pip"):
        directory.chmod(0o755)
    env = {"XDG_CONFIG_HOME": str(config)}
    assert run(tier, "version: 1\n", "--preset", "python", **env).code == 0
    done = run(tier, "version: 1\n", "--preset", "python", f"--bind={config}", **env)
    assert done.code == 125
    assert "pip.conf, where the command writes: it could widen the next run's policy" in done.err


@pytest.mark.parametrize(
    ("policy", "options", "said"),
    [
        ("version: 1\n", ("--preset", "pythn"), '--preset: preset "pythn" is not known'),
        ("version: 1\nallow:\n  - preset: ubunt\n", (), 'allow[0]: preset "ubunt" is not known'),
        (
            "version: 1\ninspect: none\n",
            ("--preset", "openai"),
            "inspect: none, and allow[0] has a condition",
        ),
    ],
)
def test_a_preset_that_is_wrong_starts_nothing(
    tier: Tier, policy: str, options: tuple[str, ...], said: str
) -> None:
    done = run(tier, policy, *options)
    assert done.code == 125
    assert said in done.err
    assert done.out == ""
