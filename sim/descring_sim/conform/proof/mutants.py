# SPDX-License-Identifier: Apache-2.0
"""The lists of wrong implementations in ``sim/conform_mutants``, and making one of an entry."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import descring_model
from descring_model import contract

from descring_sim.conform.errors import ConformError
from descring_sim.support import mutant, paths

ECHOED = (
    *("rollout_id", "kv_arena_id", "prefix_id", "kv_offset", "delta_offset"),
    *("max_tokens", "reward_model_id", "user_data"),
)
"""Fields that no opcode changes."""
LANGUAGES = ("python", "c", "rtl", "shell")


@dataclass(frozen=True)
class WrongImplementation(mutant.Mutant):
    """A mutant of an implementation in one language, and the rule that it breaks."""

    language: str = ""
    rule: str = ""

    def write(self, home: Path) -> str:
        """Make the implementation below ``home``; what ``descring conform`` calls it."""
        shutil.rmtree(home, ignore_errors=True)
        return _WRITERS[self.language](self, home)


def _write_python(wrong: WrongImplementation, home: Path) -> str:
    """A copy of the golden model under another name, and a plugin over it."""
    # No two share a name: Python keeps what it has imported.
    package = home / f"mutant_{wrong.name.lower().replace('-', '_')}"
    package.mkdir(parents=True)
    source = Path(descring_model.__file__).parent
    for path in source.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name == wrong.file:
            text = wrong.mutate(text)
        text = text.replace("descring_model", package.name)
        (package / path.name).write_text(text, encoding="utf-8")
    plugin = home / "dut.py"
    plugin.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(home)!r})\n"
        f"import {package.name}\n"
        "from descring_sim.conform.duts.model import ModelDut\n"
        "class Dut(ModelDut):\n"
        f"    model = {package.name}\n",
        encoding="utf-8",
    )
    return f"{plugin}:Dut"


def examples_dir() -> Path:
    """The folder of the example implementations, in a checkout."""
    root = paths.checkout_root()
    if root is None:
        raise ConformError("wrong implementations belong to a checkout of descring, not to a wheel")
    return root / "examples" / "conform"


def _write_c(wrong: WrongImplementation, home: Path) -> str:
    """The example worker over a header with a fault, which is found before the right one."""
    shutil.copytree(examples_dir() / "c_worker", home, ignore=shutil.ignore_patterns("*.so"))
    shutil.copy(paths.include_dir() / wrong.file, home)
    wrong.apply(home)
    return str(home / "worker.toml")


def _write_rtl(wrong: WrongImplementation, home: Path) -> str:
    """The example core with a fault in it."""
    shutil.copytree(examples_dir() / "acme", home)
    wrong.apply(home)
    settings = home / "acme.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace('"verilator"', '"icarus"'), encoding="utf-8")
    return str(settings)


def write_shell(home: Path, settings: Mapping[str, str]) -> Path:
    """A copy of the example shell with all that it is made of; its file with other ``settings``."""
    example = examples_dir() / "nimbus"
    shutil.copytree(example, home)
    shutil.copytree(paths.rtl_dir(), home / "rtl")
    file = home / "nimbus.toml"
    text = file.read_text(encoding="utf-8")
    for old, new in {"../../../rtl/": "rtl/", **settings}.items():
        if old not in text:
            raise ConformError(f"{file.name} has no {old!r}; fit {__name__} to it")
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")
    return file


def _write_shell(wrong: WrongImplementation, home: Path) -> str:
    """The example shell with a fault in it."""
    settings = {'"verilator"': '"icarus"', "settle_s = 10.0": f"settle_s = {_SETTLE_S}"}
    file = write_shell(home, settings)
    wrong.apply(home)
    return str(file)


_SETTLE_S = 1.0
"""A shell whose tail stops short would be waited for much longer."""
_WRITERS = {"python": _write_python, "c": _write_c, "rtl": _write_rtl, "shell": _write_shell}
_LISTS = {
    "python": ("model", "model_device"),
    "c": ("worker",),
    "rtl": ("core",),
    "shell": ("shell",),
}


def _entries(language: str, path: Path) -> Iterator[WrongImplementation]:
    """Yield the entries of a list; ``for`` makes one of each register or echoed field."""
    needed, optional = ("file", "search", "replace"), ("rule", "breaks", "for", "also")
    for where, entry in mutant.entries(path, needed, optional):
        every = entry.pop("for", None)
        if every is None and not {"rule", "breaks"} <= set(entry):
            raise mutant.MutantError(f"{where}: expected rule and breaks, or for")
        wrong = WrongImplementation("", **{"rule": "", "breaks": "", **entry, "language": language})
        if every == "register":
            for register in contract.REGISTERS:
                breaks = f"bit 0 of {register.name} reads wrong"
                yield _of(wrong, register.rule, breaks, offset=register.offset)
        elif every == "field":
            for name in ECHOED:
                field = contract.FIELD[name]
                breaks = f"bit 3 of {name} is lost"
                yield _of(wrong, field.rule, breaks, name=name, bits=field.bits)
        else:
            yield wrong


def _of(
    wrong: WrongImplementation, rule: str, breaks: str, **values: object
) -> WrongImplementation:
    return replace(wrong, rule=rule, breaks=breaks, replace=wrong.replace.format(**values))


def load(languages: tuple[str, ...] = LANGUAGES) -> list[WrongImplementation]:
    """All wrong implementations in these languages, each called after language and rule.

    Raises:
        MutantError: a list is wrong.
    """
    folder = examples_dir().parents[1] / "sim" / "conform_mutants"
    seen: Counter[str] = Counter()
    found = []
    chosen = [(key, name) for key, names in _LISTS.items() if key in languages for name in names]
    for language, name in chosen:
        for wrong in _entries(language, folder / f"{name}.toml"):
            own = f"{language}-{wrong.rule}"
            seen[own] += 1
            again = f"-{seen[own]}" if seen[own] > 1 else ""
            found.append(replace(wrong, name=own + again))
    return found
