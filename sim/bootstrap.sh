#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: Apache-2.0
#
# Usage: bootstrap.sh [sim|docs|dev [TOOL...]]
#
# Makes .venv ready, for the simulations alone (sim), for the documentation site (docs), or for
# everything else (dev, the default: four times as much to install as sim): what pip can install comes from pip with exact versions, and what only the
# system can give is installed through apt where that is possible without a question, else named in
# one line. A TOOL is a command that one target alone needs; its package has the same name. Does nothing,
# quickly and quietly, when all is there. Exit code 2: something is missing.
set -euo pipefail

unset CDPATH
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
level=${1:-dev}
tools=("${@:2}")
native_stamp=$venv/descring-native.stamp
log=$root/build/bootstrap.log
# The versions that are installed; pyproject.toml has the ranges.
tested=$root/requirements/tested.txt

# Takes away what is exported for other programs; descring_sim/support/environment.py has the rest.
clean_environment() {
  local word name kept=' ' taken=()
  while read -r word; do
    case $word in
      '' | '#'*) ;;
      '!'*) kept+="${word#!} " ;;
      *) taken+=("$word") ;;
    esac
  done <"$root/sim/descring_sim/support/foreign_variables.txt"
  for name in $(compgen -e); do
    for word in "${taken[@]}"; do
      # shellcheck disable=SC2053  # a pattern on purpose
      if [[ $name == $word && $kept != *" $name "* ]]; then
        export -n "${name?}"
        # bash keeps some of its own.
        unset "$name" 2>/dev/null || true
      fi
    done
  done
  # Against a pip.conf that installs into the user's home.
  export LC_ALL=C.UTF-8 PIP_USER=0
  [ -d "${TMPDIR:-/}" ] || unset TMPDIR
  umask u+rwx
}
clean_environment

# Marks that this script has installed system packages here before.
apt_stamp=$venv/descring-apt.stamp

say() { printf 'descring: %s\n' "$*" >&2; }
fail() { say "$*"; exit 2; }
case $root in
  *:*) fail "expected a checkout in a folder without ':' in its path, which Python's venv cannot take, got $root; move it" ;;
esac

case $level in
  sim | docs | dev) ;;
  *) fail "expected sim, docs or dev, got '$level'" ;;
esac

# Python 3.11 or newer that can make an environment.
python_makes_venv() {
  "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# The simulators load Python as a shared library, which some builds of Python lack.
python_is_shared() {
  "$1" - >/dev/null 2>&1 <<'PYTHON'
import ctypes, os, sys, sysconfig
name = sysconfig.get_config_var("INSTSONAME") or ""
if ".so" not in name:
    sys.exit(1)
beside = os.path.join(sysconfig.get_config_var("LIBDIR") or "", name)
ctypes.CDLL(beside if os.path.exists(beside) else name)
PYTHON
}

# The native core of descring_host is compiled against Python's own headers.
python_has_headers() {
  "$1" - >/dev/null 2>&1 <<'PYTHON'
import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))
PYTHON
}

find_python() {
  local candidate
  for candidate in python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
    if candidate=$(command -v "$candidate") && python_makes_venv "$candidate" &&
      python_is_shared "$candidate"; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  return 1
}

has_header() {
  printf '#include <%s>\n' "$1" | g++ -E -x c++ - >/dev/null 2>&1
}

# Prints the names of the Debian packages that are missing.
missing_packages() {
  local tool version
  for tool in g++ make perl iverilog; do
    command -v "$tool" >/dev/null || echo "$tool"
  done
  if command -v g++ >/dev/null; then
    echo 'int main() {}' | g++ -std=c++20 -fsyntax-only -x c++ - 2>/dev/null || echo g++
    # libc6-dev comes with g++; these two are what writing FST waves needs.
    has_header zlib.h || echo zlib1g-dev
    has_header lz4.h || echo liblz4-dev
  else
    echo zlib1g-dev liblz4-dev
  fi
  if ! find_python >/dev/null; then
    if version=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
    then
      echo "python3-venv libpython$version-dev"
    else
      echo 'python3 python3-venv libpython3-dev'
    fi
  elif ! python_has_headers "$(find_python)"; then
    echo libpython3-dev
  fi
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_install() {
  command -v apt-get >/dev/null || return 1
  [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" \
    >>"$log" 2>&1 </dev/null
}

# Prints what only saves time, or what one test needs that reports it when it skips: the absence of
# either is no reason to stop.
optional_packages() {
  command -v ccache >/dev/null || echo ccache
  if [ "$level" = dev ] && ! command -v chromedriver >/dev/null; then
    echo chromium chromium-driver
  fi
}

ensure_tools() {
  local tool advice
  for tool in ${tools[@]+"${tools[@]}"}; do
    if command -v "$tool" >/dev/null; then continue; fi
    advice="missing: $tool; install with: sudo apt-get install -y $tool"
    can_install || fail "$advice"
    say "installing system packages: $tool"
    apt_install "$tool" || { as_root apt-get update -q && as_root apt-get install -y -q "$tool"; } \
      >>"$log" 2>&1 </dev/null || fail "$advice (apt-get failed; log: $log)"
  done
}

ensure_system() {
  local missing optional
  missing=$(missing_packages | tr '\n' ' ')
  missing=${missing% }
  optional=$(optional_packages | tr '\n' ' ')
  if [ -z "$missing" ]; then
    # A machine that had everything without this script is left as it is.
    if [ -n "$optional" ] && [ -f "$apt_stamp" ] && can_install; then
      say "installing system packages: $optional"
      # shellcheck disable=SC2086  # a list of words on purpose
      apt_install $optional || say "apt-get failed, continuing without; log: $log"
    fi
    return 0
  fi
  local advice="missing: $missing; install with: sudo apt-get install -y $missing"
  can_install || fail "$advice"
  say "installing system packages: $missing"
  # shellcheck disable=SC2086  # lists of words on purpose
  if ! apt_install $missing $optional; then
    as_root apt-get update -q >>"$log" 2>&1 </dev/null || say "apt-get update failed, see $log"
    apt_install $missing $optional || apt_install $missing || {
      tail -n 5 "$log" >&2
      fail "$advice (apt-get failed; log: $log)"
    }
  fi
  installed_packages=yes
  missing=$(missing_packages | tr '\n' ' ')
  [ -z "$missing" ] || fail "still missing after apt-get: $missing (log: $log)"
}

# Shows what pip is at, on one line that it rewrites; plain output stays short.
show_progress() {
  local line
  while IFS= read -r line; do
    printf '%s\n' "$line" >>"$log"
    if [ -t 2 ]; then
      case $line in
        Collecting* | *Downloading* | Installing*)
          printf '\r\033[K  %.70s' "$line" >&2 ;;
      esac
    fi
  done
  if [ -t 2 ]; then printf '\r\033[K' >&2; fi
}

ensure_venv() {
  local python started=$SECONDS
  if [ -e "$venv" ] && ! python_makes_venv "$venv/bin/python"; then
    say "the environment .venv does not work with this machine's Python; rebuilding it"
    rm -rf "$venv"
  fi
  if [ ! -e "$venv" ]; then
    python=$(find_python)
    "$python" -m venv "$venv" >>"$log" 2>&1 || fail "$python -m venv failed; log: $log"
  fi
  say 'installing Python packages into .venv, up to a minute'
  # Without compiling: most modules are never imported, and the others are compiled when they are.
  if ! "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off \
    --no-compile --constraint "$tested" --editable "$root[$level]" 2>&1 </dev/null | show_progress; then
    tail -n 5 "$log" >&2
    fail "pip could not install the packages; log: $log"
  fi
  say "Python packages ready after $((SECONDS - started)) s"
}

# What the native core is compiled from; an edit there needs no new environment.
native_wanted() {
  cat "$root"/host/native/{,binding/,engine/,rollouts/}*.[ch] "$root"/host/native/build.py "$root"/host/include/*.h | sha256sum
}

native_ready() {
  [ -e "$root/host/native/build.py" ] || return 0
  [ -f "$native_stamp" ] && [ "$(cat "$native_stamp")" = "$(native_wanted)" ]
}

ensure_native() {
  "$venv/bin/python" "$root/host/native/build.py" >>"$log" 2>&1 || {
    tail -n 5 "$log" >&2
    fail "the native core could not be compiled; log: $log"
  }
}

wanted() {
  {
    echo "$root"
    cat "$root/pyproject.toml" "$tested"
  } | sha256sum
}

# What is ready for everything is ready for the simulations.
stamped() {
  local stamp levels=("$level" dev)
  # The site needs what nothing else does.
  if [ "$level" = docs ]; then levels=(docs); fi
  for stamp in "${levels[@]}"; do
    stamp=$venv/descring-$stamp.stamp
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted)" ]; then return; fi
  done
  return 1
}

ready() {
  local tool
  stamped || return 1
  for tool in g++ make perl iverilog; do
    command -v "$tool" >/dev/null || return 1
  done
  "$venv/bin/python" -c '' 2>/dev/null
}

mkdir -p "$root/build"
ensure_tools
if ready && native_ready; then exit 0; fi
# Two makes at once must not install into the same environment.
exec 9>"$root/build/bootstrap.lock"
flock 9
if ready && native_ready; then exit 0; fi
: >"$log"
if ! ready; then
  ensure_system
  ensure_venv
  if [ -n "${installed_packages:-}" ]; then : >"$apt_stamp"; fi
  wanted >"$venv/descring-$level.stamp"
fi
if ! native_ready; then
  ensure_native
  native_wanted >"$native_stamp"
fi
