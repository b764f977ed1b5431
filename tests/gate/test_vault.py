import base64
from collections.abc import Callable
from dataclasses import replace

import pytest

from sluicegate.evidence import signatures
from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.gate.vault import REDACTED, THOROUGH, Held, Vault
from sluicegate.policy.model import Secret
from sluicegate.scan import sigv4
from sluicegate.wire import http
from tests import aws

VALUE, PLACEHOLDER = "sk-live-7Gq2Vw9Zt4Kd1Xp8", "sk-live-3Rb6Ny0Hc5Mf2Js7"
TOKEN = "ghp_5Tn8Yw2Lk9Qv4Zc1Xm7"  # of the environment that the command does not get
HOST = "api.example"
FACTS = Facts(Protocol.HTTPS, "198.18.0.1", 443, synthetic=HOST, sni=HOST, host=HOST)
FACTS = replace(FACTS, method="GET", path="/")
YES = Decision(Verdict.ALLOW, "allow[0] p:1", "it is allowed", 443, HOST)


def vault(place: str = "header", key: str = "x-api-key", methods: tuple[str, ...] = ()) -> Vault:
    secret = Secret("API_KEY", ("env", "API_KEY"), (HOST,), methods, place, key)
    return Vault((Held(secret, PLACEHOLDER, VALUE),), {"GITHUB_TOKEN": TOKEN.encode()})


def request(line: str = "GET /", *headers: str) -> http.Request:
    text = "\r\n".join((f"{line} HTTP/1.1", f"Host: {HOST}", *headers, "", ""))
    found = http.read_request_head(text.encode())
    assert found is not None
    return found


def weigh(
    asked: http.Request, kept: Vault | None = None, **changes: object
) -> tuple[Decision, bytes]:
    facts = replace(FACTS, method=asked.method, path=asked.path, **changes)  # type: ignore[arg-type]
    _, decision, sent = (kept or vault()).weigh(facts, YES, asked, lambda _: YES)
    return decision, http.write_request(sent)


def basic(text: str) -> str:
    return "Authorization: Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("place", "key", "line", "header", "sent"),
    [
        ("header", "x-api-key", "GET /", f"X-Api-Key: {PLACEHOLDER}", f"X-Api-Key: {VALUE}"),
        ("bearer", "", "GET /", f"authorization: Bearer {PLACEHOLDER}", f"Bearer {VALUE}"),
        ("basic", "", "GET /", basic(f"git:{PLACEHOLDER}"), basic(f"git:{VALUE}")),
        ("basic", "", "GET /", basic(f"{PLACEHOLDER}:"), basic(f"{VALUE}:")),
        ("basic", "git", "GET /", basic(f"git:{PLACEHOLDER}"), basic(f"git:{VALUE}")),
        ("query", "key", f"GET /?a=1&key={PLACEHOLDER}&b", "X: y", f"GET /?a=1&key={VALUE}&b "),
    ],
)
def test_the_value_is_put_in_its_place(
    place: str, key: str, line: str, header: str, sent: str
) -> None:
    decision, made = weigh(request(line, header), vault(place, key))
    assert decision is YES
    assert sent.encode() in made
    assert PLACEHOLDER.encode() not in made


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol": Protocol.HTTP},  # in the clear
        {"protocol": Protocol.HTTPS, "fault": None},
    ],
)
def test_only_inside_tls(changes: dict[str, object]) -> None:
    decision, made = weigh(request("GET /", f"X-Api-Key: {PLACEHOLDER}"), None, **changes)
    assert (decision.verdict is Verdict.ALLOW) == (VALUE.encode() in made)
    assert (decision.verdict is Verdict.ALLOW) == (changes["protocol"] is Protocol.HTTPS)


def test_of_hosts_and_methods_that_the_secret_names() -> None:
    asked = request("GET /", f"X-Api-Key: {PLACEHOLDER}")
    for decision in (replace(YES, name="other.example"), replace(YES, name=None, address="::1")):
        _, made, sent = vault().weigh(FACTS, decision, asked, lambda _: YES)
        assert made.verdict is Verdict.DENY
        assert sent is asked
    assert weigh(asked, vault(methods=("POST",)))[0].verdict is Verdict.DENY
    assert weigh(asked, vault(methods=("GET",)))[0].verdict is Verdict.ALLOW
    # By a header it is a POST as well.
    asked = request("GET /", f"X-Api-Key: {PLACEHOLDER}", "X-HTTP-Method: get, post")
    assert weigh(asked, vault(methods=("GET",)))[0].verdict is Verdict.DENY
    assert weigh(asked, vault(methods=("GET", "POST")))[0].verdict is Verdict.ALLOW
    assert weigh(asked, vault())[0].verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("asked", "where", "encoding"),
    [
        (request("GET /", f"X-Other: {PLACEHOLDER}"), "the headers", "plain"),
        (request("GET /", f"X-Api-Key: {PLACEHOLDER}x"), "the headers", "plain"),
        (request("GET /", f"{PLACEHOLDER}: x"), "the headers", "plain"),
        (request(f"GET /a/{PLACEHOLDER}"), "the path", "plain"),
        (request(f"GET /?q={PLACEHOLDER}"), "the path", "plain"),
        (request("GET /", basic(f"u:{PLACEHOLDER}")), "the headers", "base64"),
        (request("GET /", f"Cookie: a={PLACEHOLDER.encode().hex()}"), "the headers", "hex"),
        (request(f"GET /{PLACEHOLDER[::-1]}"), "the path", "reversed"),
        (request("GET /" + PLACEHOLDER.replace("-", "%2D")), "the path", "escaped"),
    ],
)
def test_anywhere_else_it_is_an_alarm(asked: http.Request, where: str, encoding: str) -> None:
    facts = replace(FACTS, method="GET", path=asked.path, headers=(("x-other", PLACEHOLDER),))
    shown, decision, sent = vault().weigh(facts, YES, asked, lambda _: YES)
    assert (decision.verdict, decision.rule) == (Verdict.DENY, "secret")
    assert decision.reason == (
        f"the placeholder of API_KEY ({encoding}) is in {where}, where it does not belong"
    )
    assert sent is asked
    assert shown.path == (REDACTED if where == "the path" else "/")
    assert not any(text in str((shown, decision)) for text in (PLACEHOLDER, VALUE))


def test_beside_the_place_it_is_one_too() -> None:
    twice = request("GET /", f"X-Api-Key: {PLACEHOLDER}", f"X-Log: {PLACEHOLDER}")
    assert weigh(twice)[0].rule == "secret"


def test_what_lies_in_two_fields_together() -> None:
    """Base64 may be broken into lines: what is whole only across fields is in the head."""
    coded = base64.b64encode(PLACEHOLDER.encode()).decode()
    found = weigh(request(f"GET /{coded[:12]}"))[0]
    assert found.verdict is Verdict.ALLOW
    assert weigh(request("GET /", f"A: {coded}"))[0].rule == "secret"


def test_a_path_with_it_is_not_on_record_whatever_else_has_it() -> None:
    upper = "AKIA7QXW2LK9ZV4ZC1XM"
    kept = Vault((), {"ACCESS_KEY": upper.encode()})
    asked = request(f"{upper} /{upper}")
    shown, decision, _ = kept.weigh(
        replace(FACTS, method=asked.method, path=asked.path), YES, asked, lambda _: YES
    )
    assert decision.reason.endswith("is in the method, where it does not belong")
    assert (shown.method, shown.path) == ("REDACTED", REDACTED)
    assert upper not in str(shown)
    # A long value is found once all of its parts are there, in whatever field each is.
    long = "".join(f"{n:03x}" for n in range(4096))[:400]
    kept = Vault((), {"LONG_TOKEN": long.encode()})
    asked = request(f"GET /{long[:300]}", f"X: {long[100:]}")
    shown, decision, _ = kept.weigh(
        replace(FACTS, method=asked.method, path=asked.path), YES, asked, lambda _: YES
    )
    assert decision.reason.endswith("is in the head, where it does not belong")
    assert (shown.method, shown.path) == ("REDACTED", REDACTED)


def test_what_is_decided_is_what_the_record_shows() -> None:
    """By another path the address itself may be what a rule allows, and no longer the name that is claimed."""
    seen: list[Facts] = []

    def judge(facts: Facts) -> Decision:
        seen.append(facts)
        return replace(YES, name=None, address="192.0.2.1")

    asked = request(f"GET /{PLACEHOLDER}")
    shown, decision, _ = vault().weigh(replace(FACTS, path=asked.path), YES, asked, judge)
    assert seen == [shown]
    assert (decision.name, decision.address) == (None, "192.0.2.1")


@pytest.mark.parametrize(("text", "name"), [(VALUE, "API_KEY"), (TOKEN, "GITHUB_TOKEN")])
def test_values_are_looked_for_as_well(text: str, name: str) -> None:
    decision, _ = weigh(request("GET /", f"X-Api-Key: {text}"))
    assert decision.rule == "secret"
    assert decision.reason.startswith(f"the value of {name} (plain) is in the headers")


@pytest.mark.parametrize(
    "way",
    [
        bytes,
        lambda value: value[::-1],
        lambda value: value.hex().encode(),
        lambda value: value.hex().upper().encode(),
        lambda value: base64.b64encode(b"xy" + value),
        lambda value: base64.urlsafe_b64encode(b"x" + value),
    ],
)
def test_of_many_that_are_withheld_all_are_looked_for(way: Callable[[bytes], bytes]) -> None:
    """The first ones in every encoding, the others in those that take no time to get ready."""
    many = {f"TOKEN_{n:02}": f"{n:02}~~~Zx81kQm2Lw93Rt77{n:02}".encode() for n in range(20)}
    kept = Vault((), many)
    for name, value in many.items():
        found = kept.watch().content(YES, b"<" + way(value) + b">")
        assert found is not None, name
        assert f"of {name} " in found.reason
    escaped = ["".join(f"%{byte:02x}" for byte in value).encode() for value in many.values()]
    seen = [kept.watch().content(YES, text) is not None for text in escaped]
    assert seen == [number < THOROUGH for number in range(20)]


@pytest.mark.parametrize("claim", ["target", "sni", "host"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PLACEHOLDER, "the placeholder of API_KEY (plain)"),
        (VALUE, "the value of API_KEY (plain)"),
        (TOKEN.replace("_", "."), None),
        (TOKEN[:9] + "." + TOKEN[9:], "the value of GITHUB_TOKEN (plain)"),
        (TOKEN.encode().hex(), "the value of GITHUB_TOKEN (hex)"),
        (TOKEN[::-1], "the value of GITHUB_TOKEN (reversed)"),
        (base64.b64encode(b"x:" + TOKEN.encode()).decode(), "the value of GITHUB_TOKEN (base64)"),
    ],
)
def test_what_is_called_by_it_is_an_alarm_and_not_on_record(
    claim: str, text: str, said: str | None
) -> None:
    """As a client spells a name: in small letters."""
    name = f"{text.lower()}.evil.example"
    facts = replace(FACTS, **{claim: name}, path=f"/{text}", query=(("a", text),))  # type: ignore[arg-type]
    judged: list[Facts] = []

    def judge(seen: Facts) -> Decision:
        judged.append(seen)
        return replace(YES, observed=True, opened=True, counted=3, remedy="- host: x")

    found = vault().called(facts, judge)
    if said is None:
        assert found is None
        return
    assert found is not None
    hidden, decision = found
    assert judged == [hidden]
    assert getattr(hidden, claim) == "redacted.invalid"
    assert (hidden.path, hidden.query) == (REDACTED, ())
    assert [hidden.target, hidden.sni, hidden.host].count("redacted.invalid") == 1
    assert decision.reason == f"{said} is in the name, where it does not belong"
    assert (decision.verdict, decision.rule) == (Verdict.DENY, "secret")
    marks = (decision.observed, decision.opened, decision.counted, decision.remedy)
    assert marks == (False, False, None, None)


def test_what_is_asked_for_by_it_is_told() -> None:
    kept = vault()
    assert kept.asked(b"packages.example.com") is None
    assert kept.asked(TOKEN.lower().encode() + b".test") == "the value of GITHUB_TOKEN (plain)"
    escaped = "".join(f"%{byte:02X}" for byte in VALUE.encode()).encode()
    assert kept.asked(escaped) == "the value of API_KEY (escaped)"


def test_a_limit_that_was_reached_as_well_counts_nothing() -> None:
    """What a denial by a limit counted has no place in another one."""
    no = replace(YES, verdict=Verdict.DENY, rule="limits.requests_per_minute", counted=8)
    _, decision, _ = vault().weigh(FACTS, no, request("GET /", f"X: {PLACEHOLDER}"), lambda _: no)
    assert (decision.rule, decision.counted) == ("secret", None)


def test_what_is_denied_anyway_is_an_alarm_and_not_on_record() -> None:
    no = replace(YES, verdict=Verdict.DENY, rule="default", reason="no rule", remedy="- host: x")
    facts, decision, _ = vault().weigh(
        replace(FACTS, path=f"/{PLACEHOLDER}"), no, request(f"GET /{PLACEHOLDER}"), lambda _: no
    )
    assert (decision.rule, decision.remedy, facts.path) == ("secret", None, REDACTED)
    plain = vault().weigh(FACTS, no, request(), lambda _: no)
    assert plain[1] is no


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("before", range(3))
def test_content_in_pieces_of_any_size(size: int, before: int) -> None:
    watch = vault().watch()
    data = base64.b64encode(b"x" * before + PLACEHOLDER.encode() + b"yz")
    found = [watch.content(YES, data[at : at + size]) for at in range(0, len(data), size)]
    denied = next(one for one in found if one is not None)
    assert denied.reason.startswith("the placeholder of API_KEY (base64) is in the content")
    assert vault().watch().content(YES, b"nothing of it" * 100) is None


def test_nothing_that_is_printed_shows_a_value() -> None:
    secret = Secret("API_KEY", ("env", "API_KEY"), (HOST,), (), "bearer")
    shown = repr(Held(secret, PLACEHOLDER, VALUE))
    assert "API_KEY" in shown
    assert VALUE not in shown
    assert PLACEHOLDER not in shown


AWS_VALUE, AWS_PLACEHOLDER = (
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "xQwertYuiOPAS/D7FGHJK/lZxCvBNQWERTYUIOPA",
)
SIGNING = Secret("AWS_SECRET_ACCESS_KEY", ("env", "K"), (HOST,), ("GET",), "sigv4")


def aws_vault(*others: Held) -> Vault:
    return Vault((Held(SIGNING, AWS_PLACEHOLDER, AWS_VALUE), *others), {})


def aws_request(secret: str, line: str = "GET /", host: str = HOST, **headers: str) -> http.Request:
    said = {
        "host": host,
        "x-amz-date": aws.DATE,
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    method, target = line.split(" ")
    text = aws.authorization(secret, method, target, said)
    lines = [f"{name}: {value}" for name, value in said.items() if name != "host"]
    return request(line, *lines, f"Authorization: {text}")


def test_a_key_that_signs_goes_nowhere() -> None:
    decision, made = weigh(aws_request(AWS_PLACEHOLDER), aws_vault())
    assert decision is YES
    assert made == http.write_request(aws_request(AWS_VALUE))
    assert made != http.write_request(aws_request(AWS_PLACEHOLDER))
    plain = request("GET /", "X-Other: x")
    assert weigh(plain, aws_vault()) == (YES, http.write_request(plain))


def test_what_else_is_put_in_is_signed_as_it_is_sent() -> None:
    """A session's token is a secret of its own, put into a header."""
    token = Secret("AWS_SESSION_TOKEN", ("env", "T"), (HOST,), (), "header", "x-amz-security-token")
    kept = aws_vault(Held(token, PLACEHOLDER, VALUE))
    decision, made = weigh(aws_request(AWS_PLACEHOLDER, x_amz_security_token=PLACEHOLDER), kept)
    assert decision is YES
    assert made == http.write_request(aws_request(AWS_VALUE, x_amz_security_token=VALUE))


@pytest.mark.parametrize(
    ("asked", "changes", "why"),
    [
        (aws_request("another key"), {}, "other"),
        (aws_request(AWS_VALUE), {}, "other"),  # however the command came by it
        (aws_request(AWS_PLACEHOLDER, host="evil.example"), {}, "other"),
        (
            aws_request(AWS_PLACEHOLDER, x_amz_content_sha256="STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            {},
            "chunks",
        ),
        (aws_request(AWS_PLACEHOLDER, "PUT /"), {}, "elsewhere"),
        (aws_request(AWS_PLACEHOLDER), {"protocol": Protocol.HTTP}, "elsewhere"),
    ],
)
def test_what_can_not_be_signed_anew_does_not_go_on(
    asked: http.Request, changes: dict[str, object], why: str
) -> None:
    facts = replace(FACTS, method=asked.method, headers=(("x-mode", "a"),), **changes)  # type: ignore[arg-type]
    shown, decision, sent = aws_vault().weigh(
        facts, replace(YES, observed=True), asked, lambda _: YES
    )
    assert (decision.verdict, decision.rule, decision.observed) == (
        Verdict.DENY,
        "signature",
        False,
    )
    assert decision.reason == signatures.reason("AWS_SECRET_ACCESS_KEY", why)
    assert sent is asked
    assert shown == facts


def test_of_what_is_denied_no_signature_is_looked_at() -> None:
    no = replace(YES, verdict=Verdict.DENY, rule="default", reason="no rule")
    assert aws_vault().weigh(FACTS, no, aws_request(AWS_PLACEHOLDER), lambda _: no)[1] is no


def test_its_placeholder_and_value_are_looked_for_as_others_are() -> None:
    for text in (AWS_PLACEHOLDER, AWS_VALUE):
        for asked in (request("GET /", f"X-Key: {text}"), request("GET /", basic(f"u:{text}"))):
            decision, _ = weigh(asked, aws_vault())
            assert (decision.verdict, decision.rule) == (Verdict.DENY, "secret")
        found = aws_vault().watch().content(YES, text.encode())
        assert found is not None
    assert aws_vault().watch().response(YES, AWS_VALUE.encode()) is not None


@pytest.mark.parametrize(
    ("asked", "whether"),
    [
        (request("POST /", "Content-Length: 9", "Authorization: AWS4-HMAC-SHA256 x"), True),
        (
            request("POST /", "Transfer-Encoding: chunked", "Authorization: AWS4-HMAC-SHA256 x"),
            True,
        ),
        (request("POST /", "Content-Length: 9", "Authorization: Bearer x"), False),
        (request("POST /", "Content-Length: 9"), False),
        (request("POST /", "Authorization: AWS4-HMAC-SHA256 x"), False),
        (request("PUT /", "Content-Length: 9", "Authorization: AWS4-HMAC-SHA256 x"), False),
        (
            request(
                *("POST /", "Content-Length: 9", "Authorization: AWS4-HMAC-SHA256 x"),
                "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD",
            ),
            False,
        ),
    ],
)
def test_a_content_is_read_first_where_it_is_signed_and_not_said(
    asked: http.Request, whether: bool
) -> None:
    signs = replace(SIGNING, methods=("POST",))
    kept = Vault((Held(signs, AWS_PLACEHOLDER, AWS_VALUE),), {})
    assert (kept.holds(asked) is not None) is whether
    assert kept.holds(replace(asked, host="other.example")) is None
    assert vault().holds(asked) is None


def test_a_content_that_was_read_first_is_signed() -> None:
    said = {"host": HOST, "x-amz-date": aws.DATE}
    given, wanted = (
        aws.authorization(key, "POST", "/", said, content=b"nine byte")
        for key in (AWS_PLACEHOLDER, AWS_VALUE)
    )
    asked = request(
        *("POST /", "Content-Length: 9", f"X-Amz-Date: {aws.DATE}", f"Authorization: {given}")
    )
    kept = Vault((Held(replace(SIGNING, methods=()), AWS_PLACEHOLDER, AWS_VALUE),), {})
    assert weigh(asked, kept)[0].reason == signatures.reason("AWS_SECRET_ACCESS_KEY", "content")
    whole = kept.holds(asked)
    assert whole is not None
    whole.take(b"nine byte")
    decision, made = weigh(replace(asked, content=whole.digest), kept)
    assert decision is YES
    assert f"Authorization: {wanted}\r\n".encode() in made
    other = replace(asked, content=sigv4.NOTHING)
    assert weigh(other, kept)[0].reason == signatures.reason("AWS_SECRET_ACCESS_KEY", "other")
