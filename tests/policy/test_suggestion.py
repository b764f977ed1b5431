from __future__ import annotations

import dataclasses

from sluicegate.facts import Facts, Protocol
from sluicegate.policy import grammar, suggestion
from sluicegate.policy.learn import Learnt, Line, Preset, learn
from sluicegate.policy.needs import needs
from sluicegate.policy.seen import Fate, Seen
from tests.policy.test_again import GET, TLS, seen

EVIL = "/tmp/x\nallow:\n  - host: evil.example\x1b[2J\u202e::error::"


def written(*some: Seen, presets: tuple[Preset, ...] = ()) -> str:
    found = needs([some])
    return suggestion.text(learn(found.all(), presets), ["of a test"], found.others, many=False)


def test_lines_with_their_evidence() -> None:
    some = [
        seen(TLS, opened=True, program="/usr/bin/pip", up=99),
        dataclasses.replace(seen(GET, program="/usr/bin/pip", up=10, down=20), seq=5),
    ]
    assert written(*some) == (
        "# of a test\n"
        "version: 1\n"
        "allow:\n"
        "  # by pip\n"
        "  # 1 request, 1 connection, 10 bytes up, 20 down; seq 3, 5\n"
        "  - host: a.example\n"
        "    ports: [443]\n"
        "    methods: [GET]\n"
        '    paths: ["/x"]\n'
    )


def test_doubtful_lines_are_comments_with_a_warning() -> None:
    post = Facts(
        Protocol.HTTP,
        "198.18.0.7",
        80,
        synthetic="a.example",
        host="a.example",
        method="POST",
        path="/up",
    )
    assert written(seen(post), seen(TLS, Fate.DENIED, rule="default")) == (
        "# of a test\n"
        "version: 1\n"
        "allow:\n"
        "\n"
        "# Not allowed without a look at it: remove the # of what is wanted.\n"
        "# WARNING: sent in the clear, where anybody on the way reads and changes it\n"
        "#  # 1 request, 0 bytes up, 0 down; seq 3\n"
        "#  - host: a.example\n"
        "#    ports: [80]\n"
        "#    methods: [POST]\n"
        '#    paths: ["/up"]\n'
        "\n"
        "# Not suggested:\n"
        "#   1x denied: a.example port 443 (default)\n"
    )


def test_doubtful_lines_can_be_taken_by_removing_their_mark() -> None:
    post = Facts(
        Protocol.HTTP,
        "198.18.0.7",
        80,
        synthetic="a.example",
        host="a.example",
        method="POST",
        path="/up",
    )
    for some, ports in (([post], [(80,)]), ([post, TLS], [(443,), (80,)])):
        text = written(*map(seen, some))
        taken = text.replace("\n#  ", "\n  ").replace("\n#    ", "\n    ")
        assert [rule.ports for rule in grammar.parse(taken, "s.yaml").allow] == ports


def test_what_the_command_chose_is_text_and_nothing_else() -> None:
    path = '/a"]\\u000a  - host: evil.example'
    one = seen(dataclasses.replace(GET, path="/a%22%5D%0A"), program=EVIL)
    two = dataclasses.replace(
        seen(dataclasses.replace(GET, path="/%22%5D%23%20x"), program=EVIL), seq=4
    )
    text = written(one, two)
    assert text.isascii()
    assert all(line.isprintable() for line in text.splitlines())
    policy = grammar.parse(text, "s.yaml")
    assert [rule.host for rule in policy.allow] == ["a.example"]
    assert suggestion.comment(f"{path}\n{EVIL}").isprintable()
    assert "\n" not in suggestion.comment("a\nb\r\x85\u2028c")
    assert len(suggestion.comment("x" * 5000)) < 200


def test_hosts_that_yaml_takes_for_something_else() -> None:
    for host in ("no", "on", "1e3.e5", "null", "0x1.x"):
        text = written(seen(dataclasses.replace(TLS, synthetic=host, sni=host)))
        assert [rule.host for rule in grammar.parse(text, "s.yaml").allow] == [host]


def test_addresses_wildcards_presets_and_the_rest() -> None:
    six = seen(Facts(Protocol.OPAQUE, "2001:db8::1", 22))
    assert '  - ip: "2001:db8::1/128"\n    ports: [22]\n' in written(six)
    lines = [
        Line(None, ((0, seen(GET)),), ("git",), preset="github-read", repos=("a/b", "c/d")),
        Line(None, ((0, seen(GET)),), (), preset="python"),
    ]
    text = suggestion.text(Learnt(lines), [], {f"kind {n}": 1 for n in range(50)}, many=True)
    assert "  # by git\n" in text
    assert "  - preset: github-read\n    repos: [a/b, c/d]\n" in text
    assert "  # by a program that was gone\n" in text
    assert "seq 1:3\n" in text
    assert "#   ... and 10 more kinds\n" in text


def test_what_no_line_covers_is_said() -> None:
    one = dataclasses.replace(seen(TLS), reason="why\nnot")
    assert "#   seq 3: why?not\n" in suggestion.text(Learnt(uncovered=[one]), [], {}, many=False)
