"""Where credentials lie: names below a home, and the runner's own. Pure."""

from __future__ import annotations

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
)
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
PATTERNS_IN_HOME = ("runners/*/.credentials*", "actions-runner/cached/.credentials*")
SYSTEM = (
    *("/etc/docker/key.json", "/etc/rancher/k3s/k3s.yaml", "/etc/kubernetes/admin.conf"),
    *("/var/lib/kubelet/config.json", "/etc/containers/auth.json"),
)


def candidates(homes: tuple[str, ...]) -> tuple[str, ...]:
    """Every fixed place to look at, each once."""
    found = [f"{home.rstrip('/')}/{name}" for home in homes for name in IN_HOME]
    return tuple(dict.fromkeys((*found, *SYSTEM)))
