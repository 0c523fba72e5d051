# SPDX-License-Identifier: Apache-2.0
"""Hooks of mkdocs: pages from outside ``docs/``, pictures in two looks, links to rules.

The README is the first page; CONTRIBUTING, CHANGELOG and SECURITY are pages too. A link to another
file or folder of the repository leads to a page that shows it, so that the site needs no host.
Every rule that a page or a docstring cites is a link to the text of the rule.
"""

from __future__ import annotations

import posixpath
import re
import xml.etree.ElementTree as etree
from collections.abc import Callable
from pathlib import Path

from markdown import Extension, Markdown
from markdown.inlinepatterns import InlineProcessor
from markdown.util import AtomicString
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT_PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
"""Pages at the root of the repository, with their place in the site."""
SOURCES = "source"
"""Folder of the site with the pages that show files of the repository."""
LANGUAGES = {".v": "verilog", ".sv": "systemverilog", ".py": "python", ".c": "c", ".toml": "toml"}

_FENCE = re.compile(r"^(?P<fence>```|~~~).*?^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?P<head>\]\()(?P<target>[^)\s]+)(?P<tail>\))")
_PICTURE = re.compile(r"!\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+\.svg)\)")
_DARK = re.compile(r"@media screen and \(prefers-color-scheme:\s*dark\)")

CONTRACTS = ("contract.md", "rollout-contract.md", "engine-contract.md")
"""The pages that state rules, each in bold or in the first cell of a row."""
_RULE = r"[A-Z]{2,}-[0-9A-F]{3}"
_STATED = re.compile(rf"<(?P<tag>strong|td)>(?P<rule>{_RULE})(?=</)")
_CITED = re.compile(rf"\b{_RULE}\b")
_TAG = re.compile(r"(<[^>]+>)")
_UNLINKED = ("a", "pre", "script", "style", "h1", "h2", "h3")
_BRACKETS = rf"\[(?:{_RULE}|[A-Z]{{2,}}|[a-z])\](?!\()"
_BEFORE_REFERENCES = 175
_ROLE = r":(?:attr|class|data|exc|func|meth|mod):`[~.]?([^`]+)`"
_BEFORE_CODE = 195

_rules: dict[str, str] = {}
"""The page of each rule."""


class _Brackets(InlineProcessor):
    """Text in brackets that is a citation or an index, and never a reference to a link."""

    def handleMatch(  # type: ignore[override]
        self, m: re.Match[str], data: str
    ) -> tuple[etree.Element, int, int]:
        element = etree.Element("span")
        element.text = AtomicString(m[0])
        return element, m.start(0), m.end(0)


class _Roles(InlineProcessor):
    """A name with its kind, as docstrings have it: the name alone, as code."""

    def handleMatch(  # type: ignore[override]
        self, m: re.Match[str], data: str
    ) -> tuple[etree.Element, int, int]:
        element = etree.Element("code")
        element.text = AtomicString(m[1])
        return element, m.start(0), m.end(0)


class _Citations(Extension):
    """Markdown in which ``[RING-009] [DB-001]`` are two citations, and a role is code."""

    def extendMarkdown(self, md: Markdown) -> None:
        md.inlinePatterns.register(_Roles(_ROLE, md), "roles", _BEFORE_CODE)
        md.inlinePatterns.register(_Brackets(_BRACKETS, md), "citations", _BEFORE_REFERENCES)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Find the rules, and read citations as what they are."""
    for page in CONTRACTS:
        text = (Path(config.docs_dir) / page).read_text("utf-8")
        found = re.findall(rf"\*\*({_RULE})\*\*|^\| ({_RULE}) \|", text, re.MULTILINE)
        _rules.update({prose or row: page for prose, row in found})
    config.markdown_extensions.append(_Citations())  # type: ignore[arg-type]
    return config


def on_page_content(html: str, /, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Give each rule of a contract an anchor, and lead each citation of a rule there."""
    uri = page.file.src_uri
    if uri in CONTRACTS:
        html = _STATED.sub(r'<\g<tag> id="\g<rule>">\g<rule>', html)
    here = posixpath.dirname(uri) or "."
    inside: list[str] = []
    stated = False

    def lead(match: re.Match[str]) -> str:
        home = _rules.get(match[0])
        if home is None:
            return match[0]
        target = "" if home == uri else posixpath.relpath(home, here).removesuffix(".md") + ".html"
        return f'<a class="rule" href="{target}#{match[0]}">{match[0]}</a>'

    pieces = _TAG.split(html)
    for place, piece in enumerate(pieces):
        if piece.startswith("<"):
            name = re.match(r"</?([a-z0-9]+)", piece)
            if name and name[1] in _UNLINKED:
                if piece.startswith("</"):
                    if inside:
                        inside.pop()
                else:
                    inside.append(name[1])
            stated = ' id="' in piece
        elif not inside and not stated:
            pieces[place] = _CITED.sub(lead, piece)
    return "".join(pieces)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside ``docs/``, those of linked sources, and both looks of pictures."""
    root = Path(config.config_file_path).parent
    for name, page in ROOT_PAGES.items():
        text = (root / name).read_text("utf-8")
        files.append(File.generated(config, page, content=_localised(text, name, page, root)))
    for target in sorted(_linked_sources(root)):
        page = _source_page(target)
        files.append(File.generated(config, page, content=_show(root, target)))
    for svg in [file for file in files if file.src_uri.endswith(".svg")]:
        picture = svg.content_string
        if not _DARK.search(picture):
            continue
        for look, medium in (("light", "not all"), ("dark", "all")):
            path = _look(svg.src_uri, look)
            content = _DARK.sub(f"@media {medium}", picture)
            files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, /, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links that leave ``docs/`` to pages of the site, and give pictures both looks."""
    uri = page.file.src_uri
    if page.file.generated_by is None:
        root = Path(config.config_file_path).parent
        markdown = _localised(markdown, f"docs/{uri}", uri, root)

    def both(match: re.Match[str]) -> str:
        target = match["target"]
        place = posixpath.normpath(posixpath.join(posixpath.dirname(uri), target))
        if files.get_file_from_path(_look(place, "dark")) is None:
            return match[0]
        return "".join(
            f"![{match['text']}]({_look(target, look)}){{ .{look}-only }}"
            for look in ("light", "dark")
        )

    return _outside_fences(markdown, lambda text: _PICTURE.sub(both, text))


def _look(path: str, look: str) -> str:
    return f"{path.removesuffix('.svg')}.{look}.svg"


def _outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [change(markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(markdown[end:])])


def _targets(markdown: str, source: str) -> list[tuple[str, str, str]]:
    """Return each relative link: as written, its path from the root, and its anchor."""
    found = []

    def collect(text: str) -> str:
        for match in _LINK.finditer(text):
            path, _, anchor = match["target"].partition("#")
            if path and ":" not in path:
                place = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
                found.append((match["target"], place, anchor))
        return text

    _outside_fences(markdown, collect)
    return found


def _is_page(place: str) -> bool:
    return place in ROOT_PAGES or place.startswith("docs/")


def _linked_sources(root: Path) -> set[str]:
    """Return the files and folders that pages link to and that are no pages themselves."""
    pages = [root / name for name in ROOT_PAGES] + sorted((root / "docs").rglob("*.md"))
    found = set()
    for page in pages:
        source = page.relative_to(root).as_posix()
        for written, place, _ in _targets(page.read_text("utf-8"), source):
            if _is_page(place) or place == "docs":
                continue
            if not (root / place).exists() or place.startswith(".."):
                raise PluginError(f"{source}: expected a file of the repository, got {written!r}")
            found.add(place)
    return found


def _source_page(place: str) -> str:
    return f"{SOURCES}/{place}.md"


def _localised(markdown: str, source: str, page: str, root: Path) -> str:
    """Return the text of ``source`` with its links as seen from ``page``, a place in the site."""

    def lead(match: re.Match[str]) -> str:
        path, hash_, anchor = match["target"].partition("#")
        if not path or ":" in path:
            return match[0]
        place = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if place in ROOT_PAGES:
            target = ROOT_PAGES[place]
        elif _is_page(place):
            target = place.removeprefix("docs/")
        else:
            target = _source_page(place)
        here = posixpath.dirname(page) or "."
        return f"{match['head']}{posixpath.relpath(target, here)}{hash_}{anchor}{match['tail']}"

    return _outside_fences(markdown, lambda text: _LINK.sub(lead, text))


def _show(root: Path, place: str) -> str:
    """Return the page that shows a file, or the files of a folder, of the repository."""
    path = root / place
    shown = [path] if path.is_file() else sorted(item for item in path.iterdir() if item.is_file())
    text = f"---\nsearch:\n  exclude: true\n---\n# `{place}`\n\n"
    for file in shown:
        language = LANGUAGES.get(file.suffix, "text")
        heading = f"## `{file.name}`\n\n" if file != path else ""
        text += f"{heading}````{language}\n{file.read_text('utf-8').rstrip()}\n````\n\n"
    return text
