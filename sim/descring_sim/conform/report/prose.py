# SPDX-License-Identifier: Apache-2.0
"""Texts of the page: rules and tests that they name become links, backticks become code."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from descring_model.rules import Rule, all_rules
from markupsafe import Markup, escape

_CODE = re.compile(r"`([^`\n]+)`")
_NAMED = re.compile(r"(?<![\w/-])(?P<rule>[A-Z]+-[0-9A-Z]+)(?P<test>/[\w.-]*\w)?(?![\w-])")


class Prose:
    """Sets texts for one page and remembers which rules they name.

    ``listed`` are the rules whose text the page has anyway, ``tests`` the tests that it shows.
    """

    def __init__(self, listed: Collection[str], tests: Collection[str]) -> None:
        self._texts = {rule.rule: rule for rule in all_rules()}
        self._listed = frozenset(listed)
        self._tests = frozenset(tests)
        self._cited: set[str] = set()

    def rule(self, rule: str) -> Markup:
        """A rule's id, as a link to its text if the contract has such a rule."""
        if rule not in self._texts:
            return escape(rule)
        self._cited.add(rule)
        return Markup('<a class="rule" href="#{0}">{0}</a>').format(rule)

    def rules(self, rules: Iterable[str]) -> Markup:
        """Several ids."""
        return Markup(", ").join(self.rule(rule) for rule in rules)

    def text(self, text: str) -> Markup:
        """A text of any origin."""
        # Every second part is code.
        parts = _CODE.split(text)
        return Markup("").join(
            Markup("<code>{}</code>").format(part) if at % 2 else self._links(part)
            for at, part in enumerate(parts)
        )

    def _links(self, text: str) -> Markup:
        parts, end = [], 0
        for found in _NAMED.finditer(text):
            parts += [escape(text[end : found.start()]), self._link(found)]
            end = found.end()
        return Markup("").join([*parts, escape(text[end:])])

    def _link(self, found: re.Match[str]) -> Markup:
        if found["test"] is None:
            return self.rule(found["rule"])
        if found[0] in self._tests:
            return Markup('<a href="#{0}">{0}</a>').format(found[0])
        return escape(found[0])

    def others(self) -> list[Rule]:
        """The rules that were named and are not listed, and those that their texts name."""
        known: set[str] = set()
        while new := self._cited - self._listed - known:
            known |= new
            for rule in new:
                self.text(self._texts[rule].text)
        return [rule for rule in all_rules() if rule.rule in known]
