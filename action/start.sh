#!/usr/bin/env bash
# Installs sluicegate from the tree that this file lies in, once a job, and hands over to it. What it downloads comes
# from the package index that pip is configured for, and must have a hash of requirements.lock.
set -euo pipefail

here=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
lock=$here/action/requirements.lock

# The runner reads lines of stdout that begin with :: as orders, so what is shown is escaped as it asks for.
die() {
  local text=${1//'%'/%25}
  text=${text//$'\r'/%0D}
  printf '::error title=sluicegate::%s\n' "${text//$'\n'/%0A}"
  exit 125
}

# -I: neither the directory that we stand in, which the job's repository filled, nor PYTHONPATH has a say.
fits() { "$1" -I -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

python=
cache=${RUNNER_TOOL_CACHE:-${AGENT_TOOLSDIRECTORY:-/opt/hostedtoolcache}}
for name in python3 python3.13 python3.12 python3.11 "$cache"/Python/3.1[1-9]*/*/bin/python3; do
  found=$(type -P -- "$name") || continue
  if fits "$found"; then python=$found && break; fi
done
[ "$python" ] || die "no Python from 3.11 on with venv and ensurepip on the PATH or in $cache
put a step before this one: uses: actions/setup-python with python-version 3.12, or apt-get install python3.12-venv"

# What was installed stands for exactly this source, these packages and this interpreter.
if ! key=$({ "$python" -I -c 'import sys; print(sys.version, sys.executable)'; cat "$lock"; cd "$here/src"
  find sluicegate -name '*.py' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum; } | sha256sum); then
  die "the action's own files can not be read in $here"
fi
home=${RUNNER_TEMP:+$RUNNER_TEMP/sluicegate-${key:0:16}}
home=${home:-$(mktemp -d)}

if [ ! -e "$home/.ready" ]; then
  rm -rf "$home"
  "$python" -I -m venv "$home" || die "can not make an environment in $home"
  # Where pip would put it elsewhere, or refuse to.
  unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_USER PIP_REQUIRE_VIRTUALENV
  "$home/bin/python" -I -m pip --quiet --no-input --disable-pip-version-check install \
    --require-hashes --no-deps --only-binary :all: -r "$lock" >&2 ||
    die "pip could not install what sluicegate needs, see above
each package must come from the index that pip is configured for, with a hash of action/requirements.lock"
  site=$("$home/bin/python" -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  cp -R -- "$here/src/sluicegate" "$site/"
  # Root runs it later, and shall leave no files of its own here.
  "$home/bin/python" -I -m compileall -q "$site/sluicegate"
  : >"$home/.ready"
fi
# From files that we wrote: no line of it can begin with ::.
"$home/bin/python" -I -B - "$lock" >&2 <<'END'
import platform, re, sys
import sluicegate
packages = re.findall(r"^([A-Za-z0-9.-]+)==(\S+)", open(sys.argv[1]).read(), re.MULTILINE)
print(f"sluicegate: {sluicegate.__version__} from the action's own source, Python {platform.python_version()}, by hash:",
      ", ".join(" ".join(one) for one in packages))
END
exec "$home/bin/python" -I -B -m sluicegate action
