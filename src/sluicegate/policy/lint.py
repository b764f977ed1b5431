"""What a policy may say and its author should know: findings, not errors."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace

from sluicegate.policy.hosts import within
from sluicegate.policy.model import Policy, Rule

# Public resolvers that answer over HTTPS: whoever reaches one has a way out through questions.
RESOLVERS = (
    *("dns.google", "dns.google.com", "cloudflare-dns.com", "one.one.one.one", "dns.quad9.net"),
    *("dns9.quad9.net", "dns10.quad9.net", "dns11.quad9.net", "doh.opendns.com", "dns.nextdns.io"),
    *("adguard-dns.com", "dns.adguard.com", "doh.cleanbrowsing.org", "doh.dns.sb", "dns.sb"),
    *("dns.alidns.com", "doh.pub", "dns.mullvad.net", "doh.mullvad.net", "dns.controld.com"),
    *("freedns.controld.com", "doh.libredns.gr", "ordns.he.net", "dns.switch.ch", "dns.twnic.tw"),
    *(
        "public.dns.iij.jp",
        "doh.applied-privacy.net",
        "anycast.uncensoreddns.org",
        "wikimedia-dns.org",
    ),
)
RESOLVER_ADDRESSES = tuple(
    ipaddress.ip_address(text)
    for text in (
        *("1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9", "149.112.112.112"),
        *("208.67.222.222", "208.67.220.220", "94.140.14.14", "94.140.15.15"),
        *("2606:4700:4700::1111", "2606:4700:4700::1001", "2001:4860:4860::8888"),
        *("2001:4860:4860::8844", "2620:fe::fe", "2620:fe::9"),
    )
)
# Hosts whose whole use is to fetch, pass on or keep for others what a URL or a body says: a rule for one is a rule for
# wherever it leads. Proxies of images and pages, translators, archives, boxes that show what they are sent.
RELAYS = (
    *(
        "camo.githubusercontent.com",
        "images.weserv.nl",
        "wsrv.nl",
        "wp.com",
        "external-content.duckduckgo.com",
    ),
    *("translate.goog", "translate.google.com", "cdn.ampproject.org", "corsproxy.io", "r.jina.ai"),
    *(
        "allorigins.win",
        "cors-anywhere.herokuapp.com",
        "web.archive.org",
        "archive.ph",
        "archive.today",
    ),
    *(
        "webhook.site",
        "requestbin.com",
        "pipedream.net",
        "oast.pro",
        "oast.fun",
        "interact.sh",
        "ngrok.io",
    ),
    *(
        "ngrok-free.app",
        "trycloudflare.com",
        "hooks.zapier.com",
        "transfer.sh",
        "file.io",
        "0x0.st",
    ),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know, and the rule it is about."""

    rule: Rule
    message: str
    hint: str


def lint(policy: Policy) -> tuple[Finding, ...]:
    """What is worth a second look in one policy, in its order."""
    found = []
    seen: dict[Rule, Rule] = {}
    for rule in policy.allow:
        resolver = _resolver(rule)
        if resolver is not None:
            message = f"{resolver} is a public DNS-over-HTTPS resolver: questions leave through it"
            found.append(Finding(rule, message, "remove the rule; names resolve without it"))
        relay = None if rule.paths else _among(rule, RELAYS)
        if relay is not None:
            message = (
                f"{relay} passes on what it is told to: whoever reaches it reaches what it leads to"
            )
            found.append(Finding(rule, message, "name the paths that are needed, or remove it"))
        beaten = next((deny for deny in policy.deny if _beats(deny, rule)), None)
        if beaten is not None:
            message = f"never allows anything: {beaten.label} denies all of it"
            found.append(Finding(rule, message, "remove one of the two"))
        closed = next((other for other in policy.allow if _closes(other, rule)), None)
        if closed is not None:
            message = (
                f"is not looked at on TLS: inspect: false of {closed.label} is for the same host"
            )
            found.append(Finding(rule, message, "remove one of the two"))
        key = _bare(rule)
        # What two presets have in common, or a preset and a line, is nobody's mistake.
        if key in seen and not (rule.preset or seen[key].preset):
            found.append(Finding(rule, f"says the same as {seen[key].label}", "remove it"))
        seen.setdefault(key, rule)
    return tuple(found)


def _bare(rule: Rule) -> Rule:
    return replace(rule, label="", preset="")


def _resolver(rule: Rule) -> str | None:
    if rule.network is not None:
        network = ipaddress.ip_network(rule.network)
        return next((str(a) for a in RESOLVER_ADDRESSES if a in network), None)
    return _among(rule, RESOLVERS)


def _among(rule: Rule, known: tuple[str, ...]) -> str | None:
    """The first of `known` names that the rule is about, or that it is below."""
    if rule.host is None:
        return None
    host = rule.host
    under = (name for name in known if host == name or host.endswith(f".{name}"))
    above = (name for name in known if rule.wildcard and name.endswith(f".{host}"))
    return next(under, None) or next(above, None)


def _closes(closed: Rule, rule: Rule) -> bool:
    if closed.inspect is not False or not (rule.narrow or rule.inspect) or rule.host is None:
        return False
    # A wildcard rule with one name below it that can not be opened is what people need.
    host = f"*.{rule.host}" if rule.wildcard else rule.host
    return within(host, closed) and bool(set(rule.ports) & set(closed.ports))


def _beats(deny: Rule, allow: Rule) -> bool:
    if deny.narrow or (deny.ports and not set(allow.ports) <= set(deny.ports)):
        return False
    if deny.network is not None or allow.network is not None:
        return (
            deny.network is not None
            and allow.network is not None
            and _within(allow.network, deny.network)
        )
    if deny.wildcard:
        same = allow.wildcard and allow.host == deny.host
        return same or str(allow.host).endswith(f".{deny.host}")
    return not allow.wildcard and allow.host == deny.host


def _within(inner: str, outer: str) -> bool:
    a, b = ipaddress.ip_network(inner), ipaddress.ip_network(outer)
    if isinstance(a, ipaddress.IPv4Network) and isinstance(b, ipaddress.IPv4Network):
        return a.subnet_of(b)
    if isinstance(a, ipaddress.IPv6Network) and isinstance(b, ipaddress.IPv6Network):
        return a.subnet_of(b)
    return False
