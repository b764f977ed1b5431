"""Where credentials lie: names below a home, and the runner's own. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence

# Directories and files alike; what exists is covered, what does not is passed over.
IN_HOME = (
    *(".ssh", ".aws", ".azure", ".docker", ".kube", ".gnupg", ".password-store", ".terraform.d"),
    *(".config/gh", ".config/glab-cli", ".config/hub", ".config/gcloud", ".config/op"),
    *(".config/doctl", ".config/rclone", ".config/containers/auth.json", ".config/age"),
    *(".config/sops", ".config/helm/registry", ".config/git/credentials"),
    *(".config/configstore", ".config/heroku", ".config/netlify", ".config/fly", ".fly"),
    *(".local/share/keyrings", ".local/share/com.vercel.cli", ".secrets", ".vault-token"),
    *(".netrc", "_netrc", ".git-credentials", ".npmrc", ".yarnrc.yml", ".pypirc"),
    *(".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials", ".bundle/config"),
    *(".m2/settings.xml", ".m2/settings-security.xml", ".gradle/gradle.properties"),
    *(".nuget/NuGet/NuGet.Config", ".composer/auth.json", ".config/composer/auth.json"),
    *(".pgpass", ".my.cnf", ".mylogin.cnf", ".s3cfg", ".boto", ".dockercfg", ".sbt/.credentials"),
    *(".ivy2/.credentials", ".hex", ".huggingface/token", ".cache/huggingface/token"),
    *(".oci", ".aliyun", ".ibmcloud", ".databrickscfg", ".snowflake", ".kaggle", ".wrangler"),
    *(".config/hcloud", ".mozilla", ".config/google-chrome", ".config/chromium", ".thunderbird"),
    *("actions-runner/.credentials", "actions-runner/.credentials_rsaparams"),
    *(".config/pypoetry/auth.toml", ".local/share/uv/credentials", ".terraformrc", ".pulumi"),
    *(".sentryclirc", ".subversion/auth", ".cloudflared", ".supabase", ".config/github-copilot"),
    # What was typed, passwords and tokens among it.
    *(".bash_history", ".zsh_history", ".python_history", ".psql_history", ".mysql_history"),
    *(".node_repl_history", ".rediscli_history", ".local/share/fish/fish_history"),
)
# Configuration that tools need, and that is covered only where it holds a credential.
PERHAPS_IN_HOME = (
    *(".gitconfig", ".config/git/config", ".pip/pip.conf", ".config/pip/pip.conf", ".condarc"),
    *(".config/uv/uv.toml", ".curlrc", ".wgetrc", ".yarnrc", ".bunfig.toml"),
)
PERHAPS_OF_SYSTEM = ("/etc/gitconfig", "/etc/pip.conf", "/etc/npmrc", "/usr/local/etc/npmrc")
# Variables that lead to a credential, or to the files through which later steps are given orders. What they name is
# covered unless the variable was handed in.
POINTERS = (
    *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_GHA_CREDS_PATH", "CLOUDSDK_CONFIG"),
    *("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"),
    *("AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_CONFIG_DIR", "AZURE_FEDERATED_TOKEN_FILE"),
    *("KUBECONFIG", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "NETRC", "PGPASSFILE", "GH_CONFIG_DIR"),
    *("NPM_CONFIG_USERCONFIG", "npm_config_userconfig", "PIP_CONFIG_FILE", "GNUPGHOME"),
    *("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"),
    *("RUNNER_TEMP", "CI_JOB_JWT_FILE", "CREDENTIALS_DIRECTORY", "VAULT_TOKEN_FILE"),
    # The same of other systems: GitLab, CircleCI, Buildkite, Azure Pipelines, Bitbucket, Drone, Jenkins.
    *("GITLAB_ENV", "BASH_ENV", "BUILDKITE_ENV_FILE", "AGENT_TEMPDIRECTORY", "DRONE_OUTPUT"),
    *("BITBUCKET_PIPELINES_VARIABLES_PATH", "WORKSPACE_TMP"),
)
# Variables that move a part of the home elsewhere.
MOVED = {
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
    "CARGO_HOME": ".cargo",
    "GRADLE_USER_HOME": ".gradle",
    "COMPOSER_HOME": ".composer",
    "HF_HOME": ".cache/huggingface",
}
# A password before a host name, a token in its place, or the names under which tools keep one.
_SECRET = re.compile(
    r"://[^/?#\s:@]*:[^/?#\s@]+@|https?://[^/?#\s@]+@"
    r"|extraheader|_authtoken|_auth\b|passw(or)?d\s*[=:]|token\s*[=:]",
    re.IGNORECASE,
)
_SECTION = re.compile(r"\[\s*([^\]\s\"]+)\s*(?:\"([^\"]*)\")?\s*\]")
# An empty file is no XML or JSON document, and a tool that reads one may stop there.
NOTHING = {
    "settings.xml": "<settings/>\n",
    "settings-security.xml": "<settingsSecurity/>\n",
    "NuGet.Config": "<configuration/>\n",
    "auth.json": "{}\n",
}
# What a hosted or self-hosted runner leaves next to the workspace: `<work>/_temp` holds the
# checkout's token and the command files that later steps execute.
PATTERNS_BESIDE_WORKSPACE = (
    *("../../_temp/_runner_file_commands", "../../_temp/git-credentials-*"),
    "../../../.credentials*",
)
# Of every directory from the workspace upwards, `{}` its name: GitHub's runner has `_temp` beside the repository's own,
# with the command files and the checkout's token; GitLab's has `NAME.tmp` with variables that are files; Jenkins
# has `NAME@tmp` with the secrets of a step.
BESIDE_WORKSPACE = ("_temp/_runner_file_commands", "_temp", "{}.tmp", "{}@tmp")
PATTERNS_IN_HOME = ("runners/*/.credentials*", "actions-runner/cached/.credentials*")
SYSTEM = (
    *("/etc/docker/key.json", "/etc/rancher/k3s/k3s.yaml", "/etc/kubernetes/admin.conf"),
    *("/var/lib/kubelet/config.json", "/etc/containers/auth.json"),
)


def has_secret(text: str) -> bool:
    """Whether a configuration file's text holds a credential."""
    return _SECRET.search(text) is not None


def git_secrets(text: str) -> tuple[str, ...]:
    """Names of the entries of a git configuration that hold a credential, as `git config --get` takes them."""
    section, found = "", []
    for line in text.splitlines():
        if header := _SECTION.match(line.strip()):
            section = header[1] if header[2] is None else f"{header[1]}.{header[2]}"
        key, equals, value = (part.strip() for part in line.partition("="))
        if equals and (key.lower() == "extraheader" or _SECRET.search(f"{value}\n")):
            # The subsection may itself be an address with a password in it.
            found.append(f"{_SECRET.sub('://...@', section)}.{key}")
    return tuple(dict.fromkeys(found))


def pointed(environ: Mapping[str, str], tops: Sequence[str]) -> tuple[str, ...]:
    """The paths that the variables in `environ` lead to, and the stores of homes that they moved.

    A relative one is looked for below each of `tops`.
    """
    found = [
        path
        for name in POINTERS
        for path in environ.get(name, "").split(":" if name == "KUBECONFIG" else "\0")
    ]
    for name, below in MOVED.items():
        if top := environ.get(name, "").rstrip("/"):
            stores = (store for store in IN_HOME if store.startswith(f"{below}/"))
            found += [f"{top}{store.removeprefix(below)}" for store in stores]
    places = [
        posixpath.normpath(posixpath.join(top, path)) for path in found if path for top in tops
    ]
    return tuple(dict.fromkeys(place for place in places if place != "/" and place not in tops))


def perhaps(homes: tuple[str, ...]) -> tuple[str, ...]:
    """Configuration that is covered only where it holds a credential."""
    return (
        *(f"{home.rstrip('/')}/{name}" for home in homes for name in PERHAPS_IN_HOME),
        *PERHAPS_OF_SYSTEM,
    )


def candidates(homes: tuple[str, ...]) -> tuple[str, ...]:
    """Every fixed place to look at, each once."""
    found = [f"{home.rstrip('/')}/{name}" for home in homes for name in IN_HOME]
    return tuple(dict.fromkeys((*found, *SYSTEM)))
