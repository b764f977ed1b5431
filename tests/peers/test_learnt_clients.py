"""From an observed run to an enforced policy with real clients: the same session passes, and what differs does not."""

from __future__ import annotations

import pytest

from tests.peers.conftest import Clients
from tests.peers.registry import INSTALLED, TOOL
from tests.peers.test_opened_languages import clone, commit, denied_inside

# What observe mode does not open by itself: an internal address, where the files of the index are.
OBSERVE = """\
version: 1
mode: observe
inspect: all
allow:
  - host: store.test
  - ip: 10.9.9.30/32
    ports: [443]
"""
PIP = "PIP_CONFIG_FILE=/dev/null /usr/bin/python3 -m pip install -q --no-cache-dir --no-input --retries 0"
PIP += f" --index-url https://forge.test/simple/ --target TO {TOOL} && PYTHONPATH=TO python3 -m sealed_tool"
NPM = "mkdir TO && cd TO && npm install --no-audit --no-fund --no-update-notifier --fetch-retries 0 --cache ../cache-TO"
NPM += f" --registry https://forge.test/npm/ --globalconfig /dev/null --userconfig ../npmrc {TOOL}"
NPM += f" && node -e 'require(\"{TOOL}\")'"


def session(number: int) -> list[str]:
    return [
        PIP.replace("TO", f"pip{number}"),
        NPM.replace("TO", f"npm{number}"),
        clone(f"git{number}"),
    ]


@pytest.mark.parametrize("tier", ["netns-rootless"], indirect=True)
def test_a_session_that_was_observed_passes_and_what_differs_does_not(clients: Clients) -> None:
    observed = clients.visit(session(1), policy=OBSERVE, trusted=True)
    for outcome, said in zip(observed.outcomes, (INSTALLED, INSTALLED, "seven-seals"), strict=True):
        outcome.allowed(said)
    assert "let through that an enforcing run would deny" in observed.run.err
    assert f"sluicegate policy suggest {observed.run.packet} --key " in observed.run.err

    suggested = clients.tier.sluicegate("policy", "suggest", str(observed.run.packet))
    assert suggested.code == 0, suggested.err
    again = clients.tier.work.parent / "suggested.yaml"
    again.write_text(suggested.out)
    replayed = clients.tier.sluicegate("replay", "--policy", str(again), str(observed.run.packet))
    assert (replayed.code, "0 newly denied" in replayed.out) == (0, True), replayed.out

    others = [
        f"{commit('git2')} && git push -q origin main:topic-learnt",
        f"curl -sS --fail --cacert ca.pem -d x https://forge.test/simple/{TOOL}/",
        "git clone -q https://denied.test/tool.git other",
        PIP.replace("TO", "no").replace("forge.test/simple", "forge.test/other"),
        "curl -sS --fail --cacert ca.pem https://store.test/files/elsewhere",
    ]
    enforced = clients.visit([*session(2), *others], policy=suggested.out, trusted=True)
    for outcome, said in zip(
        enforced.outcomes, (INSTALLED, INSTALLED, "seven-seals"), strict=False
    ):
        outcome.allowed(said)
    for outcome in enforced.outcomes[3:]:
        assert outcome.code != 0, outcome
    assert denied_inside(enforced) >= {
        "https://forge.test/tool.git/git-receive-pack",
        f"https://forge.test/simple/{TOOL}/",
        "https://store.test/files/elsewhere",
    }
