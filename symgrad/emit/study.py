"""``Derivation``: how the gradients of a layer come about, to study in a terminal, on paper or in a browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from symgrad.declare.layer import Layer
from symgrad.declare.program import Equation, Program
from symgrad.derive.adjoint import Adjoint
from symgrad.derive.trace import Trace
from symgrad.emit.graph import graph_text
from symgrad.emit.study_chain import chain_of
from symgrad.emit.study_declared import declaration
from symgrad.emit.study_forms import Solver
from symgrad.emit.study_model import Block, DerivationStep, Figure, Formula, Section, Sentence
from symgrad.emit.study_module import module_sections
from symgrad.emit.study_names import notation_of
from symgrad.emit.study_page import Page, say
from symgrad.emit.study_reads import chain_section
from symgrad.emit.study_recurrence import recurrences
from symgrad.emit.study_render import Html, Latex, Markdown, Renderer, Text, boxed
from symgrad.emit.study_results import gradients_section, residuals_section
from symgrad.emit.study_rewrites import parts, rewrites
from symgrad.emit.templates import render
from symgrad.lower.plan import ModulePlan


class Derivable(Protocol):
    """One run of the compiler, as far as a document tells of it."""

    @property
    def layer(self) -> Layer:
        """The declaration."""

    @property
    def stable(self) -> Program:
        """What the chain rule is applied to."""

    @property
    def derived(self) -> Adjoint:
        """The backward pass."""

    @property
    def plan(self) -> ModulePlan:
        """What the module does."""

    @property
    def trace(self) -> Trace:
        """The steps."""


@dataclass(frozen=True)
class Derivation:
    """The derivation of a layer's gradients.

    Attributes:
        name: the layer's name.
        steps: every step in order, as data.
        blocks: the document.
    """

    name: str
    steps: tuple[DerivationStep, ...]
    blocks: tuple[Block, ...]

    def to_text(self) -> str:
        """Return plain text of at most 100 columns; names are those of the emitted module."""
        title = self._title(Text())
        return f"{title}\n{'=' * len(title)}\n\n" + Text().document(self.blocks)

    def to_markdown(self) -> str:
        """Return Markdown with formulas in LaTeX."""
        return f"# {self._title(Markdown())}\n\n" + Markdown().blocks(self.blocks).rstrip("\n") + "\n"

    def to_latex(self) -> str:
        """Return a LaTeX document; it needs amsmath and graphicx."""
        body = Latex().blocks(self.blocks).strip()
        return render("study/document.tex.j2", title=self._title(Latex()), body=body)

    def to_html(self) -> str:
        """Return an HTML page that needs no script and no network: formulas are MathML."""
        return render("study/page.html.j2", title=self._title(Html()), style=self._style, body=self._html)

    def __str__(self) -> str:
        """Plain text."""
        return self.to_text()

    def __repr__(self) -> str:
        """Name of the layer, and how many steps there are."""
        return f"Derivation({self.name}, {len(self.steps)} steps)"

    def _repr_html_(self) -> str:
        return render("study/cell.html.j2", title=self._title(Html()), style=self._style, body=self._html)

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def _repr_latex_(self) -> str:
        """Return the gradients alone, for where a single formula is shown."""
        return "\n\n".join(f"$$\n{boxed(f)}\n$$" for f in self.gradients)

    @property
    def gradients(self) -> tuple[Formula, ...]:
        """The boxed formulas."""
        inner = [block for section in self.blocks if isinstance(section, Section) for block in section.blocks]
        return tuple(block for block in inner if isinstance(block, Formula) and block.boxed)

    @property
    def _html(self) -> str:
        return Html().blocks(self.blocks).strip()

    @property
    def _style(self) -> str:
        return render("study/style.css.j2").strip()

    def _title(self, renderer: Renderer) -> str:
        return renderer.sentence(Sentence("title", (("name", self.name),)))


def derivation_of(stages: Derivable) -> Derivation:
    """Return the derivation that one run of the compiler went through."""
    program, chain = stages.layer.program, chain_of(stages.stable)
    before, after = parts(stages.trace.steps)
    everything = _everything(program, stages.stable, chain.adjoint.program, stages.derived.program)
    everything += tuple(e for s in stages.trace.steps for e in (s.before, s.after) if e is not None)
    page = Page(notation_of(program, everything, chain.bars))
    solver = Solver(chain.adjoint.program, frozenset(chain.bars))
    declared = declaration(page, program, tuple(dict.fromkeys(everything)))
    if stages.layer.parts:
        declared = replace(declared, blocks=(*declared.blocks, Figure(graph_text(stages.layer))))
    blocks: list[Block] = [declared]
    forward = rewrites(page, before)
    if forward:
        blocks.append(Section(say("forward"), (*forward, _differentiated(page, stages.stable))))
    blocks.append(chain_section(page, chain, stages.stable, solver))
    simplified = rewrites(page, after)
    if simplified:
        blocks.append(Section(say("simplification"), (*simplified, *_dropped(page, chain.adjoint, stages.derived))))
    simple = replace(solver, program=stages.derived.program)  # with what simplification has named
    blocks.append(gradients_section(page, stages.derived, simple))
    blocks.append(residuals_section(page, program, stages.derived, stages.plan.residuals))
    blocks += module_sections(stages.plan)
    return Derivation(program.name, tuple(page.steps), tuple(blocks))


def _everything(*programs: Program) -> tuple[Equation, ...]:
    return tuple(dict.fromkeys(e for p in programs for e in p.equations))


def _differentiated(page: Page, stable: Program) -> Section:
    equations = tuple(page.equation(e, numbered=True) for e in stable.equations)
    return Section(say("differentiated"), (*equations, *recurrences(page, stable.equations)))


def _dropped(page: Page, chained: Adjoint, derived: Adjoint) -> Sequence[Block]:
    names = [n for n in chained.backward if n not in derived.backward]
    return [say("dropped", names=page.tensors(names))] if names else []


__all__ = ["Derivation", "DerivationStep", "derivation_of"]
