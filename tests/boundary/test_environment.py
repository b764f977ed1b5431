from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.boundary.environment import ALLOWED, allowed
from sluicegate.boundary.model import BoundaryError

NAMES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_", min_size=1, max_size=12)
VALUES = st.text(st.characters(exclude_characters="\0"), max_size=12)


def test_what_tells_how_to_work_is_passed() -> None:
    outer = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "TERM": "xterm",
        "CI": "true",
        "GITHUB_SHA": "abc",
        "RUNNER_OS": "Linux",
        "JAVA_HOME_17_X64": "/opt/17",
        "GOROOT_1_22_X64": "/opt/go",
    }
    env, withheld = allowed(outer, (), {})
    assert dict(env) == outer | {"TMPDIR": "/tmp"}
    assert env == tuple(sorted(env))
    assert withheld == ()


@pytest.mark.parametrize(
    "name",
    [
        *("GITHUB_TOKEN", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STATE"),
        *("GITHUB_STEP_SUMMARY", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL"),
        *("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_RESULTS_URL", "RUNNER_TEMP", "GH_TOKEN"),
        *("AWS_SECRET_ACCESS_KEY", "ANTHROPIC_API_KEY", "SSH_AUTH_SOCK", "GPG_AGENT_INFO"),
        *("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR"),
        *("DOCKER_HOST", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "NO_PROXY", "LD_PRELOAD"),
        *(
            "LD_LIBRARY_PATH",
            "LD_AUDIT",
            "BASH_ENV",
            "NODE_OPTIONS",
            "GIT_SSH_COMMAND",
            "SUDO_USER",
        ),
        *("KUBECONFIG", "MAKEFLAGS", "LC_", "LC_ALL_TOKEN", "XLC_ALL", "lc_all", "TMPDIR"),
    ],
)
def test_what_could_be_a_key_or_an_order_is_withheld(name: str) -> None:
    env, withheld = allowed({name: "value"}, (), {})
    assert env == (("TMPDIR", "/tmp"),)
    assert withheld == (name,)


def test_a_password_in_an_address_withholds_the_variable() -> None:
    keys = {
        "PIP_INDEX_URL": "https://me:secret@mirror.test/simple",
        "GOPROXY": "https://proxy.test,https://token@mirror.test",
    }
    assert allowed(keys, (), {}) == ((("TMPDIR", "/tmp"),), ("GOPROXY", "PIP_INDEX_URL"))
    plain = {"PIP_INDEX_URL": "https://mirror.test/simple/@scope"}
    assert dict(allowed(plain, (), {})[0]) == plain | {"TMPDIR": "/tmp"}


def test_a_named_variable_is_passed_and_a_given_one_wins() -> None:
    env, withheld = allowed(
        {"HF_HOME": "/hf", "HOME": "/root", "TOKEN": "t", "SECRET": "s"},
        ("HF_HOME", "TOKEN", "ABSENT"),
        {"HOME": "/home/me", "NEW": "", "TMPDIR": "/other"},
    )
    assert env == (
        ("HF_HOME", "/hf"),
        ("HOME", "/home/me"),
        ("NEW", ""),
        ("TMPDIR", "/other"),
        ("TOKEN", "t"),
    )
    assert withheld == ("SECRET",)


@pytest.mark.parametrize("name", ["", "A=B", "A\0"])
def test_names_that_no_environment_holds(name: str) -> None:
    with pytest.raises(BoundaryError, match="not an environment variable"):
        allowed({}, (name,), {})
    with pytest.raises(BoundaryError, match="not an environment variable"):
        allowed({}, (), {name: ""})


@given(
    environ=st.dictionaries(NAMES, VALUES),
    extra=st.sets(NAMES),
    mine=st.dictionaries(NAMES, VALUES),
)
def test_every_variable_is_passed_or_named_and_none_is_both(
    environ: dict[str, str], extra: set[str], mine: dict[str, str]
) -> None:
    env, withheld = allowed(environ, extra, mine)
    names = {name for name, _ in env}
    assert names | set(withheld) == set(environ) | set(mine) | {"TMPDIR"}
    assert not (names - {"TMPDIR"}) & set(withheld)
    assert names - {"TMPDIR"} <= (set(environ) & (ALLOWED | extra)) | set(mine) | {
        name for name in environ if name.startswith("LC_")
    }
