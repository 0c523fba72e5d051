# SPDX-License-Identifier: Apache-2.0
"""The lists of wrong implementations in ``sim/conform_mutants``, and making one of an entry."""

from __future__ import annotations

import shutil
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import descring_model
from descring_model import contract

from descring_sim.conform.errors import ConformError
from descring_sim.support import paths

ECHOED = (
    *("rollout_id", "kv_arena_id", "prefix_id", "kv_offset", "delta_offset"),
    *("max_tokens", "reward_model_id", "user_data"),
)
"""Fields that no opcode changes."""
LANGUAGES = ("python", "c", "rtl", "shell")


@dataclass(frozen=True)
class Mutant:
    """One wrong implementation: ``search``, which is in ``file`` once, becomes ``replace``.

    ``also`` are further pairs of the two, where one fault shows in several places. ``number``
    counts those of one language that break the same rule.
    """

    language: str
    rule: str
    breaks: str
    file: str
    search: str
    replace: str
    also: tuple[tuple[str, str], ...] = ()
    number: int = 1

    @property
    def id(self) -> str:
        """Its name, which no other has."""
        again = f"-{self.number}" if self.number > 1 else ""
        return f"{self.language}-{self.rule}{again}"

    def mutated(self, text: str) -> str:
        """``text`` with the change applied.

        Raises:
            ConformError: the text to be replaced is not in it exactly once.
        """
        for search, replacement in ((self.search, self.replace), *self.also):
            found = text.count(search)
            if found != 1:
                raise ConformError(
                    f"{self.id}: expected its search text once in {self.file}, found it {found} "
                    f"times; fit sim/conform_mutants to the source: {search!r}"
                )
            text = text.replace(search, replacement)
        return text

    def write(self, home: Path) -> str:
        """Make the implementation below ``home``; what ``descring conform`` calls it."""
        shutil.rmtree(home, ignore_errors=True)
        return _WRITERS[self.language](self, home)


def _write_python(mutant: Mutant, home: Path) -> str:
    """A copy of the golden model under another name, and a plugin over it."""
    # No two share a name: Python keeps what it has imported.
    package = home / f"mutant_{mutant.id.lower().replace('-', '_')}"
    package.mkdir(parents=True)
    source = Path(descring_model.__file__).parent
    for path in source.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name == mutant.file:
            text = mutant.mutated(text)
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


def _write_c(mutant: Mutant, home: Path) -> str:
    """The example worker over a header with a fault, which is found before the right one."""
    shutil.copytree(examples_dir() / "c_worker", home, ignore=shutil.ignore_patterns("*.so"))
    header = paths.include_dir() / mutant.file
    text = mutant.mutated(header.read_text(encoding="utf-8"))
    (home / mutant.file).write_text(text, encoding="utf-8")
    return str(home / "worker.toml")


def _write_rtl(mutant: Mutant, home: Path) -> str:
    """The example core with a fault in it."""
    shutil.copytree(examples_dir() / "acme", home)
    source = home / mutant.file
    source.write_text(mutant.mutated(source.read_text(encoding="utf-8")), encoding="utf-8")
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


def _write_shell(mutant: Mutant, home: Path) -> str:
    """The example shell with a fault in it."""
    settings = {'"verilator"': '"icarus"', "settle_s = 10.0": f"settle_s = {_SETTLE_S}"}
    file = write_shell(home, settings)
    source = home / mutant.file
    source.write_text(mutant.mutated(source.read_text(encoding="utf-8")), encoding="utf-8")
    return str(file)


_SETTLE_S = 1.0
"""A shell whose tail stops short would be waited for much longer."""
_WRITERS = {"python": _write_python, "c": _write_c, "rtl": _write_rtl, "shell": _write_shell}
_LISTS = (
    ("python", "model.toml", ""),
    ("c", "worker.toml", "hw_worker.h"),
    ("rtl", "core.toml", ""),
    ("shell", "shell.toml", ""),
)


def _entries(language: str, path: Path, file: str) -> Iterator[Mutant]:
    data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    for entry in data["mutant"]:
        # A literal string of TOML, which quotes need, has no escape for the end of a line.
        for key in ("search", "replace"):
            entry[key] = entry[key].replace("\\n", "\n")
        entry["also"] = tuple((search, new) for search, new in entry.get("also", ()))
        every = entry.pop("for", None)
        if every is None:
            yield Mutant(language, **{"file": file, **entry})
        elif every == "register":
            for register in contract.REGISTERS:
                breaks = f"bit 0 of {register.name} reads wrong"
                yield _of(Mutant(language, register.rule, breaks, **entry), offset=register.offset)
        else:
            for name in ECHOED:
                field = contract.FIELD[name]
                breaks = f"bit 3 of {name} is lost"
                yield _of(Mutant(language, field.rule, breaks, **entry), name=name, bits=field.bits)


def _of(mutant: Mutant, **values: object) -> Mutant:
    return replace(mutant, replace=mutant.replace.format(**values))


def load(languages: tuple[str, ...] = LANGUAGES) -> list[Mutant]:
    """All wrong implementations in these languages."""
    folder = examples_dir().parents[1] / "sim" / "conform_mutants"
    seen: Counter[str] = Counter()
    mutants = []
    for language, name, file in _LISTS:
        if language in languages:
            for mutant in _entries(language, folder / name, file):
                seen[mutant.id] += 1
                mutants.append(replace(mutant, number=seen[mutant.id]))
    return mutants
