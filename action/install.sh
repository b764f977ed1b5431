#!/usr/bin/env bash
# usage: install.sh DIR
# Installs sluicegate from the tree that this file lies in, into DIR: afterwards DIR/bin/sluicegate runs. What it
# downloads comes from the package index that pip is configured for, and must have a hash of requirements.lock.
# Where DIR has exactly that already, nothing is done. exit: 0, 125
set -euo pipefail

here=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
lock=$here/action/requirements.lock

# The runner of GitHub Actions reads lines of stdout that begin with :: as orders, so text is escaped as it asks for.
die() {
  if [ "${GITHUB_ACTIONS:-}" = true ]; then
    local text=${1//'%'/%25}
    text=${text//$'\r'/%0D}
    printf '::error title=sluicegate::%s\n' "${text//$'\n'/%0A}"
  else
    printf 'sluicegate: %s\n' "${1//$'\n'/$'\n'hint: }" >&2
  fi
  exit 125
}

# -I: neither the directory that we stand in, which the job's repository filled, nor PYTHONPATH has a say.
fits() { "$1" -I -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

[ "$(uname -s)" = Linux ] || die "the boundary is made of what Linux has; this is $(uname -s)
run it on ubuntu-24.04, or another machine with Linux"
[ "${1:-}" ] || die "install.sh wants the directory to install into
for example: install.sh /opt/sluicegate"
python=
cache=${RUNNER_TOOL_CACHE:-${AGENT_TOOLSDIRECTORY:-/opt/hostedtoolcache}}
# None of the workspace: a command of an earlier step may have written it.
work=$(cd -P -- "${GITHUB_WORKSPACE:-/nowhere}" 2>/dev/null && pwd) || work=/nowhere
outside=
IFS=: read -r -a places <<<"$PATH"
for place in "${places[@]}"; do
  case $(cd -P -- "$place" 2>/dev/null && pwd)/ in
    "$work"/*) ;;
    /?*) outside+=${outside:+:}$place ;;
  esac
done
for name in python3 python3.13 python3.12 python3.11 "$cache"/Python/3.1[1-9]*/*/bin/python3; do
  found=$(PATH=$outside && type -P -- "$name") || continue
  if fits "$found"; then python=$found && break; fi
done
[ "$python" ] || die "no Python from 3.11 on with venv and ensurepip on the PATH or in $cache
in a workflow, a step before this one: uses: actions/setup-python; else for example: apt-get install python3.12-venv"

# What was installed stands for exactly this source, these packages and this interpreter.
if ! key=$({ "$python" -I -c 'import sys; print(sys.version, sys.executable)'; cat "$lock"; cd "$here/src"
  find -L sluicegate -type f ! -name '*.pyc' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum; } | sha256sum); then
  die "the source of sluicegate can not be read in $here"
fi
# What is there is cleared away: it must be an environment, and not somebody's /opt.
[ ! -e "$1" ] || [ -e "$1/pyvenv.cfg" ] || [ -z "$(ls -A -- "$1")" ] || die "$1 holds other files
name a directory that does not exist, such as /opt/sluicegate"
mkdir -p -- "$1" || die "$1 can not be made"
home=$(cd -P -- "$1" && pwd)

if [ "$(cat "$home/.ready" 2>/dev/null)" != "$key" ]; then
  rm -f "$home/.ready"
  "$python" -I -m venv --clear "$home" || die "can not make an environment in $home"
  # Where pip would put it elsewhere, or refuse to.
  unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_USER PIP_REQUIRE_VIRTUALENV
  "$home/bin/python" -I -m pip --quiet --no-input --disable-pip-version-check install \
    --require-hashes --no-deps --only-binary :all: -r "$lock" >&2 ||
    die "pip could not install what sluicegate needs, see above
each package must come from the index that pip is configured for, with a hash of action/requirements.lock"
  site=$("$home/bin/python" -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  cp -RL -- "$here/src/sluicegate" "$site/"
  # Root runs it later, and shall leave no files of its own here.
  "$home/bin/python" -I -m compileall -q "$site/sluicegate"
  printf '#!/bin/sh\nhere=$(dirname -- "$(readlink -f -- "$0")")\nexec "$here/python" -I -B -m sluicegate "$@"\n' \
    >"$home/bin/sluicegate"
  chmod 755 "$home/bin/sluicegate"
  printf %s "$key" >"$home/.ready"
fi
# From files of ours: no line of it can begin with ::.
"$home/bin/python" -I -B - "$lock" >&2 <<'END'
import platform, re, sys
import sluicegate
packages = re.findall(r"^([A-Za-z0-9.-]+)==(\S+)", open(sys.argv[1]).read(), re.MULTILINE)
print(f"sluicegate: {sluicegate.__version__} from its own source, Python {platform.python_version()}, by hash:",
      ", ".join(" ".join(one) for one in packages))
END
