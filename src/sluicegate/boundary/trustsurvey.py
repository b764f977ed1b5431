"""SHELL. What of the host's trust there is: its roots, the stores of its programs, and what variables lead to."""

from __future__ import annotations

import contextlib
import glob
import os
import ssl
import stat
from collections.abc import Iterable, Iterator, Mapping

from sluicegate.boundary import rootstore, trust
from sluicegate.boundary.model import Folder

# Bytes of one store: the public roots take 220 KB as PEM and 170 KB for Java.
MAX_STORE = 4 << 20
# Names in one directory of roots, which has about 300, and bytes of all of its files.
MAX_NAMES = 4096
MAX_FOLDER = 16 << 20
# Overlaid files: a machine with more Pythons and Javas than this keeps the last ones as they are.
MAX_FILES = 64
_OF_PYTHON = tuple(
    f"{lib}/{place}/cacert.pem"
    for lib in (
        "lib/python3*/site-packages",
        "lib/python3*/dist-packages",
        "lib/python3/dist-packages",
    )
    for place in ("certifi", "pip/_vendor/certifi")
)
_OF_CONDA = ("ssl/cacert.pem", "ssl/cert.pem")
_JAVA = ("lib/security/cacerts", "jre/lib/security/cacerts")
_JAVA_STORES = ("/etc/ssl/certs/java/cacerts", "/etc/pki/ca-trust/extracted/java/cacerts")
_JAVA_HOMES = ("/usr/lib/jvm/*", "/usr/java/*", "/opt/java/*")
_PKCS12_PASSWORDS = (None, b"changeit")


def roots(environ: Mapping[str, str]) -> tuple[bytes, ...]:
    """The DER of the roots that programs of this machine trust: its files, and SSL_CERT_FILE and SSL_CERT_DIR."""
    known = ssl.get_default_verify_paths()
    named = trust.files(environ)
    files = (*trust.BUNDLES, known.openssl_cafile, *named.get("SSL_CERT_FILE", ()))
    places = (*named.get("SSL_CERT_DIR", ()), known.openssl_capath)
    found = [_certificates(path) for path in dict.fromkeys(map(os.path.realpath, files))]
    found += [_in_directory(path) for path in dict.fromkeys(map(os.path.realpath, places))]
    return tuple(dict.fromkeys(der for ders in found for der in ders))


def found(
    own: tuple[bytes, ...], environ: Mapping[str, str], env: Mapping[str, str], workdir: str
) -> trust.Found:
    """All that `trust.overlay` needs. `own` are the roots, `environ` is ours and `env` the command's environment."""
    named = list[tuple[str, tuple[bytes, ...]]]()
    read = dict[str, tuple[bytes, ...]]()  # several variables lead to one file as a rule
    for name, paths in trust.files({**environ, **env}).items():
        places = [os.path.realpath(os.path.join(workdir, path)) for path in paths]
        for place in places:
            if place not in read:
                read[place] = _either(place)
        named.append((name, tuple(dict.fromkeys(der for place in places for der in read[place]))))
    bundles = [*_bundles(trust.BUNDLES), *_bundles(_pythons(env), "cacert.pem")]
    folders = dict.fromkeys(os.path.realpath(path) for path in trust.DIRECTORIES)
    return trust.Found(
        roots=own,
        named=tuple(named),
        bundles=tuple(dict(bundles[:MAX_FILES]).items()),
        stores=tuple(_stores(env))[:MAX_FILES],
        folders=tuple(folder for path in folders if (folder := _folder(path)) is not None),
    )


def _bytes(path: str, most: int = MAX_STORE) -> bytes:
    """A regular file of at most `most` bytes; empty where there is none. Waits for no pipe or device."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                data = file.read(most + 1)
                return data if len(data) <= most else b""
    return b""


def _certificates(path: str) -> tuple[bytes, ...]:
    return rootstore.certificates(_bytes(path))


def _in_directory(path: str) -> tuple[bytes, ...]:
    with contextlib.suppress(OSError):
        names = sorted(os.listdir(path))[:MAX_NAMES]
        # Each root is there once as a file and once or twice as a link to it.
        files = dict.fromkeys(os.path.realpath(f"{path}/{name}") for name in names)
        return tuple(dict.fromkeys(der for file in files for der in _certificates(file)))
    return ()


def _either(path: str) -> tuple[bytes, ...]:
    return _in_directory(path) if os.path.isdir(path) else _certificates(path)


def _bundles(paths: Iterable[str], name: str = "") -> Iterator[tuple[str, tuple[bytes, ...]]]:
    """Files with certificates; in trees that the command may have made, only those that are called `name` in truth."""
    for path in dict.fromkeys(map(os.path.realpath, paths)):
        if name and os.path.basename(path) != name:
            continue
        if ders := _certificates(path):
            yield path, ders


def _pythons(env: Mapping[str, str]) -> Iterator[str]:
    """Where the Pythons that the command finds have certifi's roots: on its PATH, in its environment, in its home."""
    tops = [env.get(name, "") for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "pythonLocation")]
    homes = env.get("HOME", "/")
    tops += [f"{homes}/.local", *_versions(env.get("PYENV_ROOT") or f"{homes}/.pyenv")]
    for place in env.get("PATH", "").split(":"):
        if place.startswith("/") and glob.glob("python3*", root_dir=place):
            tops.append(os.path.dirname(place.rstrip("/")))
    tops += ["/usr", "/usr/local"]
    for top in dict.fromkeys(tops):
        patterns = (*_OF_PYTHON, *(_OF_CONDA if top == env.get("CONDA_PREFIX") else ()))
        if top.startswith("/"):
            yield from (f"{top}/{name}" for p in patterns for name in glob.glob(p, root_dir=top))


def _versions(root: str) -> list[str]:
    return [f"{root}/{name}" for name in sorted(glob.glob("versions/*", root_dir=root))]


def _stores(env: Mapping[str, str]) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    homes = [value for name, value in sorted(env.items()) if name.startswith("JAVA_HOME")]
    homes += [path for pattern in _JAVA_HOMES for path in sorted(glob.glob(pattern))]
    sdk = env.get("SDKMAN_DIR") or f"{env.get('HOME', '/')}/.sdkman"
    homes += sorted(glob.glob(f"{glob.escape(sdk)}/candidates/java/*"))
    for place in env.get("PATH", "").split(":"):
        java = os.path.realpath(f"{place}/java")
        if place and java.endswith("/bin/java"):
            homes.append(java.removesuffix("/bin/java"))
    places = [*_JAVA_STORES, *(f"{home}/{store}" for home in homes for store in _JAVA)]
    for path in dict.fromkeys(map(os.path.realpath, places)):
        if os.path.basename(path) == "cacerts" and (data := _bytes(path)):
            ders = rootstore.read_jks(data)
            yield path, _of_pkcs12(data) if ders is None else ders


def _of_pkcs12(data: bytes) -> tuple[bytes, ...]:
    """The certificates of a store in Java's newer format; none where it has another password than Java's own."""
    import warnings

    from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

    for password in _PKCS12_PASSWORDS:
        # Some roots have a serial number that is not positive: they were trusted before, and are.
        with contextlib.suppress(ValueError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            store = pkcs12.load_pkcs12(data, password)
            return tuple(
                one.certificate.public_bytes(Encoding.DER) for one in store.additional_certs
            )
    return ()


def _folder(top: str) -> Folder | None:
    """The directory as it is, without what not everybody may read; None: there is none, or it is too large."""
    files, links, size, count = dict[str, str](), dict[str, str](), 0, 0
    for place, _, names in os.walk(top):
        below = os.path.relpath(place, top)
        count += len(names)
        if count > MAX_NAMES:
            return None
        for name in sorted(names):
            path, inside = f"{place}/{name}", os.path.normpath(f"{below}/{name}")
            with contextlib.suppress(OSError):
                mode = os.lstat(path).st_mode
                if stat.S_ISLNK(mode):
                    links[inside] = os.readlink(path)
                elif stat.S_ISREG(mode) and mode & stat.S_IROTH:
                    data = _bytes(path, MAX_FOLDER)
                    size += len(data)
                    files[inside] = data.decode("utf-8", "surrogateescape")
        if size > MAX_FOLDER:
            return None
    return Folder(top, tuple(files.items()), tuple(links.items())) if count else None
