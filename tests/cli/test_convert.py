from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.cli import convert
from sluicegate.cli import main as cli
from sluicegate.policy import grammar


def run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, *more: str
) -> tuple[int, str, str]:
    (tmp_path / "ci.yaml").write_text(text)
    code = cli.main(["policy", "convert", str(tmp_path / "ci.yaml"), *more])
    out = capsys.readouterr()
    return code, out.out, out.err.replace(str(tmp_path), "")


def test_what_is_printed_is_a_policy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = "mode: strict\napi_allowlist: [a.example.com]\nresponse_scanning: {enabled: true}\n"
    code, out, err = run(capsys, tmp_path, text)
    assert code == 0
    assert grammar.parse(out, "converted").allow[0].host == "a.example.com"
    assert (
        err
        == "sluicegate: warning: /ci.yaml:3: response_scanning has no counterpart: nothing here does it\n"
    )


def test_errors_print_nothing_on_stdout(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = run(capsys, tmp_path, "mode: strict\n")
    assert (code, out) == (1, "")
    assert err.splitlines()[1] == "hint: name the hosts"
    assert run(capsys, tmp_path, "version: 1\n", "another.yaml")[0] == convert.WRONG
    assert cli.main(["policy", "convert", str(tmp_path / "none.yaml")]) == 1
    assert "no such file" in capsys.readouterr().err
    assert cli.main(["policy", "convert", "--help"]) == 0
    assert capsys.readouterr().out == convert.USAGE


def test_controls_in_a_foreign_file_reach_no_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = run(capsys, tmp_path, 'mode: "\\e[31m\\n::error::x"\n')
    assert (code, out) == (1, "")
    assert "\x1b" not in err
    assert not any(line.startswith("::") for line in err.splitlines())
