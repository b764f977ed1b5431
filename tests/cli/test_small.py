"""What works where only the verifier's packages are installed (sluicegate.cli.main, sluicegate.cli.prove)."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sluicegate.cli import main
from tests.evidence import made

ROOT = Path(__file__).parents[2]
# As an interpreter in which the packages of the extra `run` are not installed.
SMALL = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name.partition(".")[0])
sys.meta_path.insert(0, Missing())
"""


def small(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    text = SMALL.format(missing=sorted(main.RUN_MODULES)) + code
    argv = [sys.executable, "-c", text, *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return small("from sluicegate.cli.main import main; sys.exit(main())", *arguments)


def test_a_packet_is_verified_and_a_receipt_proven(tmp_path: Path) -> None:
    (tmp_path / "packet").mkdir()
    for name, data in made.files(tmp_path / "packet", made.some()).items():
        (tmp_path / "packet" / name).write_bytes(data)
    done = command("verify", str(tmp_path / "packet"), "--key", made.PUBLIC)
    assert (done.returncode, done.stderr) == (0, "")
    out = str(tmp_path / "proof")
    assert command("prove", str(tmp_path / "packet"), "--seq", "2", "--out", out).returncode == 0
    assert command("verify-proof", out, "--key", made.PUBLIC).returncode == 0


def test_a_pair_of_keys_is_made(tmp_path: Path) -> None:
    assert command("keygen", str(tmp_path / "k")).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["k.key", "k.pub"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["run", "--", "true"], 125), (["policy", "check", "p.yaml"], 2)],
)
def test_what_needs_more_says_how_to_get_it(
    arguments: list[str], code: int, tmp_path: Path
) -> None:
    (tmp_path / "p.yaml").write_text("version: 1\n")
    done = command(*(a.replace("p.yaml", f"{tmp_path}/p.yaml") for a in arguments))
    assert done.returncode == code
    assert done.stderr.startswith(f"sluicegate: {arguments[0]} needs ")
    assert done.stderr.endswith("hint: pip install 'sluicegate[run]'\n")
    assert len(done.stderr.splitlines()) == 2


def test_a_module_of_ours_that_is_missing_is_no_matter_of_extras(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(main.COMMANDS, "verify", "sluicegate.cli.nowhere")
    with pytest.raises(ModuleNotFoundError):
        main.main(["verify"])


def test_deciding_again_needs_no_more() -> None:
    done = small("import sluicegate.policy.decide, sluicegate.policy.model, sluicegate.wire.names")
    assert done.returncode == 0, done.stderr


def test_the_extras_are_what_the_code_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {text.partition(">")[0].lower() for text in project["optional-dependencies"]["run"]}
    assert named == {name.replace("yaml", "pyyaml") for name in main.RUN_MODULES}
    assert project["optional-dependencies"]["verify"] == []
    assert not named & {text.partition(">")[0].lower() for text in project["dependencies"]}
