"""Which variables the command gets: an allow list, never a block list. Pure.

A variable nobody thought of stays outside. What is on the list says how to work (where, in which language,
with which compiler), never who one is: no token, no agent socket, no proxy, no file that a later step executes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sluicegate.boundary.model import BoundaryError

PERSON = ("HOME", "USER", "LOGNAME", "SHELL", "PATH", "TZ", "LANG", "LANGUAGE", "EDITOR", "VISUAL")
TERMINAL = (
    *("TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"),
    *("LINES", "LS_COLORS", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "PAGER", "LESS", "MANPAGER"),
)
# Neither XDG_RUNTIME_DIR nor the bus addresses: these are sockets of the host.
FOLDERS = ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
BUILD = (
    *("CI", "DEBIAN_FRONTEND", "SOURCE_DATE_EPOCH", "PKG_CONFIG_PATH"),
    *("CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS"),
    *("GIT_PAGER", "GIT_EDITOR", "GIT_TERMINAL_PROMPT", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"),
    *("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "PRE_COMMIT_HOME"),
)
PYTHON = (
    *("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYENV_ROOT", "PYENV_VERSION"),
    *("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONIOENCODING", "PYTHONUTF8"),
    *("PYTHONHASHSEED", "PYTHONPATH", "PIP_CACHE_DIR", "PIP_NO_CACHE_DIR", "PIP_NO_INPUT"),
    *("PIP_DISABLE_PIP_VERSION_CHECK", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT"),
    *("UV_CACHE_DIR", "UV_PYTHON", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_LINK_MODE"),
    *("POETRY_HOME", "pythonLocation", "Python_ROOT_DIR", "Python3_ROOT_DIR"),
)
NODE = (
    *("NODE_ENV", "NVM_DIR", "NVM_BIN", "VOLTA_HOME", "PNPM_HOME", "BUN_INSTALL", "DENO_DIR"),
    *("NPM_CONFIG_REGISTRY", "npm_config_registry", "NPM_CONFIG_CACHE", "npm_config_cache"),
    *("YARN_CACHE_FOLDER", "COREPACK_HOME"),
)
OTHER_LANGUAGES = (
    *("GOROOT", "GOPATH", "GOBIN", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GONOSUMDB"),
    *("GOPRIVATE", "GONOPROXY", "GOFLAGS", "GOOS", "GOARCH", "GOTOOLCHAIN", "CGO_ENABLED"),
    *("CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "RUSTFLAGS", "RUST_BACKTRACE", "RUST_LOG"),
    *("CARGO_TERM_COLOR", "CARGO_INCREMENTAL", "CARGO_TARGET_DIR", "CARGO_BUILD_JOBS"),
    *("JAVA_HOME", "MAVEN_HOME", "M2_HOME", "GRADLE_HOME", "GRADLE_USER_HOME", "SDKMAN_DIR"),
    *("ANDROID_HOME", "ANDROID_SDK_ROOT", "DOTNET_ROOT", "DOTNET_NOLOGO"),
    *("DOTNET_CLI_TELEMETRY_OPTOUT", "GEM_HOME", "GEM_PATH", "BUNDLE_PATH", "RBENV_ROOT"),
    *("RBENV_VERSION", "COMPOSER_HOME", "HOMEBREW_PREFIX"),
)
# Certificates a company adds to every client; paths of public files.
AUTHORITIES = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE", "CARGO_HTTP_CAINFO"),
)
# What a job may know of itself. Not here: GITHUB_TOKEN; GITHUB_ENV, _PATH, _OUTPUT, _STATE and _STEP_SUMMARY,
# through which later steps are given orders; every ACTIONS_ name, which are run-time credentials and their hosts;
# RUNNER_TEMP, where the runner keeps all of these.
JOB = (
    *(
        f"GITHUB_{name}"
        for name in (
            *("ACTIONS", "ACTION", "ACTION_REF", "ACTION_REPOSITORY", "ACTOR", "ACTOR_ID"),
            *("API_URL", "BASE_REF", "EVENT_NAME", "EVENT_PATH", "GRAPHQL_URL", "HEAD_REF", "JOB"),
            *("REF", "REF_NAME", "REF_PROTECTED", "REF_TYPE", "REPOSITORY", "REPOSITORY_ID"),
            *("REPOSITORY_OWNER", "REPOSITORY_OWNER_ID", "RETENTION_DAYS", "RUN_ATTEMPT"),
            *("RUN_ID", "RUN_NUMBER", "SERVER_URL", "SHA", "TRIGGERING_ACTOR", "WORKFLOW"),
            *("WORKFLOW_REF", "WORKFLOW_SHA", "WORKSPACE"),
        )
    ),
    *("RUNNER_OS", "RUNNER_ARCH", "RUNNER_NAME", "RUNNER_ENVIRONMENT", "RUNNER_DEBUG"),
    *("RUNNER_TOOL_CACHE", "AGENT_TOOLSDIRECTORY", "ImageOS", "ImageVersion"),
    *("GITLAB_CI", "CI_COMMIT_SHA", "CI_COMMIT_REF_NAME", "CI_PROJECT_DIR", "CI_PROJECT_PATH"),
)
ALLOWED = frozenset(
    (*PERSON, *TERMINAL, *FOLDERS, *BUILD, *PYTHON, *NODE, *OTHER_LANGUAGES, *AUTHORITIES, *JOB)
)
# Families with open ends: locale categories, and one Java home per version and machine.
ALLOWED_PATTERN = re.compile(r"LC_[A-Z]+|JAVA_HOME_[0-9]+_[A-Za-z0-9]+|GOROOT_[0-9_]+_[A-Z0-9]+")
# A user or a password in front of a host name: an index of a mirror, and the key to it.
CREDENTIALS = re.compile(r"://[^/?#\s]*@")
TEMPORARY = "/tmp"  # noqa: S108 - the boundary's own, empty at the start, gone at the end


def _is_allowed(name: str, value: str) -> bool:
    known = name in ALLOWED or ALLOWED_PATTERN.fullmatch(name) is not None
    return known and CREDENTIALS.search(value) is None


def allowed(
    environ: Mapping[str, str], extra_names: Iterable[str], given: Mapping[str, str]
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The command's variables sorted by name, and the sorted names of `environ` that it does not get.

    `extra_names` are passed through if set, whatever they are: somebody named them. `given` beats
    everything. TMPDIR is the boundary's own /tmp unless given.

    Raises:
        BoundaryError: a name that no environment can hold.
    """
    extra = frozenset(extra_names)
    for name in sorted(extra | set(given)):
        if not name or "=" in name or "\0" in name or "\0" in given.get(name, ""):
            raise BoundaryError(f"not an environment variable: {name!r}", "use --env NAME=VALUE")
    passed = {
        name: value for name, value in environ.items() if name in extra or _is_allowed(name, value)
    }
    env = {**passed, "TMPDIR": TEMPORARY, **given}
    withheld = sorted(name for name in environ if name not in passed and name not in given)
    return tuple(sorted(env.items())), tuple(withheld)
