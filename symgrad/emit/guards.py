"""Statements of a backward pass, each behind the test whether a gradient that needs it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from symgrad.emit.part_text import blocks_lines, parts_lines
from symgrad.emit.printer import Printer
from symgrad.lower.arrays import Blocks, Parts, Statement
from symgrad.lower.share import defines, needed_by
from symgrad.naming import fresh

Users = tuple[str, ...]
"""Results that need a statement, in order."""

LONGEST = 90
"""Characters of a test that stands where it is used, once."""

Needs = dict[str, set[str]]
"""Results that need a statement, each with the names that it needs after it."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Statements one after the other that the same results need."""

    users: Users
    statements: list[tuple[Statement, Needs]]

    def name(self, cotangents: Set[str]) -> str:
        """What it computes: its first cotangent, else the first name."""
        names = [n for s, _ in self.statements for n in sorted(defines(s))]
        return next((n for n in names if n in cotangents), names[0] if names else "more")


def guarded(
    printer: Printer,
    statements: tuple[Statement, ...],
    inputs: Mapping[str, str],
    taken: Set[str],
    cotangents: Set[str],
) -> list[str]:
    """Lines of the statements, with the gradients that are not asked for None.

    Args:
        printer: prints a statement.
        statements: the backward pass.
        inputs: for each result, the input whose gradient it is.
        taken: names that mean something already.
        cotangents: what a test that has a name is called after.

    A test of more than two inputs that is long, or would stand in several places, is computed once and has a name:
    ``wants_grad_h = "x" in wrt or ...``.
    """
    wanted = {r: {r} for r in inputs}
    tests = {r: f'"{i}" in wrt' for r, i in inputs.items()}
    guards = _Guards(tests, _flags(statements, wanted, tests, taken, cotangents))
    return [*guards.definitions(), " = ".join(inputs) + " = None", *guards.lines(printer, statements, wanted)]


def returned(statements: tuple[Statement, ...], inputs: Mapping[str, str]) -> list[str]:
    """The results as they are returned: None for one that was computed for another's sake alone."""
    if len(inputs) < 2:
        return [*inputs]
    needs = needed_by(statements, {r: {r} for r in inputs})
    shared = {
        r for s, users in zip(statements, needs, strict=True) for r in inputs if r in defines(s) and {*users} - {r}
    }
    return [f'{r} if "{i}" in wrt else None' if r in shared else r for r, i in inputs.items()]


def _flags(
    statements: tuple[Statement, ...],
    wanted: Mapping[str, Set[str]],
    tests: Mapping[str, str],
    taken: Set[str],
    cotangents: Set[str],
) -> dict[Users, str]:
    """Names of the tests that are computed once, those of few inputs first."""
    found: dict[Users, list[str]] = {}
    for block in _tested_blocks(statements, wanted):
        found.setdefault(block.users, []).append(block.name(cotangents))
    used = set(taken)
    flags: dict[Users, str] = {}
    for users, names in sorted(found.items(), key=lambda item: len(item[0])):
        if len(users) > 2 and (len(names) > 1 or len(_either(tests[u] for u in users)) > LONGEST):
            name = next((n for n in names if n in cotangents), names[0])
            flags[users] = fresh(f"wants_{name}", used)
            used.add(flags[users])
    return flags


def _either(tests: Iterable[str]) -> str:
    return " or ".join(tests)


def _tested_blocks(statements: tuple[Statement, ...], wanted: Mapping[str, Set[str]]) -> Iterator[_Block]:
    """Blocks that not all results need, those inside of functions of parts as well."""
    for block in _blocks(statements, wanted):
        if len(block.users) < len(wanted):
            yield block
        for statement, needs in block.statements:
            if isinstance(statement, Parts | Blocks) and len(needs) > 1:
                yield from _tested_blocks(statement.body, needs)


def _blocks(statements: tuple[Statement, ...], wanted: Mapping[str, Set[str]]) -> list[_Block]:
    blocks: list[_Block] = []
    for statement, needs in zip(statements, needed_by(statements, wanted), strict=True):
        users = tuple(needs)
        if blocks and blocks[-1].users == users:
            blocks[-1].statements.append((statement, needs))
        elif users:
            blocks.append(_Block(users, [(statement, needs)]))
    return blocks


@dataclass(frozen=True, slots=True)
class _Guards:
    """The test of each result, and the names of tests that are computed once."""

    tests: Mapping[str, str]
    flags: Mapping[Users, str]

    def definitions(self) -> list[str]:
        """A line for each flag, in terms of those before it."""
        lines = []
        before: list[Users] = []
        for users, name in self.flags.items():
            inside = max((b for b in before if set(b) < set(users)), key=len, default=())
            rest = [self.tests[u] for u in users if u not in inside]
            lines.append(f"{name} = {_either([self.flags[inside], *rest] if inside else rest)}")
            before.append(users)
        return lines

    def lines(self, printer: Printer, statements: tuple[Statement, ...], wanted: Mapping[str, Set[str]]) -> list[str]:
        """Statements, each behind the test of the results that need it where those are not all of them."""
        lines: list[str] = []
        for block in _blocks(statements, wanted):
            text = [line for s, needs in block.statements for line in self._statement(printer, s, needs)]
            if len(block.users) == len(wanted):
                lines += text
            else:
                test = self.flags.get(block.users) or _either(self.tests[u] for u in block.users)
                lines += [f"if {test}:", *("    " + line for line in text)]
        return lines

    def _statement(self, printer: Printer, statement: Statement, needs: Needs) -> list[str]:
        if isinstance(statement, Parts) and len(needs) > 1:
            nothing = [" = ".join(statement.sums) + " = None"] if statement.sums else []
            return parts_lines(printer, statement, nothing + self.lines(printer, statement.body, needs))
        if isinstance(statement, Blocks) and len(needs) > 1:
            return blocks_lines(printer, statement, self.lines(printer, statement.body, needs))
        return printer.lines((statement,))
