# SPDX-License-Identifier: Apache-2.0
"""Check the wording of Markdown, comments, docstrings, messages and names against a word list.

Run as ``descring dev words [--list FILE] [PATH...]`` at the root of a checkout.
Without a PATH the folders are checked that the list names as clean. Exit code 0: no finding; 1:
findings, one per line as ``file:line: "mend" -> "repair, fix"``; 2: the list or a path is wrong.

A line may keep a word with a reason, in a comment on it or on the line above::

    words: allow WORD: REASON

A waiver without a reason, and one that waives nothing, are findings.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descring_model.program import run_program

from descring_sim.signoff import prose

DEFAULT_LIST = Path("sim/words.toml")
_WAIVER = re.compile(
    r"words: allow (?P<word>[^:\n]*?)(?::[ \t]*(?P<reason>[^\n]*?))?[ \t]*(?:-->|\n|$)"
)
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SKIPPED_FOLDERS = {"__pycache__", "build", "node_modules"}


class WordListError(ValueError):
    """The word list or a path given to the check is not usable."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Words and phrases that are avoided, and what to write instead.

    Attributes:
        avoid: matches them in extracted prose.
        suspect: matches them, and more, in a raw file: whether it is worth extracting.
        names: words that no identifier may contain.
        use: what to write instead.
    """

    avoid: re.Pattern[str]
    suspect: re.Pattern[str]
    names: frozenset[str]
    use: str


@dataclass(frozen=True, slots=True)
class WordList:
    """The word list.

    Attributes:
        entries: what is avoided.
        clean: files and folders, relative to the root, in which no entry may appear.
        skip: files and folders below them that are left out.
        no_prose: suffixes of files without prose.
    """

    entries: tuple[Entry, ...]
    clean: tuple[str, ...]
    skip: frozenset[str]
    no_prose: frozenset[str]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One place that the word list objects to."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def load(path: Path) -> WordList:
    """Read a word list.

    Raises:
        WordListError: the file is missing, not TOML, or not a word list.
    """
    try:
        table = tomllib.loads(path.read_text())
        return WordList(
            entries=tuple(_entry(item) for item in table["word"]),
            clean=tuple(table["clean"]),
            skip=frozenset(table["skip"]),
            no_prose=frozenset(table["no_prose"]),
        )
    except KeyError as error:
        raise WordListError(f"{path}: expected the key {error}, got none; add it") from error
    except (OSError, tomllib.TOMLDecodeError, TypeError, re.error) as error:
        raise WordListError(f"{path}: expected a word list, got: {error}") from error


def _entry(item: dict[str, Any]) -> Entry:
    # A space in a phrase stands for any white space, so that it is found across a line break; in
    # the raw file there may be comment leaders and quotes as well.
    prose_gap, raw_gap = r"\s+", r"\W+(?:[bfr]{1,2}\W+)?"
    prose_pattern, raw_pattern = (
        re.compile(
            rf"(?<![\w-])(?:{'|'.join(word.replace(' ', gap) for word in item['avoid'])})(?![\w-])",
            re.IGNORECASE,
        )
        for gap in (prose_gap, raw_gap)
    )
    return Entry(prose_pattern, raw_pattern, frozenset(item.get("names", ())), item["use"])


def check_text(words: WordList, name: str, text: str, kind: str) -> list[Finding]:
    """Return the findings of one file, in order; ``name`` is what they call it."""
    suspects = [entry for entry in words.entries if entry.suspect.search(text)]
    named = {part: entry for entry in words.entries for part in entry.names}
    if not suspects and not _WAIVER.search(text) and not _mentions(text, named):
        return []
    extracted = prose.extract(text, kind)
    waivers = {
        _line(text, match.start()): match
        for match in _WAIVER.finditer(text)
        if extracted.text[match.start()] != prose.CODE
    }
    readable = _without_waivers(extracted.text, waivers.values())
    found = [
        (_line(text, match.start()), " ".join(match[0].split()), entry.use)
        for entry in suspects
        for match in entry.avoid.finditer(readable)
    ]
    for offset, identifier in extracted.names:
        for part in _PART.findall(identifier):
            if part.lower() in named:
                found.append((_line(text, offset), identifier, named[part.lower()].use))
    return sorted(set(_judge(name, found, waivers)))


def _mentions(text: str, named: Iterable[str]) -> bool:
    lowered = text.lower()
    return any(part in lowered for part in named)


def _without_waivers(text: str, waivers: Iterable[re.Match[str]]) -> str:
    for match in waivers:
        text = text[: match.start()] + prose.CODE * len(match[0]) + text[match.end() :]
    return text


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def _judge(
    name: str, found: Iterable[tuple[int, str, str]], waivers: dict[int, re.Match[str]]
) -> Iterator[Finding]:
    used = set()
    for line, word, use in found:
        for at in (line, line - 1):
            if at in waivers and waivers[at]["word"].lower() == word.lower():
                used.add(at)
                break
        else:
            yield Finding(name, line, f'"{word}" -> "{use}"')
    for line, match in waivers.items():
        if not match["reason"]:
            yield Finding(name, line, "expected `words: allow WORD: REASON`, got no reason")
        elif line not in used:
            yield Finding(name, line, f'the waiver of "{match["word"]}" waives nothing; remove it')


def files_of(words: WordList, root: Path, chosen: Iterable[str]) -> list[Path]:
    """Return the files with prose of ``chosen``, files and folders relative to ``root``.

    Raises:
        WordListError: one of them does not exist, or has a suffix that the check cannot read.
    """
    files: set[Path] = set()
    for place in chosen:
        path = root / place
        if not path.exists():
            raise WordListError(f"expected the file or folder {place} below {root}, got nothing")
        for file in [path] if path.is_file() else path.rglob("*"):
            below = file.relative_to(path).parts[:-1]
            if any(part.startswith(".") or part in _SKIPPED_FOLDERS for part in below):
                continue
            if file.is_file() and not _skipped(words, file.relative_to(root)):
                files.add(file)
    return sorted(files)


def _skipped(words: WordList, path: Path) -> bool:
    if path.suffix in words.no_prose or path.name in words.no_prose:
        return True
    if any(str(place) in words.skip for place in (path, *path.parents)):
        return True
    if prose.kind_of(path) is None:
        raise WordListError(
            f"{path}: expected a kind of file that the word check can read, got {path.suffix!r};"
            " add it to LEXERS of signoff/prose.py, or to no_prose of the word list"
        )
    return False


def check(words: WordList, root: Path, chosen: Iterable[str] = ()) -> tuple[int, list[Finding]]:
    """Check the files of ``chosen``, by default those that the list names as clean.

    Returns:
        Number of files, and the findings.

    Raises:
        WordListError: a path cannot be checked, or there is no file at all.
    """
    files = files_of(words, root, tuple(chosen) or words.clean)
    if not files:
        raise WordListError("expected files to check, got none")
    findings = []
    for file in files:
        kind = prose.kind_of(file)
        assert kind is not None
        name = file.relative_to(root).as_posix()
        findings += check_text(words, name, file.read_text(), kind)
    return len(files), findings


def main(arguments: list[str] | None = None) -> int:
    """Run the check; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="descring dev words",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="instead of the clean folders")
    parser.add_argument("--list", type=Path, default=DEFAULT_LIST, help="default: %(default)s")
    parser.add_argument("--count", action="store_true", help="print findings per file only")
    options = parser.parse_args(arguments)
    try:
        _, findings = check(load(options.list), Path(), options.paths)
    except WordListError as error:
        print(f"words: error: {error}", file=sys.stderr)
        return 2
    if options.count:
        per_file: dict[str, int] = {}
        for finding in findings:
            per_file[finding.path] = per_file.get(finding.path, 0) + 1
        for path, count in sorted(per_file.items()):
            print(f"{path}: {count}")
    else:
        for finding in findings:
            print(finding)
    if findings:
        print(
            f"words: {len(findings)} findings by {options.list}; rerun: {_rerun(options.paths)}",
            file=sys.stderr,
        )
    return 1 if findings else 0


def _rerun(paths: list[str]) -> str:
    return " ".join(["descring dev words", *paths])


if __name__ == "__main__":
    run_program("descring dev words", main)
