"""A URL to words: which rule of which file decides, and the lines that would change it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.policy import conditions, opening, paths, remedies
from sluicegate.policy import decide as deciding
from sluicegate.policy.hosts import covers
from sluicegate.policy.model import Policy, Rule, Secret
from sluicegate.policy.together import together
from sluicegate.wire import names
from sluicegate.wire.cursor import WireError

SCHEMES = {"http": 80, "https": 443, "ssh": 22, "tcp": None}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# Any address of the resolver's pool: it stands for the one that the name would be given.
_SYNTHETIC = "198.18.0.1"


class UrlError(Exception):
    """The caller's URL is at fault; `hint` shows one that is understood."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL asks the gate for. `host` is canonical; `path` (with its query) only for HTTP, clear or in TLS."""

    scheme: str
    host: str
    port: int
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A URL, what the gate would know of it, and its decision; `opened`: after its TLS was."""

    target: Target
    facts: Facts
    decision: Decision
    opened: bool


def explain(
    policies: tuple[Policy, ...],
    url: str,
    method: str = "GET",
    headers: Sequence[tuple[str, str]] = (),
) -> tuple[str, bool]:
    """The words, and whether the policies together allow `url`, asked for with `method` and `headers`.

    Raises:
        UrlError: not a URL of a kind that is judged here.
    """
    judged = judge(policies, url, method, headers)
    target, facts, decision = judged.target, judged.facts, judged.decision
    lines = [_asked(target, method, opened=judged.opened)]
    if judged.opened:
        lines += _opening(policies, facts_of(target, method))
    allowed = decision.verdict is Verdict.ALLOW
    for policy in policies:
        lines += _of_file(policy, facts)
    if not policies:
        lines.append("no policy: nothing is allowed")
    secrets = together(policies).secrets
    put = deciding.placed(secrets, facts, decision)
    lines += [_put(secret) for secret in put]
    if allowed and facts.method is not None:
        here = (one for one in secrets if one not in put and covers(one.hosts, target.host))
        lines += [_kept(secret, facts) for secret in here]
    word = "observed" if decision.observed else "allowed" if allowed else "denied"
    lines.append(f"verdict: {word} ({decision.rule}): {decision.reason}")
    if decision.observed:
        lines.append("observe mode lets it through; enforce mode would deny it")
    if decision.remedy is not None:
        lacking = [p.source for p in policies if _lacks(p, facts)] or ["the policy"]
        lines.append(f"add under allow in {', '.join(lacking)}:")
        lines += [f"  {line}" for line in _remedy(policies, facts, decision.remedy).splitlines()]
    elif not allowed and decision.rule != "protocol":
        lines.append("no line allows this: a deny rule beats every allow rule")
    elif not allowed:
        lines.append("no line allows this by name; an ip rule takes any protocol")
    if _own_loopback(target.host):
        lines.append(
            "inside the boundary this is the command's own loopback: not the machine's, and not judged"
        )
    if allowed and not names.is_address(target.host):
        lines.append(
            "still refused if the name resolves to an internal address that no ip rule allows"
        )
    return "\n".join(lines), allowed


def judge(
    policies: tuple[Policy, ...],
    url: str,
    method: str = "GET",
    headers: Sequence[tuple[str, str]] = (),
) -> Judged:
    """What the gate would decide of `url`, asked for with `method` and `headers`.

    Raises:
        UrlError: not a URL of a kind that is judged here.
    """
    target = read_url(url)
    facts = facts_of(target, method)
    # As the gate does: the connection is judged by name and port first, then each request inside.
    outside = deciding.decide(deciding.relaxed(policies), facts)
    opened = opening.opens(policies, facts) and outside.verdict is Verdict.ALLOW
    if opened:
        facts = replace(
            facts, protocol=Protocol.HTTPS, host=target.host, method=method, path=target.path
        )
    if facts.method is not None:
        parameters, fields = deciding.named(policies)
        facts = replace(
            facts,
            query=conditions.query(target.path, parameters),
            headers=conditions.headers(headers, fields),
        )
    return Judged(target, facts, deciding.decide(policies, facts), opened)


def _own_loopback(host: str) -> bool:
    return host == "::1" or (names.is_address(host) and host.startswith("127."))


def read_url(url: str) -> Target:
    """The target of `scheme://host[:port][/path]` or a bare `host:port`.

    Raises:
        UrlError: a scheme, host or port that is not understood.
    """
    found = _SCHEME.match(url)
    scheme = found[1].lower() if found else "tcp"
    if scheme not in SCHEMES:
        raise UrlError(f'scheme "{scheme}" is not known', "one of: " + ", ".join(SCHEMES))
    rest = url[found.end() :] if found else url
    cut = re.search(r"[/?#]", rest)
    place, tail = (rest[: cut.start()], rest[cut.start() :]) if cut else (rest, "")
    if scheme == "ssh":
        place = place.rpartition("@")[2]
    try:
        host, port = names.authority(place, SCHEMES[scheme])
    except WireError as error:
        raise UrlError(f'"{url}" is not understood: {error}', "https://example.com/") from error
    if port is None:
        raise UrlError(f'"{url}" has no port', f"https://{host}/ or {host}:443")
    if found is None:
        # The schemes of the two ports that speak only one thing; whoever means another writes tcp://.
        scheme = {80: "http", 443: "https"}.get(port, scheme)
    path = tail.partition("#")[0]
    path = path if path.startswith("/") else f"/{path}"
    return Target(scheme, host, port, path if scheme in {"http", "https"} else None)


def facts_of(target: Target, method: str) -> Facts:
    """What the gate would know about a connection to `target`, before anything is opened."""
    bare = names.is_address(target.host)
    address = target.host if bare else _SYNTHETIC
    name = None if bare else target.host
    if target.scheme == "http":
        return Facts(
            Protocol.HTTP,
            address,
            target.port,
            synthetic=name,
            host=target.host,
            method=method,
            path=target.path,
        )
    protocol = Protocol.TLS if target.scheme == "https" else Protocol.OPAQUE
    sni = name if protocol is Protocol.TLS else None
    return Facts(protocol, address, target.port, synthetic=name, sni=sni)


def _asked(target: Target, method: str, *, opened: bool) -> str:
    what = f"{target.host} port {target.port}"
    if target.scheme == "http" or opened:
        return f"{method} {target.path} at {what}, {'inside TLS' if opened else 'clear HTTP'}"
    return f"{what}, {'TLS' if target.scheme == 'https' else 'TCP'}: method and path are not seen"


def _opening(policies: tuple[Policy, ...], facts: Facts) -> list[str]:
    """Which files have TLS opened, and what in them."""
    found = [(policy.source, opening.opener(policy, facts)) for policy in policies]
    return [f"{source}: has TLS opened by {why}" for source, why in found if why is not None]


def _put(secret: Secret) -> str:
    if secret.place == "sigv4":
        return f"secret {secret.name}: an AWS signature by its placeholder becomes one by its value"
    place = {
        "header": f"the header {secret.key}",
        "query": f"the query parameter {secret.key}",
        "bearer": "the header authorization, after Bearer",
        "basic": f"the header authorization, as password of {secret.key or 'the user it names'}",
    }
    return f"secret {secret.name}: its value takes the placeholder's place in {place[secret.place]}"


def _kept(secret: Secret, facts: Facts) -> str:
    """Of one that is for this host: the rules allow the request, and the gate denies it where it needs the secret."""
    clear = facts.protocol is Protocol.HTTP
    what = "clear HTTP" if clear else f"{facts.method}, but {' '.join(sorted(secret.methods))}"
    use = "signed with" if secret.place == "sigv4" else "with"
    return f"secret {secret.name}: is not for {what}: a request {use} its placeholder is denied"


def _of_file(policy: Policy, facts: Facts) -> list[str]:
    decision = deciding.decide((policy,), facts)
    if decision.verdict is Verdict.ALLOW and not decision.observed:
        rules = deciding.deciding((policy,), facts, decision)
        preset = next((f", preset {rule.preset}" for rule in rules if rule.preset), "")
        return [f"{policy.source}: allows by {decision.rule}{preset}"]
    word = "would deny" if decision.observed else "denies"
    lines = [f"{policy.source}: {word}: {decision.reason}"]
    if decision.rule == "default":
        lines += [f"  {rule.label} {why}" for rule, why in _near(policy, facts)]
    return lines


def _near(policy: Policy, facts: Facts) -> list[tuple[Rule, str]]:
    """The allow rules about this host that miss, and by what."""
    about = deciding.subject(facts)
    if isinstance(about, str):
        return []
    found = []
    for rule in policy.allow:
        below = rule.host is not None and about.name == rule.host
        if rule.wildcard and below:
            found.append((rule, f"is for names below {rule.host}, not for {rule.host} itself"))
        elif deciding.names(rule, about):
            found.append((rule, "is for this host, but " + _missed(rule, about.port, facts)))
    return found


def _missed(rule: Rule, port: int, facts: Facts) -> str:
    if port not in rule.ports:
        return f"for {_list('port', rule.ports)}, not {port}"
    if facts.method is None:
        return "for requests that can be seen: it asks for methods, paths, query or headers"
    methods = rule.methods or tuple(sorted(deciding.COMMON_METHODS))
    if facts.method not in methods:
        return f"for {_list('method', methods)}, not {facts.method}"
    path = paths.normal(facts.path)
    if rule.paths and path is None:
        return "the path can be read in two ways"
    if rule.paths and not any(paths.matches(glob, str(path)) for glob in rule.paths):
        return f"for {_list('path', rule.paths)}"
    if not conditions.hold(rule.query, (), facts.query, ()):
        return f"for {_conditions('query', rule.query)} in every reading"
    return f"for {_conditions('headers', rule.headers)} in every occurrence"


def _conditions(noun: str, pairs: tuple[tuple[str, str], ...]) -> str:
    return f"{noun} " + ", ".join(f"{name}: {glob}" for name, glob in pairs)


def _list(noun: str, values: tuple[int, ...] | tuple[str, ...]) -> str:
    return f"{noun}{'s' if len(values) > 1 else ''} {', '.join(map(str, values))}"


def _lacks(policy: Policy, facts: Facts) -> bool:
    return deciding.decide((policy,), facts).remedy is not None


def _remedy(policies: tuple[Policy, ...], facts: Facts, plain: str) -> str:
    # Where a rule asks for more of this host's requests, the line to add is as narrow as its kind.
    about = deciding.subject(facts)
    narrow = not isinstance(about, str) and any(
        rule.narrow and deciding.names(rule, about) for policy in policies for rule in policy.allow
    )
    path = paths.normal(facts.path)
    seen = facts.protocol is Protocol.HTTP and facts.method is not None and facts.port != 443
    if not narrow or not seen or path is None or "*" in path:
        return plain
    lines = f"{plain.splitlines()[0]}\n  ports: [{facts.port}]"
    return remedies.request(lines, str(facts.method), facts.path) or plain
