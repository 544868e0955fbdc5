"""LaTeX formulas as MathML, which browsers show without a script or a network."""

from __future__ import annotations

from functools import lru_cache
from xml.etree import ElementTree as Tree

from symgrad.emit.study_model import Row

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_BARS = ("\u00af", "\u2015")
_LIMITS = ("max", "min", "argmax", "argmin")


def inline(latex: str) -> str:
    """Return a formula for a line of text."""
    return f'<math xmlns="{NAMESPACE}">{_inner(latex, False)}</math>'


def displayed(rows: tuple[Row, ...]) -> str:
    """Return a formula of several lines, aligned at their relations."""
    cells = [(_inner(r.left, True), _relation(r.relation), _inner(r.right, True)) for r in rows]
    if len(cells) == 1:
        content = "".join(cells[0])
    else:
        content = "".join(_line(*c) for c in cells)
        content = f'<mtable displaystyle="true" class="lines">{content}</mtable>'
    return f'<math xmlns="{NAMESPACE}" display="block">{content}</math>'


def _line(left: str, relation: str, right: str) -> str:
    both = f'<mtd columnalign="left" style="text-align:left"><mrow>{relation}{right}</mrow></mtd>'
    return f'<mtr><mtd columnalign="right" style="text-align:right">{left}</mtd>{both}</mtr>'


def _relation(latex: str) -> str:
    """Return a relation; ``+=`` is one sign."""
    if latex == r"\mathrel{+}=":
        return "<mo>+=</mo>"
    return f"<mo>{_text(latex)}</mo>" if latex else ""


def _text(latex: str) -> str:
    return {"=": "=", r"\longrightarrow": "&#x27F6;"}.get(latex, latex)


@lru_cache(maxsize=4096)
def _inner(latex: str, display: bool) -> str:
    """Return what stands inside ``<math>``."""
    if not latex:
        return ""
    from latex2mathml.converter import convert  # slow to load, and nothing but HTML needs it

    root = Tree.fromstring(convert(latex, display="block" if display else "inline"))
    for parent in list(root.iter()):
        _set_names_upright(parent)
    for element in list(root.iter()):
        _amend(element, display)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return "".join(Tree.tostring(child, encoding="unicode") for child in root)


def _set_names_upright(parent: Tree.Element) -> None:
    """Join the letters of a name into one identifier, which is upright because it is long."""
    for place, child in enumerate(parent):
        letters = list(child)
        if _tag(child) == "mrow" and len(letters) > 1 and all(_is_upright(e) for e in letters):
            name = Tree.Element("mi")
            name.text = "".join(e.text or "" for e in letters)
            parent[place] = name


def _is_upright(element: Tree.Element) -> bool:
    return _tag(element) == "mi" and element.get("mathvariant") == "normal"


def _amend(element: Tree.Element, display: bool) -> None:
    """Put limits below, functions close to their arguments, and cells to the left in browsers that ask style sheets."""
    tag, text = _tag(element), element.text or ""
    first = element[0] if len(element) else None
    if display and tag == "msub" and first is not None and first.text in _LIMITS:
        element.tag = "munder"
    if tag == "mo" and text.isalpha() and len(text) > 1 and text not in ("mod", *_LIMITS):
        element.tag = "mi"
    if tag == "mi" and set(text) == {"\u2032"}:
        element.tag = "mo"
    if tag == "mo" and text == "\u221e":
        element.tag = "mi"
    if tag == "mtd" and element.get("columnalign"):
        element.set("style", f"text-align:{element.get('columnalign')}")
    if tag == "mover" and element[1].text in _BARS:
        _set_bar(element)


def _set_bar(element: Tree.Element) -> None:
    """Draw a bar over a letter as a sign, over a word as a border: few fonts have a bar that grows."""
    word, bar = element
    if len("".join(word.itertext())) == 1:
        element.attrib.clear()
        bar.attrib.clear()
        bar.set("stretchy", "false")
        bar.text = "\u203e"
        return
    element.tag = "mrow"
    element.set("style", "border-top:1px solid;padding-top:1px")
    element.remove(bar)


def _tag(element: Tree.Element) -> str:
    return element.tag.rpartition("}")[2]
