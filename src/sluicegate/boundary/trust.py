"""What makes programs inside trust the run's authority: files over the stores they read, then variables. Pure.

Files first: they serve GnuTLS, Go, Java and whatever clears its environment. Variables are for what brings roots of
its own. Every store keeps what it trusts already and gets one certificate more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sluicegate.boundary import rootstore
from sluicegate.boundary.model import Folder, Trust

# On the boundary's own /run, of which nothing is the host's.
DIRECTORY = "/run/sluicegate"
ALONE = f"{DIRECTORY}/ca.pem"
EVERY = f"{DIRECTORY}/ca-bundle.pem"
HASHED = f"{DIRECTORY}/certs"
NAME = "sluicegate-ca.pem"
# Where distributions keep all roots in one file, and what libraries look for (Go's crypto/x509/root_linux.go has most).
BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/lib/ssl/cert.pem",
    "/usr/local/ssl/cert.pem",
    "/usr/local/etc/openssl/cert.pem",
)
# Directories in which OpenSSL looks for a root by the hash of its name.
DIRECTORIES = ("/etc/ssl/certs", "/etc/pki/ca-trust/extracted/pem/directory-hash")
# Variables whose file is read beside the built-in roots: ours alone, so that nobody has to read the others twice.
ADDING = ("NODE_EXTRA_CA_CERTS", "DENO_CERT")
# Variables whose file is read instead of the built-in roots, which therefore must be in it.
REPLACING = (
    *("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO"),
    *("AWS_CA_BUNDLE", "CARGO_HTTP_CAINFO", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE"),
    *("NIX_SSL_CERT_FILE", "BUNDLE_SSL_CA_CERT", "NPM_CONFIG_CAFILE", "YARN_HTTPS_CA_FILE_PATH"),
    *("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "HTTPLIB2_CA_CERTS", "COMPOSER_CAFILE"),
    *("PERL_LWP_SSL_CA_FILE", "HTTPS_CA_FILE", "HEX_CACERTS_PATH", "JULIA_SSL_CA_ROOTS_PATH"),
    "CONDA_SSL_VERIFY",
)
# Another spelling that npm takes; with both set it is not said which counts.
_SPELLED = ("npm_config_cafile",)
# Directories, one or several with colons: where one is set, ours is another.
PATHS = ("SSL_CERT_DIR", "GIT_SSL_CAPATH")
_SWITCHES = {"true", "false", "yes", "no", "on", "off", "0", "1"}  # what CONDA_SSL_VERIFY may be


@dataclass(frozen=True, slots=True)
class Found:
    """What the host has: certificates in DER, paths free of links.

    `roots` are the machine's; `named` by variable those in the files and directories that it leads to; `bundles` and
    `stores` (path, its certificates) are the PEM files and the Java stores to be overlaid; `folders` the directories
    of roots as they are.
    """

    roots: tuple[bytes, ...]
    named: tuple[tuple[str, tuple[bytes, ...]], ...] = ()
    bundles: tuple[tuple[str, tuple[bytes, ...]], ...] = ()
    stores: tuple[tuple[str, tuple[bytes, ...]], ...] = ()
    folders: tuple[Folder, ...] = ()


def files(environ: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The files and directories that variables in `environ` lead to, by variable."""
    found: dict[str, tuple[str, ...]] = {
        name: (environ[name],)
        for name in (*ADDING, *REPLACING, *_SPELLED)
        if environ.get(name) and environ[name].lower() not in _SWITCHES
    }
    for name in PATHS:
        if paths := tuple(path for path in environ.get(name, "").split(":") if path):
            found[name] = paths
    return found


def overlay(found: Found, authority: bytes, env: Mapping[str, str]) -> tuple[Trust, dict[str, str]]:
    """The files that are put into the boundary, and the command's whole environment, made of `env`.

    `authority` is the PEM of one certificate.

    Raises:
        ValueError: it is not.
    """
    (ours,) = rootstore.certificates(authority)
    link = f"{rootstore.subject_hash(ours)}.0"
    named = dict(found.named)
    joined = [der for name, ders in found.named if name not in ADDING for der in ders]
    # A machine without roots: what Python brings is better than ours alone.
    roots = found.roots or tuple(der for _, ders in found.bundles for der in ders)
    own = [
        ("ca.pem", rootstore.pem([ours])),
        ("ca-bundle.pem", rootstore.pem([*roots, *joined, ours])),
        (f"certs/{NAME}", rootstore.pem([ours])),
        *(
            (_beside(name), rootstore.pem([*named[name], ours]))
            for name in ADDING
            if named.get(name)
        ),
    ]
    texts = [(path, rootstore.pem([*ders, ours])) for path, ders in found.bundles]
    for path, ders in found.stores:
        store = rootstore.jks([*(ders or roots), ours])
        texts.append((path, store.decode("utf-8", "surrogateescape")))
    folders = [Folder(DIRECTORY, tuple(own), ((f"certs/{link}", NAME),))]
    folders += [_with(folder, rootstore.pem([ours]), link) for folder in found.folders]
    return Trust(tuple(texts), tuple(folders)), _environment(env, named)


def _environment(env: Mapping[str, str], named: Mapping[str, tuple[bytes, ...]]) -> dict[str, str]:
    out = dict(env)
    for name in ADDING:
        out[name] = f"{DIRECTORY}/{_beside(name)}" if named.get(name) else ALONE
    for name in (*REPLACING, *(name for name in _SPELLED if name in env)):
        # Whoever switched the check off has their way: it does not fail for our certificate either.
        if env.get(name, "").lower() not in _SWITCHES:
            out[name] = EVERY
    for name in PATHS:
        if env.get(name):
            out[name] = f"{env[name]}:{HASHED}"
    return out


def _beside(name: str) -> str:
    """The file for what the user had named, and ours."""
    return f"{name.lower().replace('_', '-')}.pem"


def _with(folder: Folder, text: str, link: str) -> Folder:
    """`folder` with one more file, and the link under which OpenSSL finds it: the first number that is free."""
    taken = {name for name, _ in (*folder.files, *folder.links)}
    name = next(
        free for number in range(len(taken) + 1) if (free := f"{link[:-1]}{number}") not in taken
    )
    files = (*((n, t) for n, t in folder.files if n != NAME), (NAME, text))
    return Folder(folder.path, files, (*folder.links, (name, NAME)))
