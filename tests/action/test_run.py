"""action.yml as a workflow uses it, in a runner of ours (sluicegate.cli.action, sluicegate.cli.actiontell)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sluicegate.evidence import keys
from tests.action.house import HouseJob
from tests.action.runner import Step

ALLOW = "version: 1\nallow:\n  - host: allowed.test\n"
# The expectations of the original action's own smoke test, in our words. What it takes for a leak, here leaks no more:
# a name is answered by our resolver and a connection is accepted by our gate, so the sink says what got out.
SMOKE = r"""#!/usr/bin/env bash
set -uo pipefail
fail() { echo "LEAK: $1"; exit 2; }
curl --noproxy '*' -fsS --max-time 9 http://denied.test/direct >/dev/null 2>&1 && fail "direct http"
curl --noproxy '*' -fsS --max-time 9 http://203.0.113.20/direct >/dev/null 2>&1 && fail "direct http to an address"
python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b"\0\1", ("8.8.8.8", 53))'
bash -c 'echo raw >/dev/tcp/1.1.1.1/80' 2>/dev/null
sudo -n true 2>/dev/null && fail "sudo"
sudo -n nsenter -t 1 -n true 2>/dev/null && fail "sudo nsenter"
nsenter -t 1 -n true 2>/dev/null && fail nsenter
unshare -n true 2>/dev/null && fail unshare
sudo -n iptables -F 2>/dev/null && fail "sudo iptables"
nft flush ruleset 2>/dev/null && fail nft
ip link add dummy0 type dummy 2>/dev/null && fail "ip link"
for end in /var/run/docker.sock /run/docker.sock; do
  python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' $end 2>/dev/null && fail $end
done
grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | grep -qv 0000000000000000 && fail capabilities
[ "$(id -u)" = 0 ] && fail root
curl -fsS --max-time 20 http://allowed.test/smoke
"""


# As its README shows it, with steps before and after.
README = """
on: [pull_request]
permissions:
  contents: read
jobs:
  agent:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - id: agent
        uses: sluicegate/sluicegate@v1
        with:
          script-path: "./ci/agent-review.sh"
          pipelock-bin: "/usr/local/bin/pipelock"
          config: ".pipelock/ci.yaml"
          agent-identity: "ci-agent"
          signer-private-key-path: "${{ runner.temp }}/pipelock-signing/id_ed25519"
          signer-public-key: "${{ secrets.PIPELOCK_RECEIPT_PUBLIC_KEY }}"
          audit-packet-dir: "pipelock-audit-packet"
      - run: |
          echo "${{ steps.agent.outputs['verifier-verdict'] }}"
          echo "${{ steps.agent.outputs.audit-packet-path }}"
          test "${{ steps.agent.outputs.receipt-count }}" -gt 3
          test -s pipelock-audit-packet/packet.json && test -s pipelock-audit-packet/summary.md && echo yes
      - if: ${{ always() && steps.agent.outcome == 'success' }}
        run: "true"
"""
PIPELOCK = """version: 1
mode: balanced
api_allowlist: [allowed.test]
logging: {include_allowed: true}
fetch_proxy: {listen: "127.0.0.1:1", timeout_seconds: 17}
forward_proxy: {enabled: false}
flight_recorder: {enabled: false, dir: /tmp/not-action-evidence, signing_key_path: /tmp/not-action-key}
response_scanning: {enabled: true}
"""


def use(job: HouseJob, **inputs: Any) -> Step:
    named = {name.replace("_", "-"): value for name, value in inputs.items()}
    job.failed = False
    return job.step({"uses": "sluicegate/sluicegate@v1", "with": named})


def packet(job: HouseJob, name: str = "pipelock-audit-packet") -> dict[str, Any]:
    found = json.loads((job.workspace / name / "packet.json").read_text())
    assert isinstance(found, dict)
    return found


def key(job: HouseJob, name: str, seed: int) -> tuple[Path, str]:
    """A signing key in the runner's temp, and its public half in hexadecimal."""
    path = job.temp / name
    path.write_text(keys.write_private(bytes([seed]) * 32))
    path.chmod(0o600)
    job.chown(path)
    return path, keys.signer(bytes([seed]) * 32)[1]


def messages(done: Step, kind: str) -> str:
    return "\n".join(text for found, _, text in done.annotations if found == kind)


def heads(job: HouseJob, before: int) -> list[str]:
    """What reached the sink since `before`, but for the gate's own look-up of a host that is allowed."""
    job.house.world.settle()
    found = []
    for one in job.house.world.arrived()[before:]:
        if one["protocol"] == "dns":
            assert one["name"].rstrip(".") == "allowed.test", one
        elif one["protocol"] != "udp" or "allowed" not in one["first"]:
            found.append(one.get("head") or one.get("first") or str(one))
    return found


def test_the_originals_smoke_test(job: HouseJob) -> None:
    job.write("sluicegate.yaml", ALLOW)
    job.write("ci/smoke.sh", SMOKE)
    path, public = key(job, "smoke.key", 1)
    before = len(job.house.world.arrived())
    done = use(
        job,
        script_path="ci/smoke.sh",
        signer_private_key_path=path,
        signer_public_key=public,
        audit_packet_dir="smoke packet",
        agent_identity="ci-agent",
    )
    assert "LEAK" not in done.log, done.log
    assert done.outcome == "success", done.log
    assert [head.split()[:2] for head in heads(job, before)] == [["GET", "/smoke"]]
    assert done.outputs["verifier-verdict"] == "valid"
    assert done.outputs["audit-packet-path"] == "smoke packet"
    found = packet(job, "smoke packet")
    assert found["summary"]["receipt_count"] == int(done.outputs["receipt-count"]) > 3
    assert found["posture"]["enforcement_mode"] == "linux_netns_root_tproxy"
    assert found["posture"]["docker_socket_status"] in {"denied", "masked"}
    assert found["run"]["agent_identity"] == "ci-agent"
    assert found["run"]["provider"] == "github_actions"
    assert found["run"]["run_id"] == "77"
    assert found["summary"]["totals"]["block"] >= 2
    assert "- host: denied.test" in done.summary
    assert "Pin the key" not in done.summary
    assert "      smoke packet.html\n" in done.summary
    assert done.outputs["report-path"] == "smoke packet.html"
    html = (job.workspace / "smoke packet.html").read_text()
    assert html.startswith("<!doctype html>")
    assert "denied.test" in html
    assert "denied.test" in messages(done, "warning") + messages(done, "notice") + messages(
        done, "error"
    )
    assert "by hash: cffi" in done.log
    # What is left belongs to the job, not to root.
    assert {p.stat().st_uid for p in (job.workspace / "smoke packet").iterdir()} == {job.house.user}


def test_the_workflow_of_the_originals_readme_runs_but_for_uses(job: HouseJob) -> None:
    path, public = key(job, "id_ed25519", 2)
    (job.temp / "pipelock-signing").mkdir(exist_ok=True)
    path.rename(job.temp / "pipelock-signing/id_ed25519")
    job.house.give(job.temp / "pipelock-signing")
    job.secrets["PIPELOCK_RECEIPT_PUBLIC_KEY"] = public
    job.write(
        "ci/agent-review.sh", "curl -sS http://allowed.test/review; curl -sS http://denied.test/\n"
    )
    job.write(".pipelock/ci.yaml", PIPELOCK)
    steps = job.run(README)
    assert [step.outcome for step in steps] == ["success"] * 4, steps[1].log
    assert steps[1].outputs["verifier-verdict"] == "valid"
    assert "pipelock-bin is ignored" in messages(steps[1], "notice")
    assert ".pipelock/ci.yaml:2: mode balanced lets out" in messages(steps[1], "warning")
    assert "response_scanning has no counterpart" in messages(steps[1], "warning")
    assert "host: denied.test" in steps[1].log
    assert steps[2].log.split() == ["valid", "pipelock-audit-packet", "yes"]


@pytest.mark.parametrize(
    ("pinned", "keyed", "fail", "verdict", "outcome"),
    [
        (None, False, "true", "self_consistent_only", "success"),
        (None, True, "true", "self_consistent_only", "success"),
        (3, True, "true", "valid", "success"),
        (4, True, "true", "invalid", "failure"),
        (4, True, "false", "invalid", "success"),
    ],
)
def test_verdicts_and_an_empty_run(
    job: HouseJob, pinned: int | None, keyed: bool, fail: str, verdict: str, outcome: str
) -> None:
    job.write("noop.sh", "true\n")
    path, _ = key(job, "run.key", 3)
    inputs: dict[str, Any] = {"signer_private_key_path": path} if keyed else {}
    if pinned is not None:
        public = keys.write_public(bytes.fromhex(key(job, "other.key", pinned)[1]))
        inputs["signer_public_key"] = public
    done = use(job, script_path="noop.sh", fail_on_verifier_error=fail, **inputs)
    assert (done.outputs["verifier-verdict"], done.outcome) == (verdict, outcome), done.log
    # The original knows no receipt of a run without traffic, and calls it an error. Here its end is signed.
    assert int(done.outputs["receipt-count"]) == packet(job)["summary"]["receipt_count"] == 3
    pin = "sluicegate keygen release" if not keyed else "no `signer-public-key` was given"
    assert (pin in done.summary) == (verdict == "self_consistent_only")
    if verdict == "invalid":
        kind = "error" if outcome == "failure" else "warning"
        assert "the packet is invalid: PINNED" in messages(done, kind)


@pytest.mark.parametrize("put", ["mkfifo", "mkdir"])
def test_what_the_command_puts_where_the_page_belongs_stops_no_report(
    job: HouseJob, put: str
) -> None:
    done = use(job, run=f"{put} pipelock-audit-packet.html; curl -sS http://denied.test/; true")
    assert (done.outcome, done.outputs["verifier-verdict"]) == ("success", "self_consistent_only")
    assert done.outputs["report-path"] == ""
    assert "denied.test" in done.summary
    assert "denied.test" in messages(done, "warning")


def test_a_packet_of_another_run_says_nothing_of_this_one(job: HouseJob) -> None:
    job.write("noop.sh", "true\n")
    path, public = key(job, "run.key", 3)
    inputs: dict[str, Any] = {"signer_private_key_path": path, "signer_public_key": public}
    assert (first := use(job, script_path="noop.sh", **inputs)).outputs[
        "verifier-verdict"
    ] == "valid", first.log
    # As a pull request may bring one along.
    (job.workspace / "old").symlink_to("pipelock-audit-packet")
    for place in ("pipelock-audit-packet", "old"):
        done = use(job, script_path="noop.sh", audit_packet_dir=place, **inputs)
        assert (done.outcome, done.outputs["verifier-verdict"]) == ("failure", ""), done.log
        assert "is there already, and not an empty directory" in messages(done, "error")
        assert done.summary == ""


def test_a_script_outside_is_refused_and_nothing_is_left(job: HouseJob) -> None:
    job.write("work/inside.sh", "true\n")
    outside = job.write("outside.sh", "touch ran\n")
    (job.workspace / "work/link.sh").symlink_to(outside)
    for path in (
        "../../../../etc/passwd",
        "../outside.sh",
        str(outside),
        "link.sh",
        "..",
        "none.sh",
    ):
        done = use(job, script_path=path, working_directory="work")
        assert (done.outcome, done.outputs["verifier-verdict"]) == ("failure", ""), done.log
        assert "script-path: " in messages(done, "error")
    assert sorted(p.name for p in job.workspace.iterdir()) == ["outside.sh", "work"]
    done = use(job, script_path="inside.sh", working_directory="work")
    assert done.outcome == "success", done.log


def test_values_are_words_and_never_shell(job: HouseJob) -> None:
    job.write("show.sh", 'for one in "$@"; do printf "<%s>\\n" "$one"; done\n')
    evil = "$(touch pwned) `touch pwned` '; touch pwned #"
    given = f"a b\n{evil}\n*\n\n::error::forged\n"
    done = use(
        job,
        script_path="show.sh",
        script_args=given,
        audit_packet_dir=f"out {evil.replace('/', '')}",
    )
    assert done.outcome == "success", done.log
    assert done.log.split("<", 1)[1].split("\nsluicegate", 1)[0].split(">\n<") == [
        *("a b", evil, "*", "", "::error::forged>")
    ]
    assert not list(job.workspace.glob("**/pwned*"))


PATHS = ("working_directory", "audit_packet_dir", "config", "policy", "signer_private_key_path")


@pytest.mark.parametrize("name", [*PATHS, "policy_ref"])
def test_hostile_values_forge_no_annotation_and_run_nothing(job: HouseJob, name: str) -> None:
    job.write("show.sh", "true\n")
    for value in ("$(touch pwned);`touch pwned`", "x\n::error title=forged::x", "-x"):
        done = use(job, **{"script_path": "show.sh", "audit_packet_dir": "p", name: value})
        assert not any(found.get("title") == "forged" for _, found, _ in done.annotations), done.raw
        assert not list(job.workspace.glob("**/pwned*"))
        shutil.rmtree(job.workspace / "p", ignore_errors=True)
