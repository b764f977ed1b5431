#!/usr/bin/env bash
# What action.yml runs: installs sluicegate, once a job, and hands over to it.
set -euo pipefail
here=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# Emptied by the runner before and after each job.
home=${RUNNER_TEMP:+$RUNNER_TEMP/sluicegate}
home=${home:-$(mktemp -d)}
bash --noprofile --norc "$here/install.sh" "$home"
exec "$home/bin/python" -I -B -m sluicegate action
