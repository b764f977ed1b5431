from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.cli import main as cli
from sluicegate.cli import policy

GOOD = "version: 1\nallow:\n  - host: a.example\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text("version: 1\nallow:\n  - hots: a.example\n")
    (tmp_path / "doh.yaml").write_text("version: 1\nallow:\n  - host: dns.google\n")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = cli.main(["policy", *argv])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_check_of_a_good_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "check", "good.yaml")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "good.yaml: ok, 1 allow, 0 deny, mode enforce"
    assert lines[1].startswith("policy_hash: sha256:")


def test_check_says_place_and_remedy_of_every_file(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "check", "bad.yaml", "good.yaml", "doh.yaml", "none.yaml")
    assert code == 1
    assert err.splitlines() == [
        'sluicegate: bad.yaml:3:5: allow[0] has no key "hots"',
        "hint: did you mean host?",
        (
            "sluicegate: doh.yaml:3: allow[0]: dns.google is a public DNS-over-HTTPS resolver: "
            "questions leave through it"
        ),
        "hint: remove the rule; names resolve without it",
        "sluicegate: none.yaml: policy can not be read: no such file or directory",
        "hint: check the path after --policy",
    ]
    assert out.splitlines() == [
        "good.yaml: ok, 1 allow, 0 deny, mode enforce",
        "doh.yaml: has findings, 1 allow, 0 deny, mode enforce",
    ]


def test_check_of_the_default_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "check")[0] == 2
    (here / "sluicegate.yaml").write_text("version: 1\nmode: observe\n")
    code, out, _ = run(capsys, "check")
    assert code == 0
    assert "mode observe: what no rule allows is let through" in out


def test_explain_denied_and_allowed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "explain", "https://b.example/", "--policy", "good.yaml")
    assert (code, err) == (1, "")
    assert "add under allow in good.yaml:\n  - host: b.example\n" in out
    code, out, _ = run(capsys, "explain", "--policy=good.yaml", "https://a.example/")
    assert code == 0
    assert "good.yaml: allows by allow[0] good.yaml:3\n" in out


def test_explain_uses_every_file_and_the_default(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = ("--policy", "good.yaml", "--policy", "doh.yaml")
    assert run(capsys, "explain", "https://a.example/", *both)[0] == 1
    code, out, _ = run(capsys, "explain", "https://a.example/")
    assert code == 1
    assert "add under allow in sluicegate.yaml (missing):" in out
    (here / "sluicegate.yaml").write_text(GOOD)
    assert run(capsys, "explain", "https://a.example/")[0] == 0


def test_explain_takes_a_method(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "get.yaml").write_text(
        "version: 1\nallow: [{host: a.example, ports: [80], methods: [GET]}]"
    )
    assert run(capsys, "explain", "http://a.example/", "--policy", "get.yaml")[0] == 0
    posted = ("http://a.example/", "--policy", "get.yaml", "--method", "POST")
    code, out, _ = run(capsys, "explain", *posted)
    assert code == 1
    assert "for method GET, not POST" in out
    assert run(capsys, "explain", "POST", "http://a.example/", "--policy", "get.yaml")[1] == out


def test_explain_takes_headers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "asks.yaml").write_text(
        "version: 1\nallow: [{host: a.example, headers: {x-mode: read}}]"
    )
    words = ("explain", "GET", "https://a.example/", "--policy", "asks.yaml")
    assert run(capsys, *words)[0] == 1
    code, out, _ = run(capsys, *words, "--header", "X-Mode: read")
    assert code == 0
    assert "asks.yaml: has TLS opened by allow[0] asks.yaml:2\n" in out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ((), "no policy command given"),
        (("lint",), "unknown policy command 'lint'"),
        (("check",), "no FILE given, and no sluicegate.yaml here"),
        (("check", "--wat"), "option --wat not recognized"),
        (("explain",), "explain wants one URL"),
        (("explain", "https://a.example", "good.yaml"), "explain wants one URL"),
        (("explain", "get", "https://a.example"), "a method in upper case"),
        (("explain", "GET", "https://a.example", "--method", "PUT"), "before it a method"),
        (("explain", "https://a.example", "--header", "x"), "--header wants NAME:VALUE"),
        (("explain", "ftp://a.example"), 'scheme "ftp" is not known'),
        (("explain", "https://a.example", "--policy", "bad.yaml"), "bad.yaml:3:5:"),
        (("explain", "https://a.example", "--policy", "none.yaml"), "can not be read"),
    ],
)
def test_usage(
    argv: tuple[str, ...], said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "")
    assert err.startswith("sluicegate: ")
    assert said in err


@pytest.mark.parametrize("argv", [("--help",), ("help",), ("check", "-h"), ("explain", "--help")])
def test_help(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, *argv) == (0, policy.USAGE, "")


def test_a_file_can_not_write_to_the_terminal(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "evil.yaml").write_text('version: 1\n"\\e[2J\\n::error::x": 1\n')
    code, _, err = run(capsys, "check", "evil.yaml")
    assert code == 1
    assert "\x1b" not in err
    assert not any(line.startswith("::") for line in err.splitlines())
