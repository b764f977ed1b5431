"""What a workflow writes is taken as it is, or refused with the remedy; nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sluicegate.action.inputs import MAX_RUN_BYTES, NAMES, InputError, Inputs, read, variable

ACTION = yaml.safe_load((Path(__file__).parents[2] / "action.yml").read_text())
DEFAULTS = {name: str(said.get("default", "")) for name, said in ACTION["inputs"].items()}


def given(**named: str) -> Inputs:
    wanted = {name.replace("_", "-"): text for name, text in named.items()}
    assert wanted.keys() <= DEFAULTS.keys()
    return read({variable(name): text for name, text in {**DEFAULTS, **wanted}.items()})


def test_action_yml_and_the_reader_know_the_same_inputs() -> None:
    assert sorted(NAMES) == sorted(DEFAULTS)
    (step,) = ACTION["runs"]["steps"]
    passed = {variable(name): f"${{{{ inputs.{name} }}}}" for name in NAMES}
    assert step["env"] == passed
    # An expression inside of shell text is where injections come from.
    assert "${{" not in step["run"]


def test_the_inputs_and_outputs_of_the_original() -> None:
    originals = {
        *("script-path", "script-args", "config", "agent-identity", "pipelock-version"),
        *("pipelock-bin", "signer-private-key-path", "signer-public-key", "audit-packet-dir"),
        *("working-directory", "fail-on-verifier-error", "debug"),
    }
    assert originals < DEFAULTS.keys()
    assert list(ACTION["outputs"])[:3] == ["audit-packet-path", "receipt-count", "verifier-verdict"]
    assert DEFAULTS["audit-packet-dir"] == "pipelock-audit-packet"
    assert DEFAULTS["agent-identity"] == "github-actions-agent"
    assert DEFAULTS["fail-on-verifier-error"] == "true"


def test_defaults_of_action_yml() -> None:
    found = given(script_path="ci/a.sh")
    assert found == Inputs(
        *("ci/a.sh", "", (), (), "", (), "", "", (), "github-actions-agent", "", ""),
        *("pipelock-audit-packet", ".", True, False, False, False, ()),
    )
    assert found.argv("/w/ci/a.sh") == ("bash", "/w/ci/a.sh")


def test_arguments_are_lines_and_nothing_else_of_them() -> None:
    text = "a b\n$(id)\n\n*\n--x='1'\n"
    assert given(run="x", script_args=text).arguments == ("a b", "$(id)", "", "*", "--x='1'")
    assert given(run="x", script_args="a\n\n").arguments == ("a", "")
    assert given(run="x").arguments == ()
    command = given(run="echo $1\n", script_args="one").argv("")
    assert command == (
        "bash",
        "--noprofile",
        "--norc",
        "-eo",
        "pipefail",
        "-c",
        "echo $1\n",
        "bash",
        "one",
    )


def test_lists() -> None:
    found = given(run="x", policy=" a.yaml \n\nb.yaml\n", preset="python\nnode", env="A\nB_1\n")
    assert (found.policies, found.presets, found.env) == (
        ("a.yaml", "b.yaml"),
        ("python", "node"),
        ("A", "B_1"),
    )


def test_what_is_ignored_is_known() -> None:
    found = given(run="x", pipelock_bin="/usr/local/bin/pipelock", pipelock_version="v2")
    assert found.ignored == ("pipelock-bin", "pipelock-version")


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({}, "script-path: or run is needed"),
        ({"run": "  \n"}, "script-path: or run is needed"),
        ({"script_path": "a", "run": "b"}, "script-path: and run are both given"),
        ({"script_path": "a\nb"}, "script-path: holds the control character '\\n'"),
        ({"script_path": "a", "audit_packet_dir": "x\n::error::y"}, "audit-packet-dir: holds"),
        ({"script_path": "a", "working_directory": "\x1b[0m"}, "working-directory: holds"),
        ({"script_path": "a", "policy": "p\x07"}, "policy: holds a control character"),
        ({"script_path": "a", "mode": "audit"}, "mode: 'audit' is not known"),
        ({"script_path": "a", "debug": "yes"}, "debug: wants true or false, got 'yes'"),
        ({"script_path": "a", "agent_identity": "\u202e"}, "agent-identity: wants up to 128"),
        ({"script_path": "a", "agent_identity": ""}, "agent-identity: wants up to 128"),
        (
            {"script_path": "a", "signer_public_key": "00"},
            "signer-public-key: wants signer-private",
        ),
        ({"script_path": "a", "env": "TOKEN=secret"}, "env: TOKEN is not the name of a variable"),
        ({"script_path": "a", "env": "a b=secret"}, "env: a line is not the name of a variable"),
        (
            {"script_path": "a", "policy_ref": "--upload-pack=x"},
            "policy-ref: '--upload-pack=x' is no",
        ),
        ({"script_path": "a", "policy_ref": "main..x"}, "policy-ref: 'main..x' is no branch"),
        ({"script_path": "a", "policy_ref": "main:x"}, "policy-ref: 'main:x' is no branch"),
        ({"script_path": "a", "policy_ref": "@{-1}"}, "policy-ref: '@{-1}' is no branch"),
        ({"run": "x" * (MAX_RUN_BYTES + 1)}, f"run: has more than {MAX_RUN_BYTES} bytes"),
    ],
)
def test_what_is_refused(named: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as raised:
        given(**named)
    assert str(raised.value).startswith(message)
    assert "secret" not in str(raised.value) + raised.value.hint
