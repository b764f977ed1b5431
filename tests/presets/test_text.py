from __future__ import annotations

from sluicegate.policy import grammar
from sluicegate.policy.presets import Row
from sluicegate.presets import text

ROWS = (
    Row("a.example", "/etc/a", (443,), ("GET", "HEAD"), ("/x/**", "/y")),
    Row("*.b.example", "/etc/a", (80, 443), ()),
    Row("10.1.2.3", "/etc/b\nevil: x\u202e", (80,), ("GET",)),
    Row("no", "s", query=(("service", "git-upload-pack"),), paths=("/a",)),
)


def test_rows_are_lines_that_say_the_same() -> None:
    lines = list(text.lines(ROWS))
    assert lines[:9] == [
        "  # /etc/a",
        "  - host: a.example",
        "    ports: [443]",
        "    methods: [GET, HEAD]",
        '    paths: ["/x/**", "/y"]',
        '  - host: "*.b.example"',
        "    ports: [80, 443]",
        "  # /etc/b\\nevil: x\\u202e",
        "  - ip: 10.1.2.3",
    ]
    made = grammar.parse("version: 1\nallow:\n" + "\n".join(lines) + "\n", "p").allow
    assert [(rule.host or rule.network, rule.ports, rule.methods, rule.paths) for rule in made] == [
        ("a.example", (443,), ("GET", "HEAD"), ("/x/**", "/y")),
        ("b.example", (80, 443), (), ()),
        ("10.1.2.3/32", (80,), ("GET",), ()),
        ("no", (443,), ("GET", "HEAD"), ("/a",)),
    ]


def test_a_comment_stays_on_its_line() -> None:
    assert text.shown("a\nb\t\x1b[31m\u2028é\\") == "a\\nb\\t\\u001b[31m\\u2028\\u00e9\\"
