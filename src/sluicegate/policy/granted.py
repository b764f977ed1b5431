"""What one policy grants beside flows and another does not: secrets, the agent's keys, limits, the record. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from sluicegate.policy.decide import COMMON_METHODS
from sluicegate.policy.model import Policy, Secret
from sluicegate.policy.together import together

# Connections that the gate holds at once where no policy says a number; `gate.limits` has it.
OWN_CONNECTIONS = 2000
# What is compared here, and what `compare` asks the gate's own functions about.
_HERE = (
    *("env", "bind", "outputs", "writable", "digests", "secrets", "connections", "upload"),
    "upload_per_host",
)
_COUNTED = ("requests_per_minute", "names_per_wildcard")
_ASKED = ("source", "observe", "allow", "deny", "inspect")
KNOWN = frozenset((*_HERE, *_COUNTED, *_ASKED))
_LIMITS = ("upload", "upload_per_host", "requests_per_minute", "names_per_wildcard")


@dataclass(slots=True)
class Grants:
    """Sentences: what is granted newly, what no longer, and what can not be said."""

    more: list[str] = field(default_factory=list)
    less: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)


def compare(old: tuple[Policy, ...], new: tuple[Policy, ...]) -> Grants:
    """What `new` grants beside flows and `old` does not, and the other way round."""
    return Grants(
        [*_more(old, new, "now")],
        [*_more(new, old, "before")],
        [*_names(old, new), *_unknown(old, new)],
    )


def _more(less: tuple[Policy, ...], more: tuple[Policy, ...], when: str) -> Iterator[str]:
    """What `more` grants and `less` does not. `when` more holds: now, or before."""
    few, many = together(less), together(more)
    for name in many.env:
        if name not in few.env:
            yield f"agent.env: {when} the command is given the variable {name}"
    for path in many.bind:
        around = [other for other in few.bind if path.startswith(f"{other}/")]
        if path not in few.bind and around:
            # A credential store is shown to whom it is named itself, and a guarded file is not guarded then.
            yield (
                f"agent.bind: {when} {path} is named itself,"
                f" which shows and lets change what is hidden or read-only in {around[0]}"
            )
        elif path not in few.bind:
            yield f"agent.bind: {when} the command may write to {path}"
    for name in many.outputs:
        if name not in few.outputs:
            yield f"agent.outputs: {when} the command may hand {name} to later steps"
    for path in many.writable:
        if path not in few.writable:
            yield f"agent.writable: {when} the command may write to {path}, which later steps execute"
    if few.digests and not many.digests:
        yield f"record: {when} digests of contents are not put on record"
    for name in _LIMITS:
        least, most = getattr(few, name), getattr(many, name)
        if least is not None and (most is None or most > least):
            yield f"limits.{name}: {when} {'none' if most is None else most}, else {least}"
    held, holds = few.connections or OWN_CONNECTIONS, many.connections or OWN_CONNECTIONS
    if holds > held:
        yield f"limits.connections: {when} {holds}, else {held}"
    for secret in many.secrets:
        yield from _wider(secret, few.secrets, when)
    for name in sorted(_looked_for(less) - _looked_for(more)):
        yield f"secrets: {when} the value of {name} is not looked for in requests"


def _wider(secret: Secret, others: tuple[Secret, ...], when: str) -> Iterator[str]:
    """Where this secret's value is put and those of `others` are not."""
    alike = [one for one in others if _way(one) == _way(secret)]
    for host in secret.hosts:
        methods = set(secret.methods) or {"", *COMMON_METHODS}
        for one in alike:
            if any(_covers(other, host) for other in one.hosts):
                methods -= set(one.methods) or methods
        if methods:
            asked = "" if not secret.methods else " ".join(["", *sorted(methods)])
            place = f"{secret.place} {secret.key}".strip()
            value = " ".join(secret.source)
            use = "signs" if secret.place == "sigv4" else "is put into"
            yield f"secrets: {when} {value} {use}{asked} requests to {host} ({place})"


def _way(secret: Secret) -> tuple[object, ...]:
    return secret.name, secret.source, secret.place, secret.key


def _covers(wide: str, host: str) -> bool:
    """Whether all that `host` stands for is what `wide` stands for."""
    if wide[0] != "*":
        return wide == host
    return host == wide or host.endswith(wide[1:])


def _looked_for(policies: tuple[Policy, ...]) -> set[str]:
    return {" ".join(secret.source) for secret in together(policies).secrets}


def _names(old: tuple[Policy, ...], new: tuple[Policy, ...]) -> Iterator[str]:
    """Wildcards of the old policies below which the new ones may let more names through than were counted."""
    most = together(old).names_per_wildcard
    now = together(new).names_per_wildcard
    if most is None or now is None or now > most:
        return  # no limit, or one that is looser all the same
    for policy in old:
        plain = _hosts(policy, wildcard=False)
        for wild in sorted(_hosts(policy, wildcard=True)):
            if not any(_counts(other, wild, plain) for other in new) and _reached(new, wild, most):
                yield f"limits.names_per_wildcard: *.{wild} is not counted as before"


def _counts(policy: Policy, wild: str, plain: set[str]) -> bool:
    """Whether one wildcard of `policy` counts every name below `wild` but for those in `plain`."""
    above = any(wild == w or wild.endswith(f".{w}") for w in _hosts(policy, wildcard=True))
    return above and all(
        name in plain for name in _hosts(policy, wildcard=False) if name.endswith(f".{wild}")
    )


def _reached(policies: tuple[Policy, ...], wild: str, most: int) -> bool:
    """Whether each of `policies` may let more than `most` names below `wild` through."""
    for policy in policies:
        wide = any(
            w == wild or w.endswith(f".{wild}") or wild.endswith(f".{w}")
            for w in _hosts(policy, wildcard=True)
        )
        below = [n for n in _hosts(policy, wildcard=False) if n.endswith(f".{wild}")]
        if not policy.observe and not wide and len(below) <= most:
            return False
    return True


def _hosts(policy: Policy, *, wildcard: bool) -> set[str]:
    return {str(r.host) for r in policy.allow if r.host is not None and r.wildcard is wildcard}


def _unknown(old: tuple[Policy, ...], new: tuple[Policy, ...]) -> Iterator[str]:
    """Members of a policy that this module knows nothing of, where they differ."""
    for one in fields(Policy):
        if one.name not in KNOWN:
            was, now = ([getattr(policy, one.name) for policy in some] for some in (old, new))
            if any(value not in was for value in now) or any(value not in now for value in was):
                yield f"{one.name}: differs, and what that means is not compared here"
