"""How names look in formulas: bars for cotangents, letters for attributes and extents, primes for indices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from symgrad.declare.integers import Index, Poly, Size, as_poly, atoms
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import Compare, FromInteger, Read, walk
from symgrad.derive.terms import all_indices

_LETTERS = """alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi
    psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"""
GREEK = frozenset(_LETTERS.split())
_VARIANTS = {"epsilon": r"\varepsilon", "phi": r"\varphi"}


@dataclass(frozen=True)
class Notation:
    """What is written for names that are not written as they are.

    Attributes:
        bars: cotangents, with the tensor whose cotangent they are and a superscript (empty for most).
        letters: integer attributes and indices, with the letter that stands for them.
        extents: extents that are not plain sizes, with the letter that stands for them.
        introduced: tensors that the compiler named; where one is held constant, that goes without saying.
    """

    bars: Mapping[str, tuple[str, str]]
    letters: Mapping[str, str]
    extents: tuple[tuple[Poly, str], ...]
    introduced: frozenset[str]

    def tensor(self, name: str) -> str:
        """Return a tensor's name in LaTeX, to take a subscript."""
        if name in self.bars:
            base, above = self.bars[name]
            inner = upright(base)
            bar = rf"\overline{{{inner}}}" if inner.startswith(r"\mathrm") else rf"\bar{{{inner}}}"
            return rf"{bar}^{{\mathrm{{{above}}}}}" if above else bar
        return upright(name)

    def has_superscript(self, name: str) -> bool:
        """Return whether something stands above a tensor's name."""
        return bool(self.bars.get(name, ("", ""))[1])

    def scalar(self, name: str) -> str:
        """Return the name of something without indices: a size, an attribute, a scalar."""
        if name in self.letters:
            return self.letters[name]
        if name in self.bars:
            return self.tensor(name)
        numbered = re.fullmatch(r"([A-Za-z]+?)_?(\d+)", name)
        if numbered and (len(numbered[1]) == 1 or numbered[1] in GREEK):
            return f"{upright(numbered[1])}_{{{numbered[2]}}}"
        return upright(name)

    def index(self, name: str) -> str:
        """Return an index; a digit of another one carries its number."""
        digit = re.fullmatch(r"(\w+)_digit(\d+)", name)
        if digit and name not in self.letters:
            return f"{self.letters.get(digit[1], upright(digit[1]))}_{{{digit[2]}}}"
        return self.letters.get(name) or upright(name)

    def extent(self, poly: Poly) -> str | None:
        """Return the letter of an extent, if it has one."""
        return next((letter for e, letter in self.extents if e == poly), None)


def upright(name: str) -> str:
    """Return a name in LaTeX: a letter, a Greek letter, or a word in upright type."""
    if len(name) == 1:
        return name
    if name in GREEK:
        return _VARIANTS.get(name, f"\\{name}")
    return rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"


def notation_of(declared: Program, equations: Iterable[Equation], bars: Mapping[str, tuple[str, str]]) -> Notation:
    """Choose letters for everything that stands in ``equations``; no two names share one."""
    everything = tuple(equations)
    indices = sorted({i for e in everything for i in _indices(e)}, key=lambda i: (i.name, str(i.extent)))
    sizes = {a.name for i in indices for a in atoms(i.extent) if isinstance(a, Size)}
    sizes |= {a.name for t in declared.inputs for e in t.extents for a in atoms(e) if isinstance(a, Size)}
    tensors = {t.name for t in declared.inputs} | {e.target for e in everything}
    names = tensors | sizes | {a.name for a in declared.attributes} | {i.name for i in indices}
    used = {n for n in names if len(n) == 1}
    letters: dict[str, str] = {}
    for attribute in declared.attributes:
        name, first = attribute.name, attribute.name[0]
        wanted = attribute.integer and len(name) > 1 and first not in used
        if wanted and _stands_in_indices(name, indices, everything):
            letters[attribute.name] = first
            used.add(first)
    letters |= _primed(indices)
    introduced = {e.target for e in everything} - {e.target for e in declared.equations}
    return Notation(dict(bars), letters, _extents(indices, declared, used), frozenset(introduced))


def _indices(equation: Equation) -> frozenset[Index]:
    return all_indices(equation.body) | set(equation.indices)


def _stands_in_indices(name: str, indices: Iterable[Index], equations: Iterable[Equation]) -> bool:
    polys = [i.extent for i in indices]
    for equation in equations:
        for part in walk(equation.body):
            match part:
                case Read(_, read, _):
                    polys.extend(read)
                case Compare(_, poly) | FromInteger(poly):
                    polys.append(poly)
    return any(isinstance(a, Size) and a.name == name for p in polys for a in atoms(p))


def _primed(indices: Iterable[Index]) -> dict[str, str]:
    """``i_2`` and ``w_t`` become ``i'`` and ``w'``: the first free number of primes."""
    names = sorted({i.name for i in indices})
    letters: dict[str, str] = {}
    for name in names:
        base, _, rest = name.partition("_")
        if len(base) == 1 and (rest.isdigit() or re.fullmatch(r"t(_\d+)?", rest)):
            primes = 1
            while base + "'" * primes in letters.values():
                primes += 1
            letters[name] = base + "'" * primes
        elif rest and len(base) == 1:
            letters[name] = rf"{base}_{{{upright(rest)}}}"
        else:
            letters[name] = upright(name)
    return letters


def _extents(indices: Iterable[Index], declared: Program, used: set[str]) -> tuple[tuple[Poly, str], ...]:
    """Extents that are sums or quotients get the index's letter as a capital; the declaration's indices come first."""
    own = {i.name for e in declared.equations for i in e.indices}
    found: dict[Poly, str] = {}
    for index in sorted(indices, key=lambda i: (i.name not in own, len(i.name), i.name)):
        if index.extent in found or not _is_long(index.extent):
            continue
        capital = index.name[0].upper()
        letter = capital if capital not in used else f"N_{{{index.name[0]}}}"
        while letter in found.values():
            letter = letter + "'"
        used.add(capital)
        found[index.extent] = letter
    return tuple(found.items())


def _is_long(extent: Poly) -> bool:
    terms = [m for m, _ in extent.terms if m]
    return len(terms) > 1 or any(not isinstance(a, Size) for a in atoms(extent, deep=False))


def plain_letter(letter: str) -> str:
    """Return the letter of an extent as plain text."""
    return re.sub(r"[{}\\]", "", letter)


__all__ = ["Notation", "as_poly", "notation_of", "plain_letter", "upright"]
