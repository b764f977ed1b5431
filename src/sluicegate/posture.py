"""What the probe's outcomes mean: which are holes, and what packet.json may say. Pure.

Nothing is asserted here that was not tried: a way that is missing from the outcomes is `unknown`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# Documentation addresses (RFC 5737, RFC 3849) and the metadata service: nobody's, and wanted by nobody inside.
TCP_TARGETS = (("192.0.2.1", 443), ("2001:db8::1", 80), ("169.254.169.254", 80))
UDP_TARGETS = (("192.0.2.1", 443), ("2001:db8::1", 123), ("224.0.0.251", 5353))
DNS_TARGETS = (("192.0.2.53", 53), ("2001:db8::53", 53))
OPEN = "open"
SAME = "no other identity"
_CALLS = (
    *("io_uring_setup", "bpf", "ptrace", "process_vm_readv", "pidfd_getfd", "perf_event_open"),
    *("userfaultfd", "keyctl", "setns", "setns own", "mount", "open_by_handle_at"),
    *("unshare user", "unshare net", "clone user"),
)
_EXACT = {
    "socket families": "none but the expected",
    "socket protocols": "none",
    "host sockets": "none reachable",
    "environment sockets": "none reachable",
    "exec set-id": SAME,
    # NOROOT, NO_SETUID_FIXUP, NO_CAP_AMBIENT_RAISE with their locks, and KEEP_CAPS locked at off.
    "securebits": "0xef",
    "read hidden": "none readable",
    "capabilities": "none",
    "no_new_privs": "1",
    "seccomp": "2",
    "processes": "own",
    "links": "lo",
    "routes": "lo",
    # Another error would be the kernel's own, after the filter let the call through.
    **dict.fromkeys([f"call {name}" for name in _CALLS], "EPERM"),
    "call clone3": "ENOSYS",
}
_REFUSED = (
    *("socket raw", "socket raw6", "socket ping", "socket packet", "socket vsock"),
    *("docker socket", "host loopback", "host abstract socket", "read key", "write evidence"),
    *("write root", "write sysctl", "signal others", "regain group"),
    *("write sysrq", "regain root", *(f"udp {host} {port}" for host, port in UDP_TARGETS)),
)
# Ways with an outcome of their own: who one is, and what the look at the host's sockets went through.
_FREE = ("uid", "gid")
_SEEN = "host sockets tried"
_SOME = re.compile("(0|[1-9][0-9]{0,9}) of (0|[1-9][0-9]{0,9})")
# An errno, or the error of a wait that was too long.
_ERROR = re.compile("E[A-Z0-9]+|[A-Z][A-Za-z]*Error|unknown error")
_OTHER = (("read key", "no file"),)
_TAKEN = tuple(
    [f"tcp {host} {port}" for host, port in TCP_TARGETS]
    + [f"dns {host} {port}" for host, port in DNS_TARGETS]
)

# What can be in the boundary's own sockets after the probe; `log`: a packet that was refused on its way out.
CAPTURABLE = frozenset((*_TAKEN, "log"))
SYSTEM = "Linux"  # there is no boundary on another


def holes(outcomes: Mapping[str, str], captured: frozenset[str]) -> tuple[str, ...]:
    """The ways that are not shut, each in one sentence; none for a sound boundary.

    `captured` are the ways whose traffic was found in the boundary's own sockets.
    """
    return tuple(_holes(outcomes, captured).values())


def _holes(outcomes: Mapping[str, str], captured: frozenset[str]) -> dict[str, str]:
    found = {
        name: f"{name} is not refused" for name in _REFUSED if outcomes.get(name, OPEN) == OPEN
    }
    found |= {
        name: f"{name}: {outcomes.get(name, 'not probed')}"
        for name, wanted in _EXACT.items()
        if outcomes.get(name) != wanted
    }
    found |= {name: f"{name} did not arrive at the gate" for name in _TAKEN if name not in captured}
    found |= {name: f"{name} is 0" for name in ("uid", "gid") if outcomes.get(name, "0") == "0"}
    return found


def members(
    outcomes: Mapping[str, str], captured: frozenset[str], docker: bool
) -> dict[str, str | int | list[str]]:
    """The members of packet.json's posture that the outcomes support. `docker`: the host has that socket.

    `unsupported_paths` are the ways that were found open, by name; `agent_uid` is there only if it was probed.
    """
    found = _holes(outcomes, captured)
    identity = {"agent_uid": int(outcomes["uid"])} if outcomes.get("uid", "").isdigit() else {}
    return {
        "raw_socket_status": _refusal(outcomes, ("socket raw", "socket raw6", "socket packet")),
        "docker_socket_status": _docker(outcomes, docker),
        "dns_udp_status": _dns(outcomes, captured),
        "browser_proxy_status": _proxy(outcomes, captured, bool(found)),
        "unsupported_paths": sorted(found),
        **identity,
    }


def results(outcomes: Mapping[str, str], captured: frozenset[str]) -> dict[str, str]:
    """Every way as a test: `passed` or `failed`."""
    wrong = _holes(outcomes, captured)
    names = (*_REFUSED, *_EXACT, *_TAKEN, "uid", "gid")
    return {name: "failed" if name in wrong else "passed" for name in names}


def enforcement(tier: str) -> str:
    """How packet.json names the kind of wall."""
    return f"linux_{tier.replace('-', '_')}_tproxy"


def frame_scanning(*, secrets: bool) -> str:
    """What packet.json says of a WebSocket's frames. `secrets`: all policies of the run have one, which is looked for.

    Then the frames that the gate reads are offered to the scanner: of clear HTTP, and where a rule has TLS opened. Of
    the packet's three words the middle one says that: on a path that must be asked for. `always_on` would be untrue,
    for a WebSocket within TLS that no rule opens goes by unseen.
    """
    return "explicit_ws_proxy_path_required" if secrets else "off"


def strange(outcomes: Mapping[str, str]) -> str:
    """The first way, or word about one, that the probe does not have; empty if it has them all."""
    for name, said in outcomes.items():
        if name in _EXACT or name in _FREE or (name == _SEEN and _whole(said)):
            continue
        known = name in _REFUSED or name in _TAKEN
        if not known or not (said == OPEN or _ERROR.fullmatch(said) or (name, said) in _OTHER):
            return f"{name}: {said}"
    return ""


def _whole(said: str) -> bool:
    """Whether so many of so many were tried, and no more than there were."""
    found = _SOME.fullmatch(said)
    return found is not None and int(found[1]) <= int(found[2])


def _refusal(outcomes: Mapping[str, str], names: tuple[str, ...]) -> str:
    said = [outcomes.get(name) for name in names]
    if None in said:
        return "unknown"
    return "allowed" if OPEN in said else "denied"


def _docker(outcomes: Mapping[str, str], there: bool) -> str:
    said = outcomes.get("docker socket")
    if said is None:
        return "unknown"
    if said == OPEN:
        return "allowed"
    if said in {"EACCES", "EPERM"}:
        return "denied"
    return "masked" if there else "absent"


def _dns(outcomes: Mapping[str, str], captured: frozenset[str]) -> str:
    """A question that was sent and did not come to the resolver went elsewhere."""
    asked = [f"dns {host} {port}" for host, port in DNS_TARGETS]
    if any(name not in outcomes for name in asked):
        return "unknown"
    sent = {name for name in asked if outcomes[name] == OPEN}
    if not sent <= captured:
        return "allowed"
    return "proxied" if sent == set(asked) else "denied"


def _proxy(outcomes: Mapping[str, str], captured: frozenset[str], hole: bool) -> str:
    """`forced` only if there is no other way out: one hole, of whatever kind, and the proxy is advice."""
    if any(name not in outcomes for name in _TAKEN):
        return "unknown"
    return "forced" if set(_TAKEN) <= captured and not hole else "advisory"
