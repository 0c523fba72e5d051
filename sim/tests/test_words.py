# SPDX-License-Identifier: Apache-2.0
"""The check of wording: what it reads in each language, waivers, and the list itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from descring_sim.signoff import prose, words

LIST = """
clean = ["src"]
skip = ["src/skipped.md"]
no_prose = [".npy"]
[[word]]
avoid = ["mend(s|ed)?"]
names = ["mend"]
use = "repair"
[[word]]
avoid = ["let go"]
use = "release"
"""


@pytest.fixture
def word_list(tmp_path: Path) -> words.WordList:
    """A list of two entries, for files below ``tmp_path/src``."""
    (tmp_path / "src").mkdir()
    (tmp_path / "words.toml").write_text(LIST)
    return words.load(tmp_path / "words.toml")


def lines_of(word_list: words.WordList, name: str, text: str) -> list[int]:
    """The lines with findings of ``text`` as the file ``name``."""
    kind = prose.kind_of(Path(name))
    assert kind is not None
    return [finding.line for finding in words.check_text(word_list, name, text, kind)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", "one\nthen mend it\n"),
        ("page.md", "one\n- we Let\n  go of it\n"),
        ("page.md", "```\nmend\n```\n"),
        ("a.py", 'x = 1\n"""Mends it."""\n'),
        ("a.py", "x = 1\nx = 2  # mended\n"),
        ("a.py", 'x = 1\nraise ValueError(f"mend {x}")\n'),
        ("a.py", 'x = 1\nprint("let "\n      "go")\n'),
        ("a.py", "x = 1\ndef mend_memory(): ...\n"),
        ("a.sv", "module m;\n  // mend this\nendmodule\n"),
        ("a.sv", 'module m;\n  initial $fatal(1, "mend");\nendmodule\n'),
        ("a.sv", "module m;\n  // we let\n  // go\nendmodule\n"),
        ("a.c", "int x;\n/* mend */\n"),
        ("a.h", "int x;\n/* we let\n * go */\n"),
        ("a.cu", "int x;\n// mend\n"),
        ("a.cuh", 'int x;\nconst char *s = "mend";\n'),
        ("a.c", "int x;\nint mendMemory(void);\n"),
        ("a.sh", "true\n# mend\n"),
        ("a.sh", "true\necho 'mend'\n"),
        ("a.toml", 'x = 1\ny = "mend"\n'),
        ("a.toml", "x = 1\n# mend\n"),
        ("a.toml", 'search = "x"\nbreaks = "mend"\nreplace = "y"\n'),
        ("Makefile", "x:\n\t@true  # mend\n"),
        ("a.yml", "x: 1\n# mend\n"),
        ("a.sby", "[options]\n# mend\n"),
        ("a.html.j2", "<p>\nmend</p>\n"),
    ],
)
def test_word_is_found_on_its_line(word_list: words.WordList, name: str, text: str) -> None:
    """Each language, each place where people read."""
    assert lines_of(word_list, name, text) == [2]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", "run `mend it`, see [this](mend.md) or https://mend.example\n"),
        ("page.md", "recommend, amends, mend-all\n"),
        ("a.py", '"""See ``mend`` and `mend`."""\nrecommended = "let"\ngo = 1\n'),
        ("a.sv", "module m;\n  // let\n  wire go;\nendmodule\n"),
        ("a.c", "#include <mend.h>\n"),
        ("a.toml", "search = \"mend\"\nreplace = '''\nmend\n'''\n"),
    ],
)
def test_code_and_other_words_pass(word_list: words.WordList, name: str, text: str) -> None:
    """Quoted code, targets of links, parts of other words, phrases that code interrupts."""
    assert lines_of(word_list, name, text) == []


def test_finding_names_file_line_and_replacement(word_list: words.WordList, tmp_path: Path) -> None:
    """The form that editors can follow."""
    (tmp_path / "src" / "a.py").write_text("# one\n# we let\n# go\n")
    (tmp_path / "src" / ".hidden").mkdir()
    (tmp_path / "src" / ".hidden" / "b.md").write_text("mend\n")
    count, findings = words.check(word_list, tmp_path)
    assert (count, [str(finding) for finding in findings]) == (
        1,
        ['src/a.py:2: "let go" -> "release"'],
    )
    assert words.check(word_list, tmp_path, ["src/.hidden"])[1][0].path == "src/.hidden/b.md"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mend  # words: allow mend: the name in the standard\n", None),
        ("words: allow mend: a quotation\nmend\n", None),
        ("mend  # words: allow mend\n", "got no reason"),
        ("words: allow mend: a quotation\n\nmend\n", "waives nothing"),
        ("words: allow let go: a quotation\nmend\n", '"mend" -> "repair"'),
    ],
)
def test_waiver_needs_a_reason_and_a_use(
    word_list: words.WordList, text: str, expected: str | None
) -> None:
    """It holds for its own line and the next, and for the word that it names."""
    findings = [str(finding) for finding in words.check_text(word_list, "a.md", text, ".md")]
    if expected is None:
        assert findings == []
    else:
        assert any(expected in finding for finding in findings)


def test_offsets_are_those_of_the_file() -> None:
    """Blank text has the length and the lines of the file, in every language."""
    for name, kind in prose.LEXERS.items():
        text = '\n\n# a  b\n// c\n\'x\'\n"""y"""\n<p> z\n\n'
        extracted = prose.extract(text, kind).text
        assert len(extracted) == len(text), name
        assert extracted.count("\n") == text.count("\n"), name


@pytest.mark.parametrize(
    ("place", "files", "expected"),
    [
        ("nowhere", [], "expected the file or folder nowhere"),
        ("src", ["a.xyz"], "expected a kind of file"),
        ("src", ["a.npy", "skipped.md"], "expected files to check, got none"),
    ],
)
def test_place_that_cannot_be_checked_is_an_error(
    word_list: words.WordList, tmp_path: Path, place: str, files: list[str], expected: str
) -> None:
    """Nothing is passed over in silence."""
    for name in files:
        (tmp_path / "src" / name).write_text("mend")
    with pytest.raises(words.WordListError, match=expected):
        words.check(word_list, tmp_path, [place])


@pytest.mark.parametrize(
    "text",
    ["clean = [", "clean = []", "word = 1\nclean = []", LIST + "[[word]]\navoid = ['(']\nuse = ''"],
)
def test_broken_list_is_an_error(tmp_path: Path, text: str) -> None:
    """Not TOML, no entries, entries of another shape, a pattern that does not compile."""
    (tmp_path / "words.toml").write_text(text)
    with pytest.raises(words.WordListError, match=r"words\.toml"):
        words.load(tmp_path / "words.toml")


def test_exit_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0 clean, 1 findings, 2 not checked."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.toml").write_text(LIST)
    (tmp_path / "src").mkdir()
    page = tmp_path / "src" / "page.md"
    page.write_text("repair\n")
    run = ["--list", "words.toml"]
    assert words.main(run) == 0
    page.write_text("mend\n")
    assert words.main(run) == 1
    assert words.main([*run, "--count", "src/page.md"]) == 1
    assert words.main([*run, "elsewhere"]) == 2
    assert words.main(["--list", "none.toml"]) == 2
