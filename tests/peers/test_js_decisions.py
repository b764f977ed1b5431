"""Random policies and facts: both verifiers decide each the same, with the same rule, reason and remedy."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sluicegate.facts import Decision, Facts, Protocol, Verdict, Via
from sluicegate.policy import ask, conditions, normal, paths
from sluicegate.policy import decide as policy
from sluicegate.policy.model import Policy, PolicyError, Rule, Secret
from sluicegate.policy.opening import opened, opens
from sluicegate.verify.answers import Answers
from sluicegate.verify.strict import VerificationError
from sluicegate.wire import addresses, names
from sluicegate.wire.cursor import WireError
from tests.peers.second import VERIFIER, node

PROGRAM = Path(__file__).parent / "programs" / "call_cases.js"
# Few values, so that rules and flows meet often.
NAMES = ("a.example", "b.a.example", "c.b.a.example", "xn--bcher-kva.example", "1.example", "_x.a")
ADDRESSES = (
    *("192.0.2.7", "10.0.0.1", "203.0.113.9", "169.254.169.254", "0.0.0.0", "255.255.255.255"),
    *("2001:db8::1", "::ffff:a00:1", "::ffff:c000:207", "64:ff9b::c000:207", "64:ff9b::a00:1"),
    *("2002:c000:207::1", "2002:a00:1::", "2001::1", "2001:0:c000:207::3fff:fdf8", "::c000:207"),
    *("fe80::5efe:a00:1", "2001:db8::5efe:a00:1", "2001:db8::200:5efe:a00:1", "::1", "fd00::1"),
    *("::ffff:0:a00:1", "fe80::1%eth0", "1::", "0:0:1::", "1:0:0:2::3"),
)
NETWORKS = (
    *(
        "192.0.2.0/24",
        "192.0.2.7/32",
        "10.0.0.0/8",
        "0.0.0.0/0",
        "203.0.113.8/31",
        "::/0",
        "fe80::/10",
    ),
    *("2001:db8::/32", "64:ff9b::/96", "2002::/16", "2001:db8::1/128"),
)
PORTS = (22, 80, 80, 443, 443, 8080)
METHODS = ("GET", "GET", "POST", "BREW", "TRACE", "PURGE")
GLOBS = (
    "/**",
    "/a/*",
    "/a",
    "/*/b",
    "/**/b",
    "/a*b",
    "/a**b*c",
    "/caf\u00e9/*",
    "/\U0001f511",
    "*",
    "**",
)
PIECES = ("a", "b", "c", "/", "/", "..", ".", "//", "%2f", "%61", "%25", "%2e", ";", "%", "?", "#")
PIECES += (
    "%C3%A9",
    "%ff",
    "%F0%9F%94%91",
    "caf",
    "-",
    "%0a",
    "%7f",
    "%00",
    "%E0%80%80",
    "%zz",
    "*",
)
# Of what conditions are about: names that are the same to some servers, values that can be read in two ways.
PARAMETERS = ("mode", "mode", "a_b", "k")
VALUES = (
    "read",
    "read*",
    "*",
    "a b",
    "a+b",
    "r*d",
    "*,x",
    "READ",
    "*a*a*",
    "\u00e9*",
    "a*b*c",
    "...x",
)
QUERIES = (
    "mode",
    "MODE",
    "mode[]",
    "a.b",
    "a_b",
    "%6dode",
    "caf%C3%A9",
    "k",
    "%4b",
    "%E2%84%AA",
    "+k",
    "m%25",
    "%",
)
QUERIES += ("%ff", "\u00e9", "%C2%A0mode", "%EF%BB%BFmode", "mode%00", "a%20b", "a+b")
SENT = (
    "read",
    "reads",
    "READ",
    "a+b",
    "a%20b",
    "%72ead",
    "r%2fd",
    "r;d",
    "",
    "%C3%A9",
    "%E2%80%A8",
    "%CD%B8",
    "aXa",
)
SENT += (
    "r" * 256,
    "r" * 257,
    "a%2520",
    "x,read",
    "read, x",
    "...",
    "a...",
    "%ed%a0%80",
    "%7f",
    "%F0%9F%94%91",
)
FIELDS = ("x-mode", "X-Mode", "x_mode", "accept", "X_MODE")
SEED, TIMES = 20_260_102, 4_000


class Dice(random.Random):
    """Policies, facts and paths, the same in every run of the tests."""

    def maybe(self, things: Sequence[Any], chance: float = 0.5) -> Any:
        return self.choice(things) if self.random() < chance else None

    def some(self, things: Sequence[Any], most: int) -> tuple[Any, ...]:
        return tuple(sorted({self.choice(things) for _ in range(self.randint(0, most))}))

    def path(self) -> str:
        return self.choice(("/", "/", "/", "")) + "".join(
            self.choices(PIECES, k=self.randint(0, 7))
        )

    def rule(self, label: str, *, deny: bool) -> Rule:
        more = {"ports": self.some(PORTS, 3), "methods": self.some(METHODS, 2)}
        more |= {"paths": self.some(GLOBS, 2)}
        if self.random() < 0.5:
            more |= {"methods": (), "paths": ()}
        if self.random() < 0.1:
            more |= self.conditions()
        if not deny and not more["ports"]:
            more["ports"] = (80, 443)
        if self.random() < 0.5 and not deny:
            more["inspect"] = self.maybe((True, False, None))
        if self.random() < 0.5:
            return Rule(label, self.choice(NAMES), self.random() < 0.3, **more)  # type: ignore[arg-type]
        return Rule(label, network=self.choice(NETWORKS), **more)  # type: ignore[arg-type]

    def conditions(self) -> dict[str, Any]:
        found = {"query": self.pairs(PARAMETERS), "headers": self.pairs(("x-mode", "accept"))}
        return {name: found[name] for name in self.some(("query", "headers"), 2)}

    def pairs(self, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
        name, many = self.choice(names), self.random() < 0.2
        values = {self.choice(VALUES) for _ in range(self.randint(1, 3))}
        return tuple((self.choice(names) if many else name, value) for value in values)

    def asked(self) -> dict[str, Any]:
        """What conditions look at in a request: its parameters and headers, as the gate takes them from it."""
        query = "&".join(
            f"{self.maybe(PARAMETERS) or self.choice(QUERIES)}={self.maybe(SENT) or SENT[0]}"
            for _ in range(self.choice((0, 1, 1, 1, 2, 20)))
        )
        fields = [
            (self.choice(FIELDS), self.maybe(SENT) or SENT[0])
            for _ in range(self.choice((0, 1, 1, 2, 20)))
        ]
        names = frozenset(PARAMETERS), frozenset(("x-mode", "accept"))
        return {
            "path": f"{self.path()}?{query}",
            "query": conditions.query(f"?{query}", names[0]),
            "headers": conditions.headers(fields, names[1]),
        }

    def secrets(self) -> tuple[Secret, ...]:
        """Of few kinds, so that policies have the same ones."""
        names = self.some(("*.a.example", "b.a.example", "1.example"), 2)
        one = Secret("A_KEY", ("env", "A_KEY"), names or ("a.example",), (), "bearer")
        other = Secret("B_KEY", ("file", "/b"), ("b.a.example",), ("GET", "POST"), "header", "x-b")
        signs = Secret("C_KEY", ("fd", "c"), ("b.a.example",), (), "sigv4")
        return self.choice(((), (), (one,), (other,), (one, other, signs)))

    def policies(self) -> tuple[Policy, ...]:
        def rules(kind: str, most: int) -> tuple[Rule, ...]:
            return tuple(
                self.rule(f"{kind}[{at}]", deny=kind == "deny")
                for at in range(self.randint(0, most))
            )

        return tuple(
            Policy(
                "p",
                self.random() < 0.3,
                rules("allow", 6),
                rules("deny", 2),
                inspect=self.choice(("auto", "auto", "all", "none")),
                secrets=self.secrets(),
            )
            for _ in range(self.choice((0, 1, 1, 1, 2, 3)))
        )

    def facts(self) -> Facts:
        """Mostly claims that agree: else nothing but mismatches would be found."""
        name = self.maybe(NAMES, 0.7)
        known = name is not None and self.random() < 0.7
        address = "198.18.0.7" if known else self.choice(ADDRESSES)
        proxied = self.random() < 0.3
        said = name or self.maybe((address, self.choice(ADDRESSES)), 0.8)
        port = self.choice(PORTS)
        found = Facts(
            self.choice(tuple(Protocol)),
            address,
            3128 if proxied else port,
            self.choice(tuple(Via)),
            synthetic=name if known else None,
            target=said if proxied else None,
            target_port=port if proxied and said else None,
            sni=name if self.random() < 0.5 else None,
            fault=self.maybe(("a bare LF",), 0.02),
        )
        if self.random() < 0.5:
            web = {"method": self.choice(METHODS), "path": self.path()}
            web |= {"host": said, "host_port": self.maybe((port,))}
            if self.random() < 0.5:
                web |= self.asked()
            kind = self.choice((Protocol.HTTP, Protocol.HTTP, Protocol.HTTPS))
            sni = name if kind is Protocol.HTTPS else None
            found = dataclasses.replace(found, protocol=kind, sni=sni, **web)
        if self.random() < 0.1:
            claim = self.choice(("synthetic", "target", "sni", "host"))
            found = dataclasses.replace(found, **{claim: self.choice((*NAMES, *ADDRESSES[:3]))})
        return found


def called(calls: Sequence[Sequence[object]], directory: Path) -> list[Any]:
    """What the second verifier's functions return, called in one process."""
    file = directory / "calls.json"
    file.write_text(json.dumps(calls))
    code, out = node(PROGRAM, VERIFIER, file)
    assert code == 0
    found = json.loads(out)
    assert len(found) == len(calls)
    return list(found)


def told(facts: Facts) -> dict[str, object]:
    """As a line has them."""
    given = dataclasses.asdict(facts)
    found = {key: value for key, value in given.items() if value is not None and value != ()}
    return found | {"protocol": facts.protocol.value, "via": facts.via.value}


def shown(made: Decision | None) -> dict[str, object] | None:
    """A decision, with the names that the second verifier has for its members."""
    if made is None:
        return None
    found = dataclasses.asdict(made) | {"allowed": made.verdict is Verdict.ALLOW}
    del found["verdict"]
    found["opened"] = found["opened"] or None
    return {key: value for key, value in found.items() if value is not None}


@pytest.fixture(scope="module")
def drawn() -> list[tuple[str, tuple[Policy, ...], Facts]]:
    """Texts of policies, the policies that the first verifier reads from them, and facts."""
    dice, found = Dice(SEED), list[tuple[str, tuple[Policy, ...], Facts]]()
    for number in range(TIMES):
        if number % 5 == 0:
            text = normal.policy_text(dice.policies())
        found.append((text.decode(), normal.read(text), dice.facts()))
    return found


def test_every_decision_is_the_same(
    drawn: list[tuple[str, tuple[Policy, ...], Facts]], tmp_path: Path
) -> None:
    calls = [["decide", text, told(facts)] for text, _, facts in drawn]
    seen = Counter[str]()
    for call, (_, policies, facts), ours in zip(calls, drawn, called(calls, tmp_path), strict=True):
        theirs, rules = policy.decide(policies, facts), ours.pop("rules", [])
        assert ours == shown(theirs), call
        if theirs.rule.partition("[")[0] in {"allow", "deny"}:
            assert rules == [r.label for r in policy.deciding(policies, facts, theirs)], call
        seen[f"{theirs.verdict.value} {theirs.rule.partition('[')[0]} {theirs.observed}"] += 1
    # The search was of something: each kind of decision came up.
    for kind in (
        *("allow allow False", "allow default True", "allow deny True", "allow protocol True"),
        *("deny default False", "deny deny False", "deny fault False", "deny mismatch False"),
        *("deny internal-address False", "deny method False", "deny protocol False"),
    ):
        assert seen[kind] >= 5, seen


def test_of_a_proxy_client_too(
    drawn: list[tuple[str, tuple[Policy, ...], Facts]], tmp_path: Path
) -> None:
    calls = [["preliminary", text, told(facts)] for text, _, facts in drawn]
    for call, (_, policies, facts), ours in zip(calls, drawn, called(calls, tmp_path), strict=True):
        ours.pop("rules", None)
        assert ours == shown(policy.preliminary(policy.relaxed(policies), facts)), call


def test_and_of_what_a_person_answered(
    drawn: list[tuple[str, tuple[Policy, ...], Facts]], tmp_path: Path
) -> None:
    calls, wanted, seen = list[list[object]](), list[object](), Counter[str]()
    words = [*ask.WORDS, "yes"]
    for number, (_, asks, facts) in enumerate(drawn):
        policies = tuple(dataclasses.replace(one, ask=number % 7 != 0) for one in asks)
        text = normal.policy_text(policies)
        answered = dataclasses.replace(facts, answer=words[number % len(words)])
        made = policy.decide(policies, answered)
        host, port = ask.where(made)
        entry = {"connection": 1, "host": host, "port": port, "answer": answered.answer}
        # One of four lists lacks it.
        listed = [entry] if number % 4 else [{**entry, "port": port + 1}]
        calls.append(["answeredTo", text.decode(), told(answered), listed])
        found: object = "refused"  # as of what would be opened
        answers = Answers(policies)
        with contextlib.suppress(VerificationError):
            if not opens(policies, answered):
                settled = shown(answers.take(policies, answered, made, 1, "receipt 7"))
                answers.settle({"answers": listed})
                found = settled
        wanted.append(found)
        seen[str(found["rule"] if isinstance(found, dict) else found)] += 1
    assert min(seen["ask"], seen["refused"]) >= 5, seen
    for call, ours, theirs in zip(calls, called(calls, tmp_path), wanted, strict=True):
        assert ours == theirs, call


def test_and_of_tls_that_is_opened(
    drawn: list[tuple[str, tuple[Policy, ...], Facts]], tmp_path: Path
) -> None:
    hellos = [
        dataclasses.replace(facts, protocol=Protocol.TLS, method=None, path=None, host=None)
        for _, _, facts in drawn
    ]
    asked = [(text, told(facts)) for (text, _, _), facts in zip(drawn, hellos, strict=True)]
    seen = Counter(called([["opens", *one] for one in asked], tmp_path))
    assert min(seen[True], seen[False]) > TIMES / 20, seen
    both = called([[name, *one] for one in asked for name in ("opens", "openedBy")], tmp_path)
    for at, (facts, (_, policies, _)) in enumerate(zip(hellos, drawn, strict=True)):
        assert both[2 * at] is opens(policies, facts), asked[at]
        both[2 * at + 1].pop("rules", None)
        theirs = opened(policies, policy.relaxed(policies), facts)
        assert both[2 * at + 1] == shown(theirs), asked[at]


def test_and_of_what_a_name_has(
    drawn: list[tuple[str, tuple[Policy, ...], Facts]], tmp_path: Path
) -> None:
    dice = Dice(SEED + 1)
    answers = [dice.sample(ADDRESSES, dice.randint(1, 3)) for _ in drawn]
    for name in ("admitted", "answered"):
        calls = [
            [name, text, told(facts), answer]
            for (text, _, facts), answer in zip(drawn, answers, strict=True)
        ]
        outcomes = Counter[bool]()
        for call, (_, policies, facts), answer, ours in zip(
            calls, drawn, answers, called(calls, tmp_path), strict=True
        ):
            made = policy.decide(policies, facts)
            good, why = policy.admit(policies, made, tuple(answer))
            outcomes[bool(good)] += 1
            if name == "admitted":
                assert ours == [list(good), why or ""], call
            else:
                denied = policy.answered(policies, made, tuple(answer))[1]
                rules = ours.pop("rules") if denied is not None else []
                assert ours == shown(denied), call
                address, by, _ = denied.reason.partition(" is denied by ") if denied else ("",) * 3
                if by and made.verdict is Verdict.ALLOW:
                    barring = policy.barring(policies, address, made.port)
                    assert rules == [rule.label for rule in barring], call
        assert min(outcomes.values()) > 100


def test_what_conditions_ask_for(tmp_path: Path) -> None:
    """One rule with conditions about the host of every request, so that they decide."""
    dice, calls, theirs = Dice(SEED + 5), list[list[object]](), list[Decision]()
    seen = Counter[tuple[object, ...]]()
    base = Facts(Protocol.HTTP, "198.18.0.7", 80, synthetic="a.example", host="a.example")
    for _ in range(TIMES):
        plain, kind = Rule("p", "a.example", ports=(80,)), dice.choice(("allow", "deny"))
        narrow = dataclasses.replace(plain, **dice.conditions())
        rules = {"allow": (narrow,)} if kind == "allow" else {"allow": (plain,), "deny": (narrow,)}
        text = normal.policy_text((Policy("p", **rules),))
        facts = dataclasses.replace(base, method="GET", **dice.asked())
        calls.append(["decide", text.decode(), told(facts)])
        theirs.append(policy.decide(normal.read(text), facts))
        seen[kind, theirs[-1].verdict, bool(narrow.query), bool(narrow.headers)] += 1
    for call, made, ours in zip(calls, theirs, called(calls, tmp_path), strict=True):
        ours.pop("rules", None)
        assert ours == shown(made), call
    # Without conditions the rule decides each time.
    assert len(seen) == 2 * 2 * 4 - 2, seen
    assert min(seen.values()) >= 3, seen


def test_paths_and_globs(tmp_path: Path) -> None:
    dice = Dice(SEED + 2)
    raw = [dice.path() for _ in range(TIMES)]
    raw += ["/" + "a/" * 300, "/" + "a" * 8191, "/" + "a" * 8192, "/a?" + "b" * 9000]
    whole = [paths.normal(path) for path in raw]
    assert called([["normalPath", path] for path in raw], tmp_path) == whole
    assert min(whole.count(None), len(raw) - whole.count(None)) > 500
    pairs = [(dice.choice(GLOBS), path) for path in whole if path is not None]
    for _ in range(TIMES):
        glob = "".join(dice.choices(("a", "b", "/", "*", "**", "\u00e9", "\U0001f511"), k=6))
        path = "".join(
            dice.choices(("a", "b", "/", "/", "\u00e9", "\U0001f511"), k=dice.randint(1, 9))
        )
        pairs.append((glob, path))
    matched = [paths.matches(*pair) for pair in pairs]
    assert called([["globMatches", *pair] for pair in pairs], tmp_path) == matched
    assert sum(matched) > 100


def test_names_and_addresses(tmp_path: Path) -> None:
    dice = Dice(SEED + 3)
    labels = ("a", "example", "xn--bcher-kva", "xn--a", "xn--", "xn--bcher-kvA", "xn---a", "0x1")
    labels += ("1", "007", "255", "256", "", "a-", "-a", "_", "a" * 63, "a" * 64, "xn--80ak6aa92e")
    labels += (
        "B",
        "xn--p1ai",
        "xn--a-ecp",
        "xn--zzzzzzzzzz",
        "xn--tiq49xqyj",
        "xn--strae-oqa",
        "a b",
    )
    texts = [".".join(dice.choices(labels, k=dice.randint(1, 4))) for _ in range(TIMES)]
    texts += [
        *ADDRESSES,
        "::ffff:1.2.3.4",
        "1::2::3",
        ":::",
        "1:2:3:4:5:6:7:8:9",
        "[::1]",
        "a\n",
        "::1%",
    ]
    texts += [
        "2001:DB8::1",
        "2001:db8:0:0::1",
        "1.2.3",
        "1.2.3.04",
        "::1.2.3.4",
        ".".join("a" * 127),
    ]

    def is_host(text: str) -> bool:
        try:
            return names.host(text) == text
        except WireError:
            return False

    for call, ours in zip(texts, called([["isHost", t] for t in texts], tmp_path), strict=True):
        assert ours == is_host(call), call
    numbers = [dice.getrandbits(128) & (dice.getrandbits(128) | mask) for mask in (0, 2**128 - 1)]
    numbers += [dice.getrandbits(128) & ~(0xFFFF << 16 * at) for at in range(8) for _ in range(20)]
    numbers += [int(ipaddress.ip_address(a)) for a in ADDRESSES if "%" not in a and ":" in a]
    literal = [names.host(str(ipaddress.IPv6Address(number))) for number in numbers]
    literal += [str(ipaddress.IPv4Address(dice.getrandbits(32))) for _ in range(TIMES)]
    texts += literal
    for call, ours in zip(texts, called([["isAddress", t] for t in texts], tmp_path), strict=True):
        assert ours == names.is_address(call), call
    # Around the edges of every range as well.
    for net, _ in addresses.RANGES:
        edges = (int(net[0]) - 1, int(net[0]), int(net[-1]), int(net[-1]) + 1)
        kind = type(net[0])
        literal += [str(kind(edge)) for edge in edges if 0 <= edge < 2 ** net[0].max_prefixlen]
    literal += list(ADDRESSES)
    inside = [addresses.internal(text) or "" for text in literal]
    assert called([["internal", text] for text in literal], tmp_path) == inside
    assert set(inside) > {
        "",
        "metadata",
        "private",
        "6to4 private",
        "NAT64 private",
        "ISATAP private",
    }


def test_policies_of_another_text(
    drawn: list[tuple[str, tuple[Policy, ...], Facts]], tmp_path: Path
) -> None:
    """Neither reads a text that is not the one of its policies, nor refuses one that is."""
    dice, texts = Dice(SEED + 4), [text for text, _, _ in drawn[::10]]
    words = (
        '"allow"',
        '"deny"',
        "[]",
        "{}",
        "1",
        "0",
        "null",
        "true",
        ",",
        "443",
        '"GET"',
        '"',
        " ",
    )
    words += (
        '"mode":"enforce"',
        '"a.example"',
        "65536",
        "-1",
        '"ports":[80]',
        '"env":[]',
        "*.",
        "A",
    )
    for text in texts[:]:
        at, size = dice.randrange(len(text)), dice.choice((0, 1, 2, 4, 8))
        texts.append(text[:at] + dice.choice(words) + text[at + size :])
        texts.append(text.replace(dice.choice(words), dice.choice(words), 1))

    def read(text: str) -> object:
        try:
            return len(normal.read(text.encode()))
        except PolicyError:
            return "refused"

    wanted = [read(text) for text in texts]
    for text, ours, theirs in zip(
        texts, called([["read", text] for text in texts], tmp_path), wanted, strict=True
    ):
        assert ours == theirs, text
    assert wanted.count("refused") > 300
