# SPDX-License-Identifier: Apache-2.0
"""The environment of the tools that we start: compilers, simulators, git, pytest.

What a user's shell, a hook or a CI system exports is meant for other programs, and changes results
behind the back of ours. ``foreign_variables.txt`` lists what is taken away; what is left is made
usable: a home, a folder for temporary files and caches that exist and can be written.
"""

from __future__ import annotations

import functools
import os
import re
import tempfile
from collections.abc import Mapping
from fnmatch import translate
from pathlib import Path

from descring_sim.support import paths

_LIST = Path(__file__).with_name("foreign_variables.txt")


@functools.cache
def _patterns() -> tuple[re.Pattern[str], frozenset[str]]:
    """What is taken away, and the names that are kept all the same."""
    lines = [line.strip() for line in _LIST.read_text(encoding="utf-8").splitlines()]
    words = [line for line in lines if line and not line.startswith("#")]
    kept = frozenset(word[1:] for word in words if word.startswith("!"))
    taken = "|".join(translate(word) for word in words if not word.startswith("!"))
    return re.compile(taken), kept


def is_foreign(name: str) -> bool:
    """Whether the variable ``name`` is kept from our tools."""
    taken, kept = _patterns()
    return name not in kept and taken.match(name) is not None


def tools(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a tool, made of ``environ``, by default that of this process."""
    given = os.environ if environ is None else environ
    env = {name: value for name, value in given.items() if not is_foreign(name)}
    # The messages of compilers are read again; under any locale that is set they are translated.
    env["LC_ALL"] = "C.UTF-8"
    if "TMPDIR" in env and not os.access(env["TMPDIR"], os.W_OK | os.X_OK):
        env["TMPDIR"] = tempfile.gettempdir()
    for name in ("CCACHE_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        if name in env and not paths.writable(Path(env[name])):
            del env[name]
    if not env.get("HOME") or not paths.writable(Path(env["HOME"])):
        home = paths.build_dir() / "home"
        home.mkdir(parents=True, exist_ok=True)
        env["HOME"] = str(home)
    return env


def git() -> dict[str, str]:
    """The environment for a git that only reads: it takes no lock in a checkout."""
    return tools() | {"GIT_OPTIONAL_LOCKS": "0"}
