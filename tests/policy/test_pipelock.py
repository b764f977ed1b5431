"""A Pipelock configuration becomes a policy that is never wider, and says what it does not do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.policy import grammar
from sluicegate.policy.model import Policy, PolicyError
from sluicegate.policy.pipelock import convert


def policy(text: str) -> Policy:
    return grammar.parse(convert(text, "ci.yaml").text, "converted")


def said(text: str) -> list[str]:
    return [f"{notice.line}: {notice.message}" for notice in convert(text, "ci.yaml").warnings]


def hosts(found: Policy, where: str = "allow") -> list[str]:
    return [f"*.{r.host}" if r.wildcard else str(r.host) for r in getattr(found, where)]


STRICT = "version: 1\nmode: strict\napi_allowlist: [API.example.com, '*.example.org']\n"


def test_lists_are_taken_over_and_a_wildcard_covers_its_apex() -> None:
    found = policy(
        STRICT + "fetch_proxy: {monitoring: {blocklist: [paste.test, '*.drop.co.uk']}}\n"
    )
    assert hosts(found) == ["api.example.com", "example.org", "*.example.org"]
    assert hosts(found, "deny") == ["paste.test", "drop.co.uk", "*.drop.co.uk"]
    assert not found.observe
    assert said(STRICT) == []


@pytest.mark.parametrize(
    ("text", "observe", "warning"),
    [
        ("mode: balanced\napi_allowlist: [a.test]", False, "1: mode balanced lets out"),
        ("version: 1\napi_allowlist: [a.test]", False, "1: mode balanced lets out"),
        ("mode: audit\nenforce: false", True, "2: nothing is denied but internal"),
        (STRICT + "enforce: false", True, "4: nothing is denied but internal"),
        ("mode: balanced", False, "1: no api_allowlist: nothing is allowed"),
    ],
)
def test_modes(text: str, observe: bool, warning: str) -> None:
    assert policy(text).observe is observe
    assert any(line.startswith(warning) for line in said(text)), said(text)


def test_without_a_list_nothing_is_allowed() -> None:
    assert policy("version: 1\n").allow == ()
    assert policy(STRICT + "kill_switch: {enabled: true}\n").allow == ()


def test_who_is_on_both_lists_is_denied_and_that_is_told() -> None:
    text = STRICT + "fetch_proxy: {monitoring: {blocklist: ['*.example.com']}}\n"
    assert said(text) == [
        "4: api.example.com is in api_allowlist and in the blocklist: here it is denied"
    ]


def test_tls_that_is_opened_there_is_opened_here() -> None:
    tls = "tls_interception: {enabled: %s, passthrough_domains: [api.example.com, a.example.org, c.test]}\n"
    found = policy(STRICT + tls % "true")
    assert found.inspect == "all"
    closed = [rule.host for rule in found.allow if rule.inspect is False]
    assert closed == ["api.example.com", "a.example.org"]
    assert "c.test" not in hosts(found)
    assert policy(STRICT + tls % "false").inspect == "auto"


def test_limits() -> None:
    text = "fetch_proxy: {monitoring: {max_requests_per_minute: 90, max_data_per_minute: 5000}}\n"
    found = policy(STRICT + text)
    assert (found.requests_per_minute, found.upload_per_host) == (90, 5000)
    assert len(said(STRICT + text)) == 2
    none = policy(STRICT + "fetch_proxy: {monitoring: {max_data_per_minute: 0}}\n")
    assert none.upload_per_host is None


def test_what_has_no_counterpart_is_named_and_what_is_ours_anyway_is_not() -> None:
    text = (
        STRICT
        + "response_scanning: {action: block}\nmcp_input_scanning: {enabled: true}\nsuppress: []\n"
        + "dlp: {scan_env: true, patterns: []}\nflight_recorder: {enabled: false, dir: /tmp/x}\n"
        + "forward_proxy: {enabled: false}\nlogging: {include_allowed: true}\n"
        + "fetch_proxy: {listen: '127.0.0.1:1', timeout_seconds: 17, max_response_mb: 23}\n"
    )
    assert said(text) == [
        "4: response_scanning has no counterpart: nothing here does it",
        "5: mcp_input_scanning has no counterpart: nothing here does it",
        "11: fetch_proxy.max_response_mb has no counterpart: nothing here does it",
    ]


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("mode: strict\n", 1, "mode: strict without api_allowlist allows nothing"),
        ("mode: lax\n", 1, 'mode "lax" is not known'),
        ("version: 2\n", 1, "version is 2"),
        (STRICT + "internal: []\n", 4, "internal: [] opens every internal address"),
        (STRICT + "trusted_domains: [in.test]\n", 4, "trusted_domains opens internal addresses"),
        (STRICT + "ssrf:\n  ip_allowlist: [10.0.0.0/8]\n", 5, "ssrf.ip_allowlist opens internal"),
        (STRICT + "dlp:\n  patterns: [{name: a, regex: b}]\n", 5, "dlp.patterns stops traffic"),
        (STRICT + "dlp: {secrets_file: s}\n", 4, "dlp.secrets_file stops traffic there"),
        (STRICT + "canary_tokens: {tokens: [x]}\n", 4, "canary_tokens stops traffic there"),
        (STRICT + "mystery: 1\n", 4, 'no key "mystery" of a Pipelock configuration'),
        (STRICT + "dlp: {mystery: 1}\n", 4, 'no key "dlp.mystery"'),
        (STRICT + "dlp: 7\n", 4, "dlp wants a mapping and got 7"),
        (STRICT + "enforce: maybe\n", 4, 'enforce wants true or false and got "maybe"'),
        (STRICT + "fetch_proxy: {monitoring: {max_data_per_minute: x}}\n", 4, "wants a number"),
        ("mode: balanced\napi_allowlist: ['*']\n", 2, 'bare wildcard "*"'),
        ("api_allowlist: ['*.githubusercontent.com']\n", 1, "covers strangers' hosts"),
        ("api_allowlist: a.test\n", 1, 'api_allowlist wants a list and got "a.test"'),
        ("enforce: false\nkill_switch: {enabled: true}\n", 2, "kill_switch with a mode"),
        ("version: 1\nmode: audit\n", 2, "mode: audit says that nothing is denied, and enforce"),
        ("mode: audit\nenforce: true\n", 1, "mode: audit says that nothing is denied, and enforce"),
        ("- a\n", 1, "a Pipelock configuration wants a mapping"),
        ("version: 1\n---\nversion: 1\n", 2, "a second document"),
    ],
)
def test_errors_say_where(text: str, where: int, message: str) -> None:
    with pytest.raises(PolicyError) as raised:
        convert(text, "ci.yaml")
    assert message in str(raised.value)
    assert raised.value.line == where
    assert raised.value.hint or "document" in message


LABEL = st.text("abcdefgh01", min_size=1, max_size=4)
NAME = st.builds(lambda a, b: f"{a}.{b}.example", LABEL, LABEL)
PATTERN = st.one_of(NAME, NAME.map(lambda name: f"*.{name}"))


@settings(max_examples=60, deadline=None)
@given(st.lists(PATTERN, min_size=1, max_size=5), st.lists(PATTERN, max_size=4), st.booleans())
def test_nothing_is_allowed_that_the_list_does_not_name(
    allow: list[str], block: list[str], opened: bool
) -> None:
    quoted = [", ".join(f'"{one}"' for one in some) for some in (allow, block)]
    text = f"mode: strict\napi_allowlist: [{quoted[0]}]\n"
    text += f"fetch_proxy: {{monitoring: {{blocklist: [{quoted[1]}]}}}}\n"
    text += f"tls_interception: {{enabled: {str(opened).lower()}, passthrough_domains: [{quoted[1]}]}}\n"
    found = policy(text)
    apexes = {one.removeprefix("*.") for one in allow}
    wild = {one[2:] for one in allow if one[0] == "*"}
    for rule in found.allow:
        name = str(rule.host)
        below = any(name == top or name.endswith(f".{top}") for top in wild)
        assert below or (name in apexes and not rule.wildcard)
    assert {one.removeprefix("*.") for one in block} == {rule.host for rule in found.deny}
