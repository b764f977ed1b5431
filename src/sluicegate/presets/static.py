"""Presets that are the same everywhere, as data: each row with the page that says it is needed.

No upload, no account, no administration: what a preset has is what its first words say.
"""

from __future__ import annotations

from sluicegate.policy.presets import PresetError, Row

_HTTP = "https://git-scm.com/docs/http-protocol"
_GITHUB = "https://docs.github.com/en/rest/meta/meta"
_ARCHIVES = "https://docs.github.com/en/repositories/working-with-files/using-files/downloading-source-code-archives"
_RELEASES = (
    "https://docs.github.com/en/repositories/releasing-projects-on-github/linking-to-releases"
)
_REST = "https://docs.github.com/en/rest/repos"
_DOCKER = "https://docs.docker.com/desktop/setup/allow-list/"
_AUTH = "https://distribution.github.io/distribution/spec/auth/token/"
_GHCR = "https://docs.github.com/en/packages/working-with-a-github-packages-registry/working-with-the-container-registry"
_QUAY = "https://access.redhat.com/node/7001746"
_MCR = "https://github.com/microsoft/containerregistry/blob/main/docs/client-firewall-rules.md"
_ANTHROPIC = "https://docs.anthropic.com/en/api/"
_OPENAI = "https://platform.openai.com/docs/api-reference/"
_GEMINI = "https://ai.google.dev/api/"
_POST = ("POST",)

_DOCKER_PULL = (
    Row("registry-1.docker.io", _DOCKER, paths=("/v2/**",)),
    Row("auth.docker.io", _AUTH, paths=("/token",)),
    # Blobs: of paid plans, and of everybody else.
    Row("production.cloudflare.docker.com", _DOCKER),
    Row("docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com", _DOCKER),
    Row("ghcr.io", _GHCR, paths=("/v2/**", "/token")),
    Row("pkg-containers.githubusercontent.com", _GHCR, paths=("/ghcr1/blobs/**",)),
    Row("quay.io", _QUAY, paths=("/v2/**",)),
    *(Row(f"{cdn}.quay.io", _QUAY) for cdn in ("cdn", "cdn01", "cdn02", "cdn03")),
    Row("mcr.microsoft.com", _MCR, paths=("/v2/**",)),
    Row("*.data.mcr.microsoft.com", _MCR),
)
_ANTHROPIC_ROWS = (
    Row(
        *("api.anthropic.com", f"{_ANTHROPIC}messages"),
        methods=_POST,
        paths=("/v1/messages", "/v1/messages/count_tokens"),
    ),
    Row("api.anthropic.com", f"{_ANTHROPIC}models-list", paths=("/v1/models", "/v1/models/*")),
)
_OPENAI_ROWS = (
    Row(
        *("api.openai.com", f"{_OPENAI}responses"),
        methods=_POST,
        paths=("/v1/responses", "/v1/chat/completions", "/v1/embeddings"),
    ),
    Row("api.openai.com", f"{_OPENAI}models", paths=("/v1/models", "/v1/models/*")),
)
_ASKED = (
    "generateContent",
    "streamGenerateContent",
    "countTokens",
    "embedContent",
    "batchEmbedContents",
)
_GEMINI_ROWS = (
    Row(
        *("generativelanguage.googleapis.com", f"{_GEMINI}generate-content"),
        methods=_POST,
        paths=tuple(f"/{version}/models/*:{ask}" for version in ("v1", "v1beta") for ask in _ASKED),
    ),
    Row(
        *("generativelanguage.googleapis.com", f"{_GEMINI}models"),
        paths=("/v1/models", "/v1/models/*", "/v1beta/models", "/v1beta/models/*"),
    ),
)
# Name -> what it is for, in the words of `sluicegate presets`.
WORDS = {
    "anthropic": "ask Anthropic's models: messages, token counts, the list of models; no files, no batches",
    "docker-pull": "pull images: Docker Hub, GitHub, Quay, Microsoft; no push",
    "gemini": "ask Google's Gemini models; no uploads, no caches, no tuning",
    "github-push": "push to the repositories that `repos` names, over HTTPS",
    "github-read": "clone, fetch, archives, releases, raw files, reads of the API (with `repos`: of these alone)",
    "openai": "ask OpenAI's models: responses, chat, embeddings, the list of models; no files, no fine-tuning",
}
_PLAIN = {
    "anthropic": _ANTHROPIC_ROWS,
    "docker-pull": _DOCKER_PULL,
    "gemini": _GEMINI_ROWS,
    "openai": _OPENAI_ROWS,
}


def rows(name: str, repos: tuple[str, ...]) -> tuple[Row, ...]:
    """The rows of the static preset `name`.

    Raises:
        PresetError: repositories for one that has none, or none for one that must have them.
    """
    if name == "github-push" and not repos:
        hint = "name them: `repos: [OWNER/REPO]`, or --preset github-push=OWNER/REPO"
        raise PresetError("preset github-push wants the repositories that may be pushed to", hint)
    if name == "github-push":
        return _github_push(repos)
    if name == "github-read":
        return _github_read(repos)
    if repos:
        raise PresetError(f"preset {name} has no repositories", "remove repos")
    return _PLAIN[name]


def _github_read(repos: tuple[str, ...]) -> tuple[Row, ...]:
    """Fetching is a POST too; which service is asked for stands in the query and in the path."""
    some = repos or ("*/*",)
    git = _git(repos) if repos else some
    fetch = Row("github.com", _HTTP, methods=_POST, paths=_below(git, "/git-upload-pack"))
    told = (("service", "git-upload-pack"),)
    files = ("/archive/**", "/raw/**")
    releases = ("/releases/download/**", "/releases/latest/**")
    return (
        Row("github.com", _HTTP, paths=_below(git, "/info/refs"), query=told),
        fetch,
        Row("github.com", _ARCHIVES, paths=tuple(p for one in files for p in _below(some, one))),
        Row("github.com", _RELEASES, paths=tuple(p for one in releases for p in _below(some, one))),
        Row("codeload.github.com", _ARCHIVES, paths=_below(some, "/**")),
        Row("raw.githubusercontent.com", _GITHUB, paths=_below(some, "/**")),
        # What is stored there is named by digests and signed addresses, not by repository.
        Row("objects.githubusercontent.com", _RELEASES),
        Row("release-assets.githubusercontent.com", _RELEASES),
        Row("api.github.com", _REST, paths=(*_api(repos), "/rate_limit", "/meta")),
    )


def _github_push(repos: tuple[str, ...]) -> tuple[Row, ...]:
    told = (("service", "git-receive-pack"),)
    return (
        Row("github.com", _HTTP, paths=_below(_git(repos), "/info/refs"), query=told),
        Row("github.com", _HTTP, methods=_POST, paths=_below(_git(repos), "/git-receive-pack")),
    )


def _git(repos: tuple[str, ...]) -> tuple[str, ...]:
    # Both spellings are the same repository.
    return tuple(name for repo in repos for name in (repo, f"{repo}.git"))


def _below(places: tuple[str, ...], rest: str) -> tuple[str, ...]:
    return tuple(f"/{one}{rest}" for one in places)


def _api(repos: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"/repos/{one}{rest}" for one in repos or ("*/*",) for rest in ("", "/**"))
