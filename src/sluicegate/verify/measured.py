"""boundary.json: closed sets of members, and everything that follows from what was probed made again. Pure.

Whoever holds the key writes the file, but may not choose what it means: holes, results and the packet's posture come
from the probe's outcomes alone, and a member that nobody derives from anything has no place.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from sluicegate import posture
from sluicegate.evidence import equation
from sluicegate.verify import strict
from sluicegate.verify.answers import ANSWERS
from sluicegate.verify.strict import need

_TEXTS = {"run", "tier", "started_at", "sluicegate", "kernel", "commit"}
_OBJECTS = {"counters", "network", "command", "identity", "probe", "ci", "posture"}
_LISTS = {"withheld", "workspace_credentials"}
OPEN = _TEXTS | _OBJECTS | _LISTS | {"plan", "holes_ignored"}
CLOSE = {"counters", "gate", "network", "run", "equation", "workspace"}
_PROBE = {"outcomes", "captured", "docker", "holes", "results"}
_NETWORK = {"addresses", "links", "routes", "rules", "settings", "ruleset", "generation"}
_AUTHORITY = {"sha256", "names"}
# Beside those of the equation, what the boundary's rules and its kernel count for people to see.
COUNTERS = frozenset(equation.COUNTERS) | {
    *("memberships", "Tcp.AttemptFails", "TcpExt.ListenOverflows", "TcpExt.ListenDrops"),
    *("Ip.OutDiscards", "Udp.RcvbufErrors"),
}
GATE = frozenset(("connections", "flows", "allowed", "denied", "observed", "overload")) | {
    *("bytes_up", "bytes_down", "kernel_up", "kernel_down", "dns_tcp", "changes", "receipts"),
    *("broken", "refused_requests", "proxied", "http", "http_up"),
    *("dns_asked", "dns_stream", "dns_captured", "dns_lost"),
    *("drops_seen", "drops_lost", "drops_sequence"),
}
TIERS = ("netns-root", "netns-rootless")
_DIGITS = re.compile("0|[1-9][0-9]{0,9}")


def checked(
    measured: Mapping[str, object], *, closed: bool, secrets: bool = False, asks: bool = False
) -> None:
    """Nothing, if boundary.json's object is one that a run of ours could have measured.

    `secrets`: the run's policies have one, so that the gate looks into what it reads; `asks`:
    they let a person be asked, so that the answers are listed.

    Raises:
        VerificationError: it has another member, lacks one, or says of the posture what its outcomes do not.
    """
    need(measured.keys() == ({"open", "close"} if closed else {"open"}), "boundary.json: members")
    opened = strict.mapping(measured["open"], "boundary.json: open")
    _opened(opened)
    _probed(opened, secrets)
    if not closed:
        return
    close = strict.mapping(measured["close"], "boundary.json: close")
    _members(close, CLOSE | ({ANSWERS} if asks else set()), set(), "close")
    for name in CLOSE:
        strict.mapping(close[name], f"boundary.json: close's {name}")
    _network(strict.mapping(close["network"], "boundary.json: network"), "close")
    changed = strict.mapping(close["workspace"], "boundary.json: workspace")
    _members(changed, {"sha256"}, set(), "workspace")
    digest = strict.text(changed["sha256"], "boundary.json: workspace's digest")
    need(strict.HEX64.match(digest), "boundary.json: workspace's digest")
    _counts(close, "counters", COUNTERS)
    _counts(close, "gate", GATE)


def _members(found: Mapping[str, object], wanted: set[str], perhaps: set[str], what: str) -> None:
    if unknown := found.keys() - wanted - perhaps:
        raise strict.VerificationError(
            f"boundary.json: {what} has the unknown members {sorted(unknown)}"
        )
    if missing := wanted - found.keys():
        raise strict.VerificationError(f"boundary.json: {what} lacks {sorted(missing)}")


def _opened(opened: Mapping[str, object]) -> None:
    _members(opened, OPEN, {"authority"}, "open")
    for name in _TEXTS:
        text = opened[name]
        need(isinstance(text, str) and (text or name == "commit"), f"boundary.json: {name}")
    for name in _OBJECTS:
        strict.mapping(opened[name], f"boundary.json: {name}")
    for name in _LISTS:
        _texts(opened[name], name)
    need(opened["tier"] in TIERS, "boundary.json: a tier that there is not")
    strict.time(str(opened["started_at"]), "boundary.json: started_at")
    plan = opened["plan"]
    need(isinstance(plan, list) and plan, "boundary.json: no plan")
    for step in plan if isinstance(plan, list) else ():
        need(
            isinstance(step, list) and len(step) == 3 and all(isinstance(w, str) for w in step),
            "boundary.json: a step of the plan is not (what, where, how it came out)",
        )
    command = strict.mapping(opened["command"], "boundary.json: command")
    _members(command, {"name", "args", "argv_sha256"}, set(), "command")
    strict.text(command["name"], "boundary.json: command's name")
    strict.count(command["args"], "boundary.json: command's args")
    digest = strict.text(command["argv_sha256"], "boundary.json: command's digest")
    need(strict.HEX64.match(digest), "boundary.json: command's digest")
    identity = strict.mapping(opened["identity"], "boundary.json: identity")
    _members(identity, {"uid", "gid"}, set(), "identity")
    _counts(opened, "counters", COUNTERS)
    _network(strict.mapping(opened["network"], "boundary.json: network"), "open")
    if "authority" in opened:
        authority = strict.mapping(opened["authority"], "boundary.json: authority")
        _members(authority, _AUTHORITY, set(), "authority")
        known = strict.text(authority["sha256"], "boundary.json: authority's digest")
        need(strict.HEX64.match(known), "boundary.json: authority's digest")
        _texts(authority["names"], "authority's names")


def _probed(opened: Mapping[str, object], secrets: bool) -> None:
    probe = strict.mapping(opened["probe"], "boundary.json: probe")
    _members(probe, _PROBE, set(), "probe")
    outcomes = {
        name: strict.text(value, f"boundary.json: probe of {name}")
        for name, value in strict.mapping(probe["outcomes"], "boundary.json: outcomes").items()
    }
    strange = posture.strange(outcomes)
    need(not strange, f"boundary.json: an outcome that no probe has: {strange}")
    captured = _texts(probe["captured"], "captured")
    need(captured == sorted(set(captured)), "boundary.json: captured is not a sorted set")
    odd = sorted(set(captured) - posture.CAPTURABLE)
    need(not odd, f"boundary.json: captured what no probe sends: {', '.join(odd)}")
    docker, taken = probe["docker"], frozenset(captured)
    if not isinstance(docker, bool):
        raise strict.VerificationError("boundary.json: probe's docker is not a boolean")
    found = list(posture.holes(outcomes, taken))
    frames = {"websocket_frame_scanning": posture.frame_scanning(secrets=secrets)}
    for name, said, made in (
        ("holes", probe["holes"], found),
        ("results", probe["results"], posture.results(outcomes, taken)),
        ("holes_ignored", opened["holes_ignored"], bool(found)),
        ("identity", opened["identity"], _identity(outcomes)),
        ("posture", _derived(opened), _posture(opened, outcomes, taken, docker) | frames),
    ):
        need(strict.same(said, made), f"boundary.json: {name} is not what was probed")


def _identity(outcomes: Mapping[str, str]) -> dict[str, int]:
    """Of the probe's process, which is confined as the command's is; -1 where it did not say."""
    given = {name: outcomes.get(name, "") for name in ("uid", "gid")}
    return {n: int(text) if _DIGITS.fullmatch(text) else -1 for n, text in given.items()}


def _derived(opened: Mapping[str, object]) -> Mapping[str, object]:
    """The posture but for the machine, of which there are several."""
    said = strict.mapping(opened["posture"], "boundary.json: posture")
    strict.text(said.get("runner_arch"), "boundary.json: posture's runner_arch")
    return {name: value for name, value in said.items() if name != "runner_arch"}


def _posture(
    opened: Mapping[str, object],
    outcomes: Mapping[str, str],
    captured: frozenset[str],
    docker: bool,
) -> dict[str, object]:
    return {
        **posture.members(outcomes, captured, docker),
        "runner_os": posture.SYSTEM,
        "enforcement_mode": posture.enforcement(str(opened["tier"])),
    }


def _network(found: Mapping[str, object], when: str) -> None:
    _members(found, _NETWORK, set(), f"network at the {when}")
    need(strict.HASH.match(str(found["ruleset"])), f"boundary.json: ruleset at the {when}")
    strict.count(found["generation"], f"boundary.json: generation at the {when}")
    for name in _NETWORK - {"ruleset", "generation"}:
        _texts(found[name], f"{name} at the {when}")


def _counts(holder: Mapping[str, object], name: str, known: Collection[str]) -> None:
    """Counts of known names; which of them are there depends on the kernel, and the equation wants its own."""
    counts = strict.mapping(holder[name], f"boundary.json: {name}")
    _members(counts, set(), set(known), name)
    for key, value in counts.items():
        strict.count(value, f"boundary.json: {name}'s {key}")


def _texts(found: object, what: str) -> list[str]:
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise strict.VerificationError(f"boundary.json: {what} is not a list of texts")
    return found
