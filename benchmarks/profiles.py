"""Where an emitted module spends its time: by statement, and by what kind of work a statement is.

One run on one thread is traced line by line. A statement's time is its own: what a helper function takes counts for
the statements of the helper. Tracing costs about a microsecond a line: where calls are short Python has too large a
share.
"""

import ast
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Any

PRODUCTS, EACH, COPIES, PYTHON = "products", "element by element", "copies", "Python"
REASONS = {
    PRODUCTS: "matrix products and contractions, which are BLAS's and NumPy's own",
    EACH: "one operation at a time, each of which reads and writes an array where a compiled kernel keeps numbers in "
    "registers",
    COPIES: "copies to where windows, tiles and borders have numbers side by side, which a compiled kernel reads where "
    "they are",
    PYTHON: "Python between calls of NumPy",
}
CONTRACTIONS = {"matmul", "einsum", "tensordot", "vecdot", "dot", "_product", "_matmul"}
MAKERS = {"reshape", "copy", "full", "zeros", "empty", "ascontiguousarray", "take", "astype", "copyto", "pad", "tile"}
SHOWN = 3


@dataclass(frozen=True)
class Profile:
    """A run of a module.

    Attributes:
        seconds: of the whole run, traced.
        shares: of the time, by kind of work, largest first.
        dearest: statements that take most, with their share.
    """

    seconds: float
    shares: dict[str, float]
    dearest: list[tuple[float, str]]

    def record(self) -> dict[str, Any]:
        """For another process."""
        return asdict(self)


def told(record: Mapping[str, Any]) -> str:
    """Why a module takes the time it takes, in a sentence."""
    shares = [f"{share:.0%} {kind}" for kind, share in record["shares"].items() if share >= 0.05]
    dearest = ", ".join(f"`{text}` {share:.0%}" for share, text in record["dearest"])
    return f"{', '.join(shares)}; most of it is {REASONS[next(iter(record['shares']))]}. Dearest: {dearest}"


def profiled(run: Callable[[], Any], sources: Mapping[str, str]) -> Profile:
    """Trace a run.

    Args:
        run: what to run, on this thread.
        sources: texts of the modules to look into, by the file name that their code has.
    """
    run()  # warm
    times: Counter[tuple[str, int]] = Counter()
    stack: list[tuple[str, int]] = [("", 0)]
    last = time.perf_counter()

    def clock() -> None:
        nonlocal last
        now = time.perf_counter()
        times[stack[-1]] += now - last
        last = time.perf_counter()

    def local(frame: FrameType, event: str, _: Any) -> Any:
        clock()
        if event == "line":
            stack[-1] = (frame.f_code.co_filename, frame.f_lineno)
        elif event == "return":
            stack.pop()
        return local

    def call(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in sources:
            return None
        clock()
        stack.append((frame.f_code.co_filename, frame.f_lineno))
        return local

    before = sys.gettrace()
    sys.settrace(call)
    try:
        run()
    finally:
        sys.settrace(before)
    clock()
    return _summary(times, sources)


def _summary(times: Mapping[tuple[str, int], float], sources: Mapping[str, str]) -> Profile:
    total = sum(times.values())
    places = {name: _statements(ast.parse(text)) for name, text in sources.items()}
    kinds: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for (name, line), seconds in times.items():
        statement = places.get(name, {}).get(line)
        kinds[PYTHON if statement is None else kind_of(statement)] += seconds
        if statement is not None:
            found[_text(statement)] += seconds
    shares = {kind: seconds / total for kind, seconds in kinds.most_common()}
    return Profile(total, shares, [(seconds / total, text) for text, seconds in found.most_common(SHOWN)])


def _statements(tree: ast.AST) -> dict[int, ast.stmt]:
    """For each line the innermost statement that it belongs to; of a block, its head."""
    found: dict[int, ast.stmt] = {}
    for node in ast.walk(tree):  # outer statements come before inner ones
        if isinstance(node, ast.stmt):
            found |= dict.fromkeys(range(node.lineno, (node.end_lineno or node.lineno) + 1), node)
    return found


def kind_of(statement: ast.stmt) -> str:
    """What kind of work a statement is: the dearest that it has in it."""
    if isinstance(statement, ast.For | ast.While | ast.If | ast.With | ast.FunctionDef):
        return PYTHON  # its body has statements of their own
    nodes = list(ast.walk(statement))
    called = {_name(node.func) for node in nodes if isinstance(node, ast.Call)}
    operators = [node.op for node in nodes if isinstance(node, ast.BinOp | ast.AugAssign)]
    if called & CONTRACTIONS or any(isinstance(op, ast.MatMult) for op in operators):
        return PRODUCTS
    functions = {
        node.func.attr
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _name(node.func.value) == "np"
    }
    stored = isinstance(statement, ast.Assign) and any(isinstance(t, ast.Subscript) for t in statement.targets)
    if (functions - MAKERS) or isinstance(statement, ast.AugAssign) or _computes(statement):
        return EACH
    return COPIES if called & MAKERS or stored else PYTHON


def _computes(statement: ast.stmt) -> bool:
    """Whether there is arithmetic outside of subscripts and of the arguments of what makes arrays."""

    def inside(node: ast.AST) -> bool:
        if isinstance(node, ast.BinOp | ast.Compare):
            return True
        if isinstance(node, ast.UnaryOp):
            return not isinstance(node.operand, ast.Constant)
        if isinstance(node, ast.Subscript):
            return inside(node.value)
        if isinstance(node, ast.Call) and _name(node.func) in MAKERS:
            return isinstance(node.func, ast.Attribute) and inside(node.func.value)
        return any(inside(child) for child in ast.iter_child_nodes(node))

    value = getattr(statement, "value", None)
    return isinstance(statement, ast.Assign | ast.Return | ast.Expr) and value is not None and inside(value)


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _text(statement: ast.stmt) -> str:
    """A statement, short enough for a table."""
    text = " ".join(ast.unparse(statement).split("\n")[0].split())
    return text if len(text) <= 70 else text[:67] + "..."
