"""Secrets that the command never holds: from the environment, a file and a descriptor, in real runs of both tiers.

Where one must not be is `tests/adversarial/test_secrets.py`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.conftest import Run, Tier
from tests.peers.second import VERIFIER, node

VALUE = "sk-ant-api03-Zx81kQm2Lw93Rt77PqYc0aB"
KEPT = "tok_Vb52nHs8Gd06Wx41JkTe3u"  # of the environment, and of no policy
POLICY = """\
version: 1
allow:
  - host: allowed.test
secrets:
  - {SOURCE, hosts: [allowed.test], methods: [GET, POST], PLACE}
"""
CURL = "curl -sS --max-time 20"


def policy(source: str = "env: API_KEY", place: str = "header: x-api-key") -> str:
    return POLICY.replace("SOURCE", source).replace("PLACE", place)


def run(tier: Tier, script: str, rules: str, *options: str, **env: str) -> Run:
    given = {**os.environ, "SSL_CERT_FILE": str(tier.world.ca), "JOB_TOKEN": KEPT, **env}
    done = tier.run(["bash", "-c", script], rules, *options, env=given)
    assert done.code == 0, done.out + done.err
    return done


def verified(tier: Tier, done: Run) -> list[dict[str, object]]:
    """The connections of a packet that both verifiers accept, and that holds no value."""
    for path in done.packet.iterdir():
        data = path.read_bytes()
        assert VALUE.encode() not in data, path
        assert KEPT.encode() not in data, path
    assert VALUE not in done.out + done.err
    said = json.loads((done.packet / "packet.json").read_text())
    assert said["posture"]["websocket_frame_scanning"] == "explicit_ws_proxy_path_required"
    key = said["verifier"]["signer_key"]
    checked = tier.verify(done, "--key", key)
    assert checked.code == 0, checked.out + checked.err
    assert node(VERIFIER, done.packet, "--key", key)[0] == 0
    return [flow for flow in done.flows() if flow["kind"] == "connection"]


def heads(tier: Tier, before: int) -> list[str]:
    tier.world.settle()
    return [e["head"] for e in tier.world.arrived()[before:] if e["protocol"] == "http"]


@pytest.mark.parametrize(
    ("place", "client", "sent"),
    [
        ("header: x-api-key", '-H "x-api-key: $API_KEY"', f"x-api-key: {VALUE}\r\n"),
        ("bearer: true", '-H "Authorization: Bearer $API_KEY"', f"Bearer {VALUE}\r\n"),
    ],
)
def test_the_server_gets_it_and_the_command_does_not(
    tier: Tier, place: str, client: str, sent: str
) -> None:
    before = len(tier.world.arrived())
    script = f"echo $API_KEY; env | grep -c '^JOB_TOKEN=' ; {CURL} {client} https://allowed.test/a"
    done = run(tier, script, policy(place=place), API_KEY=VALUE)
    placeholder = done.out.splitlines()[0]
    assert (len(placeholder), placeholder[:13]) == (len(VALUE), VALUE[:13])
    assert "GET /a" in done.out
    (head,) = heads(tier, before)
    assert sent in head
    assert placeholder not in head
    verified(tier, done)
    assert placeholder not in "".join(p.read_text("latin-1") for p in done.packet.iterdir())


def test_a_server_that_sends_it_back(tier: Tier) -> None:
    """The sink answers with the request's line: the response is not for the command."""
    before = len(tier.world.arrived())
    script = f"{CURL} -G --data-urlencode key=$API_KEY https://allowed.test/a; true"
    done = run(tier, script, policy(place="query: key"), API_KEY=VALUE)
    assert f"GET /a?key={VALUE} " in heads(tier, before)[0]
    # The response's head may have gone on before; the command reads a refusal, or a reset.
    (denied,) = [flow for flow in verified(tier, done) if flow["rule"] == "secret"]
    assert denied["url"] == "https://allowed.test/a"
    assert str(denied["reason"]).startswith("the value of API_KEY (plain) is in the response")


def test_a_value_that_the_environment_keeps_is_looked_for(tier: Tier) -> None:
    """However the command came by it."""
    (tier.work / "found").write_text(KEPT)
    script = f"{CURL} --data-binary @found https://allowed.test/a"
    done = run(tier, script, policy(), API_KEY=VALUE)
    assert "the value of JOB_TOKEN (plain) is in the content" in done.out
    verified(tier, done)


MANY = """\
limits: {requests_per_minute: 3, names_per_wildcard: 1}
deny:
  - {host: allowed.test, methods: [PATCH]}
"""


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_whatever_else_is_wrong_with_a_request_its_record_is_sound(tier: Tier, mode: str) -> None:
    """Denied for two reasons, over a limit, by an address that claims a name, with a secret in names and methods."""
    rules = policy().replace(
        "secrets:",
        "  - {host: '*.wild.test', ports: [80, 443]}\n"
        "  - {ip: 203.0.113.10, ports: [80], methods: [GET], paths: [/ok/**]}\nsecrets:",
    )
    script = f"""
K=$API_KEY; S="-o /dev/null -k"
for n in 1 2 3 4 5; do {CURL} $S http://allowed.test/$n; done
{CURL} $S -H "x: $K" http://allowed.test/over
{CURL} $S -H "x: $K" -H 'x-http-method-override: PATCH' -X PATCH http://allowed.test/denied
{CURL} $S -H "Host: allowed.test" http://203.0.113.10/ok/$K
{CURL} $S -H "Host: $K.wild.test" http://203.0.113.10/ok/a
{CURL} $S -H "Host: $K" -H 'Content-Length: 3' -H 'Transfer-Encoding: chunked' http://allowed.test/$K
{CURL} $S http://$K.wild.test/ ; {CURL} $S https://$K.a.wild.test/
{CURL} $S -x http://192.0.2.1:3128 https://$K.wild.test/
{CURL} $S -x http://192.0.2.1:3128 http://$K.wild.test/$K
{CURL} $S --socks5-hostname 192.0.2.1:1080 https://$K.wild.test/
{CURL} $S --connect-to ::allowed.test:443 https://$K.wild.test/
{CURL} $S --connect-to ::203.0.113.10:443 https://$K.wild.test/
{CURL} $S -X ZZTOPSECRETTOKENOFCI001X http://allowed.test/
{CURL} $S http://redacted.invalid/$K; {CURL} $S http://one.wild.test/; {CURL} $S http://two.wild.test/$K
true
"""
    capitals = {"CI_TOKEN": "ZZTOPSECRETTOKENOFCI001X"}
    rules = f"mode: {mode}\n{rules}{MANY}".replace(f"mode: {mode}\nversion: 1\n", "", 1)
    done = run(tier, script, f"version: 1\nmode: {mode}\n{rules}", API_KEY=VALUE, **capitals)
    flows = verified(tier, done)
    assert len([flow for flow in flows if flow["rule"] == "secret"]) >= 12
    assert "ZZTOPSECRET" not in "".join(p.read_text("latin-1") for p in done.packet.iterdir())


def test_from_a_file_that_the_command_does_not_see(tier: Tier) -> None:
    path = tier.work / "api.key"
    path.write_text(VALUE + "\n")
    os.chown(path, *(tier.work.stat().st_uid, tier.work.stat().st_gid))
    path.chmod(0o600)
    before = len(tier.world.arrived())
    script = f'cat {path}; {CURL} -H "x-api-key: $AGENT_KEY" https://allowed.test/a'
    done = run(tier, script, policy(f"file: {path}, as: AGENT_KEY"))
    assert f"x-api-key: {VALUE}\r\n" in heads(tier, before)[0]
    verified(tier, done)


def test_from_a_descriptor(tier: Tier) -> None:
    before = len(tier.world.arrived())
    script = f'ls /proc/self/fd; {CURL} -H "x-api-key: $AGENT_KEY" https://allowed.test/a'
    argv, packet = tier.argv(
        ["bash", "-c", script], policy("fd: api, as: AGENT_KEY"), "--secret-fd", "api=7"
    )
    env = {**os.environ, "SSL_CERT_FILE": str(tier.world.ca)}
    shell = ["bash", "-c", f'exec 7< <(printf %s {VALUE}); exec "$@"', "sh", *argv]
    made = tier.world.run(shell, user=tier.user, env=env, cwd=tier.work)
    assert made.code == 0, made.err
    assert f"x-api-key: {VALUE}\r\n" in heads(tier, before)[0]
    assert "\n7\n" not in made.out
    verified(tier, Run(made.code, made.out, made.err, packet))


HUNT = r"""
import glob, os, sys
value = bytes.fromhex(sys.argv[1])
seen = 0
for path in glob.glob("/proc/[0-9]*/*") + glob.glob("/proc/[0-9]*/task/*/*") + glob.glob("/tmp/*"):
    if path.startswith("/tmp/") or path.endswith(("/mem", "/environ", "/cmdline", "/maps")):
        try:
            if path.endswith("/mem"):
                for line in open(path[:-3] + "maps"):
                    area = line.split()
                    if "r" not in area[1]: continue
                    low, high = (int(x, 16) for x in area[0].split("-"))
                    if path.startswith(f"/proc/{os.getpid()}/") or high - low > 1 << 26: continue
                    with open(path, "rb") as file:
                        file.seek(low)
                        seen += value in file.read(high - low)
            else:
                data = open(path, "rb").read()
                own = path.startswith((f"/proc/{os.getpid()}/", "/proc/self", "/proc/thread-self"))
                seen += value in data and not own
        except (OSError, ValueError, OverflowError): pass
print("found", seen, value.decode() in os.environ.values())
"""


def test_no_process_that_it_can_look_into_has_it(tier: Tier) -> None:
    """The value is given in hex, and looked for in all memory, environments and arguments, and in cores."""
    (tier.work / "hunt.py").write_text(HUNT)
    script = (
        "sleep 9 & ulimit -c unlimited; (cd /tmp; python3 -c 'import os; os.abort()' 2>/dev/null);"
        f" python3 hunt.py {VALUE.encode().hex()}; kill %1"
    )
    done = run(tier, script, policy(), API_KEY=VALUE)
    assert "found 0 False" in done.out, done.out + done.err
    verified(tier, done)


@pytest.mark.parametrize(
    ("source", "env", "options", "said", "hint"),
    [
        ("env: API_KEY", {}, (), "the variable API_KEY is not set", "API_KEY=..."),
        ("env: API_KEY", {"API_KEY": "short"}, (), "at least 64 random bits", "a longer value"),
        ("env: API_KEY", {"API_KEY": "a\nb" * 9}, (), "printable ASCII", "end of line"),
        ("env: API_KEY", {"API_KEY": VALUE}, ("--env", "API_KEY"), "--env API_KEY", "leave out"),
        ("env: API_KEY", {"API_KEY": VALUE, "EDITOR": f"x{VALUE}"}, (), "EDITOR as well", "unset"),
        ("env: API_KEY", {"API_KEY": "true", "EDITOR": "true"}, (), "64 random bits", "longer"),
        ("file: /nowhere, as: K", {}, (), "can not be read: no such file", "check the path"),
        ("fd: api, as: K", {}, (), "no descriptor is given for api", "--secret-fd api=3"),
        ("env: API_KEY", {"API_KEY": VALUE}, ("--secret-fd", "x=9"), "descriptor 9", "for example"),
    ],
)
def test_what_can_not_be_held_back_starts_nothing(
    tier: Tier, source: str, env: dict[str, str], options: tuple[str, ...], said: str, hint: str
) -> None:
    given = {name: text for name, text in os.environ.items() if name != "EDITOR"} | env
    done = tier.run(["touch", "started"], policy(source), *options, env=given)
    assert done.code == 125, done.err
    assert said in done.err
    assert hint in done.err
    assert VALUE not in done.err
    assert not Path(tier.work, "started").exists()
