"""Real clients with placeholders only: git and a private repository, SDKs of models; the server has the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.conftest import Clients, Visit
from tests.peers.private import KEY, SAID, TOKEN

POLICY = """\
version: 1
allow:
  - host: forge.test
  - host: allowed.test
secrets:
  - {env: FORGE_TOKEN, hosts: [forge.test], basic: true}
  - {env: ANTHROPIC_API_KEY, hosts: [forge.test], methods: [POST], bearer: true}
  - {env: OPENAI_API_KEY, hosts: [forge.test], methods: [POST], bearer: true}
"""
VALUES = {"FORGE_TOKEN": TOKEN, "ANTHROPIC_API_KEY": KEY, "OPENAI_API_KEY": KEY}
HELPER = "git -c credential.helper='!f() { echo username=x; echo password=$FORGE_TOKEN; }; f'"


def held_back(visit: Visit) -> None:
    """Nothing that the command saw or left has a value."""
    shown = "".join(outcome.said for outcome in visit.outcomes)
    files = b"".join(path.read_bytes() for path in visit.run.packet.iterdir())
    for value in VALUES.values():
        assert value not in shown + visit.run.out + visit.run.err
        assert value.encode() not in files


def test_git_and_a_private_repository(clients: Clients) -> None:
    branch = f"of-{clients.tier.name}"
    visit = clients.visit(
        [
            f"{HELPER} clone -q https://forge.test/private.git a && cat a/content",
            (
                "cd a && echo more >content && git -c user.name=x -c user.email=x@x.test commit -qam more"
                f" && {HELPER} push -q origin main:{branch} && echo pushed"
            ),
            "git clone -q https://forge.test/private.git b </dev/null",
            # As the user, and as the password of another place.
            "curl -sSu $FORGE_TOKEN: https://forge.test/private.git/HEAD",
            "curl -sSu x:$FORGE_TOKEN http://forge.test/private.git/HEAD",
        ],
        policy=POLICY,
        trusted=True,
        GIT_TERMINAL_PROMPT="0",
        **VALUES,
    )
    cloned, pushed, without, user, clear = visit.outcomes
    cloned.allowed("seven-seals")
    pushed.allowed("pushed")
    assert without.code != 0
    assert "rule: secret" not in user.said
    assert "rule: secret" in clear.said
    held_back(visit)


@pytest.mark.parametrize("sdk", ["anthropic", "openai"])
def test_sdks_of_models(clients: Clients, installed: Path, sdk: str) -> None:
    clients.place("model.py")
    program = f"{installed}/bin/python model.py {sdk}"
    elsewhere = "curl -sS -H 'x-api-key: '$ANTHROPIC_API_KEY http://allowed.test/"
    visit = clients.visit(
        [program, elsewhere], f"--bind={installed}", policy=POLICY, trusted=True, **VALUES
    )
    visit.outcomes[0].allowed(SAID)
    assert "rule: secret" in visit.outcomes[1].said
    held_back(visit)
    assert visit.heads() == []
    (asked,) = [f for f in visit.run.flows() if f.get("status") == 200]
    assert (asked["method"], asked["protocol"]) == ("POST", "https")
