"""Layout of emitted modules: folded as ruff folds, within the width, and the same program as before."""

from __future__ import annotations

import ast
import importlib.util
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import symgrad
from symgrad import Layer
from symgrad.emit import module
from symgrad.emit.layout import fold, lay_out
from symgrad.emit.printer import WIDTH

from ..points import NAMES
from ..unseen.declarations import CASES

CATALOGUE_PARTS = 4
RUFF = [sys.executable, "-m", "ruff"] if importlib.util.find_spec("ruff") else [shutil.which("ruff") or ""]

needs_ruff = pytest.mark.skipif(RUFF == [""], reason="ruff is not installed; pip install -e '.[lint]'")


def ruff_difference(path: Path, width: int = WIDTH) -> str:
    """What ``ruff format`` would change, and its complaints."""
    command = [*RUFF, "format", "--isolated", "--line-length", str(width), "--no-cache", "--diff", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return run.stdout if run.returncode in (0, 1) else run.stderr


def code_of(text: str) -> str:
    """The program without its docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.dump(tree)


# --- single statements ---

SHORT = [
    ("x = a + b", "x = a + b"),
    ("    # a comment that is left alone " + "x" * 112, "    # a comment that is left alone " + "x" * 112),
    ("", ""),
    ("else:", "else:"),
    ("x, = residuals", "(x,) = residuals"),
    ("N, C = x.shape", "N, C = x.shape"),
    ("y = (a + b)", "y = a + b"),
    ("return (a)", "return a"),
    ("if (a and b):", "if a and b:"),
    ("elif (a):", "elif a:"),
    ("for i in (range(n)):", "for i in range(n):"),
    ("f((a))", "f((a))"),
    ("f(((a)))", "f((a))"),
    ("y = (a)[0] * ((b))", "y = (a)[0] * (b)"),
    ("y = -x ** 2", "y = -(x**2)"),
    (
        "y = x ** 2 + x[0] ** 2 + x.real ** n + (x) ** 2 + x ** -1",
        "y = x**2 + x[0] ** 2 + x.real**n + (x) ** 2 + x**-1",
    ),
    ("y = x[1:n, i+1:n, :n - 1, n:, n-1:, ::-1, -n:]", "y = x[1:n, i + 1 : n, : n - 1, n:, n - 1 :, ::-1, -n:]"),
    ("y = x[a:b + 1:c, a+1::c]", "y = x[a : b + 1 : c, a + 1 :: c]"),
    ("y = x[(0, 1)] + x[0,]", "y = x[(0, 1)] + x[(0,)]"),
    ("f(a for a in b)", "f(a for a in b)"),
    ("f(*a, k = 1, **b)", "f(*a, k=1, **b)"),
    (r'f("a \"quoted\" word")', "f('a \"quoted\" word')"),
    ("x: int = 3  # a kind of statement that stands as it was written", None),
]


@pytest.mark.parametrize(("line", "expected"), SHORT)
def test_short_line(line: str, expected: str | None) -> None:
    assert fold(line) == [line if expected is None else expected]


LONG = {
    "brackets of a call, then one argument per line": (
        "x = np.pad(first_argument, second_argument, third, fourth)",
        ["x = np.pad(", "    first_argument, second_argument, third, fourth", ")"],
    ),
    "one argument per line": (
        "x = np.pad(first_argument_, second_argument_, third_argument, fourth)",
        ["x = np.pad(", "    first_argument_,", "    second_argument_,", "    third_argument,", "    fourth,", ")"],
    ),
    "no comma after a sole argument": (
        "raise ValueError(first_argument_, *second_argument_and_third_arg)",
        ["raise ValueError(", "    first_argument_, *second_argument_and_third_arg", ")"],
    ),
    "invisible parentheses, weakest operators": (
        "gradient = first_factor * second_factor + third_factor * fourth",
        ["gradient = (", "    first_factor * second_factor + third_factor * fourth", ")"],
    ),
    "weakest operators each on a line": (
        "gradient = first_factor * second_factor + third_factor * fourth_one - fifth",
        ["gradient = (", "    first_factor * second_factor", "    + third_factor * fourth_one", "    - fifth", ")"],
    ),
    "one operator and a bracket at the end": (
        "y = total / (np.minimum(a_first, b_second) - np.maximum(c, d))",
        ["y = total / (", "    np.minimum(a_first, b_second) - np.maximum(c, d)", ")"],
    ),
    "a subscript after a call that fits": (
        "windows = sliding_window_view(x_padded)[:, ::first, ::second, third]",
        ["windows = sliding_window_view(x_padded)[", "    :, ::first, ::second, third", "]"],
    ),
    "a chain of methods": (
        "columns = windows.reshape(N, C, R, S).transpose(0, 1, 2, 3).reshape(N, K)",
        ["columns = (", "    windows.reshape(N, C, R, S)", "    .transpose(0, 1, 2, 3)", "    .reshape(N, K)", ")"],
    ),
    "the target of an assignment breaks before a name": (
        "grad_x_padded[:, u : u + I * stride : stride, first, second] += share",
        ["grad_x_padded[", "    :, u : u + I * stride : stride, first, second", "] += share"],
    ),
    "the value breaks before the target": (
        "grad_x_padded[:, u : u + I * stride : stride] += grad_y_share * 2",
        ["grad_x_padded[:, u : u + I * stride : stride] += (", "    grad_y_share * 2", ")"],
    ),
    "the target breaks before a negated name": (
        "grad_x_padded[:, u : u + I * stride : stride, :] += -share",
        ["grad_x_padded[", "    :, u : u + I * stride : stride, :", "] += -share"],
    ),
    "brackets alone do not make it fit": (
        "total = (first + second).real / a_divisor_that_fills_nearly_the_whole_of_the_line",
        ["total = (", "    (first + second).real", "    / a_divisor_that_fills_nearly_the_whole_of_the_line", ")"],
    ),
    "parentheses that make it fit": (
        "a_target_of_a_long_name = a_long_object_name.attribute_value",
        ["a_target_of_a_long_name = (", "    a_long_object_name.attribute_value", ")"],
    ),
    "names from a tuple": (
        "first_residual, second_residual, third_residual, fourth_res = residuals",
        ["(", "    first_residual,", "    second_residual,", "    third_residual,", "    fourth_res,", ") = residuals"],
    ),
    "two results": (
        "    return first_result, Residuals(first_argument, second_arg)",
        ["    return first_result, Residuals(", "        first_argument, second_arg", "    )"],
    ),
    "a test": (
        'if "first_input" in wrt or "second_input" in wrt or "third" in wrt:',
        ["if (", '    "first_input" in wrt', '    or "second_input" in wrt', '    or "third" in wrt', "):"],
    ),
    "a signature": (
        "def forward(first_input, second_input, *, stride=1, **rest):",
        ["def forward(", "    first_input,", "    second_input,", "    *,", "    stride=1,", "    **rest,", "):"],
    ),
    "a string between its words": (
        'raise TypeError(f"layer: {name} must hold floats, not {array.dtype}; convert it first")',
        [
            "raise TypeError(",
            '    f"layer: {name} must hold floats, not "',
            '    f"{array.dtype}; convert it first"',
            ")",
        ],
    ),
    "a comment behind a field": (
        "    grad_x: np.ndarray  # x[N, C, H * stride + padding, W * stride]",
        ["    # x[N, C, H * stride + padding, W * stride]", "    grad_x: np.ndarray"],
    ),
}
NARROW = 56


@pytest.mark.parametrize("what", LONG)
def test_long_line(what: str) -> None:
    line, expected = LONG[what]
    assert fold(line, NARROW) == expected
    assert all(len(found) <= NARROW for found in expected)


@pytest.mark.parametrize("value", ["a_name_{}", "f'string {{}}{}'", "an_object.with_an_attribute_{}"])
def test_value_that_fits_nowhere_stays_on_its_line(value: str) -> None:
    line = "    target = " + value.format("x" * NARROW)
    assert fold(line, NARROW) == [line]


@needs_ruff
@pytest.mark.parametrize("what", LONG)
def test_long_line_against_ruff(what: str, tmp_path: Path) -> None:
    _, expected = LONG[what]
    margin = " " * (len(expected[0]) - len(expected[0].lstrip()))
    body = [f"{margin}    pass"] if expected[-1].endswith(":") else []
    path = tmp_path / "folded.py"
    path.write_text("\n".join([*(["while x:"] if margin else []), *expected, *body]) + "\n")
    assert ruff_difference(path, NARROW) == ""


# --- random statements, against ruff ---


class Statements:
    """Draws statements of the kinds that are emitted."""

    names = ("x", "np", "w", "N", "grad_x", "stride", "x_windows", "grad_output_padded", "accumulated_products_of_rows")
    calls = ("np.einsum", "np.where", "sliding_window_view", "_erf", "f")
    methods = ("reshape", "transpose", "sum", "astype")

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def any(self, *choices: str) -> str:
        return self.random.choice(choices)

    def several(self, draw: str, low: int, high: int, depth: int) -> str:
        return ", ".join(getattr(self, draw)(depth) for _ in range(self.random.randint(low, high)))

    def name(self, depth: int = 0) -> str:
        return self.any(*self.names)

    def size(self, depth: int = 0) -> str:
        return self.any("N", "2", "-1", "stride * u + K", "(padding + 1) // stride", "dilation * v", "H")

    def item(self, depth: int) -> str:
        a, b, c = self.size(), self.size(), self.size()
        return self.any(":", "None", a, f"{a}:{b}", f"{a}:{b}:{c}", f":{a}", f"{a}:", f"::{a}", self.value(depth - 1))

    def argument(self, depth: int) -> str:
        return self.any(
            self.value(depth - 1), f"({self.several('size', 2, 5, 0)})", f"({self.size()},)", "[]", self.size()
        )

    def arguments(self, depth: int) -> str:
        keyword = self.any("", "", f"axis={self.argument(depth)}")
        return ", ".join(filter(None, (self.several("argument", 0, 3, depth), keyword)))

    def operand(self, depth: int) -> str:
        if depth <= 0:
            return self.name()
        match self.random.randrange(6):
            case 0:
                return f"({self.value(depth - 1)})"
            case 1:
                return f"{self.operand(depth - 1)}[{self.several('item', 1, 5, depth)}]"
            case 2:
                return f"{self.operand(depth - 1)}.{self.any(*self.methods)}({self.arguments(depth)})"
            case 3:
                return f"{self.operand(depth - 1)}.{self.any('T', 'shape')}"
            case 4:
                return f"{self.any(*self.calls)}({self.arguments(depth)})"
        return self.name()

    def value(self, depth: int) -> str:
        if depth <= 0 or self.random.random() < 0.3:
            return self.any(self.operand(depth), self.operand(depth), "-" + self.operand(depth), "1.5")
        operators = ["+", "-", "*", "/", "@", "**"] if self.random.random() < 0.8 else ["&", "<", "==", "and", "or"]
        pairs = (
            f" {self.random.choice(operators)} {self.operand(depth - 1)}" for _ in range(self.random.randint(1, 3))
        )
        return self.operand(depth - 1) + "".join(pairs)

    def statement(self) -> str:
        depth = self.random.randint(1, 4)
        value, names = self.value(depth), self.several("name", 2, 7, 0)
        return self.any(
            f"{self.name()} = {value}",
            f"{self.name()} = ({value})",
            f"{self.name()}[{self.several('item', 1, 4, 1)}] {self.any('=', '+=')} {value}",
            f"{names} = {self.any('residuals', value)}",
            f"{names.replace(', ', ' = ')} = None",
            f"return {value}",
            f"return {self.name()}, Residuals({self.arguments(3)})",
            f"return {self.several('value', 3, 5, 1)}",
            f"np.add.at({self.arguments(depth)})",
            f"raise ValueError({self.arguments(depth)})",
            f"if {value}:",
            f"for i in range({self.arguments(2)}):",
        )


def parses(statement: str) -> bool:
    try:
        ast.parse(statement + " pass" if statement.endswith(":") else statement)
    except SyntaxError:
        return False
    return True


def statements(seed: int, count: int) -> Iterator[list[str]]:
    """Statements with the heads that indent them and the body that they need."""
    draw = Statements(seed)
    while count:
        statement, indent = draw.statement(), draw.random.randint(0, 3)
        if len(statement) < 600 and parses(statement):
            count -= 1
            margin = " " * 4 * indent
            body = [f"{margin}    pass"] if statement.endswith(":") else []
            yield [*(" " * 4 * i + "while x:" for i in range(indent)), margin + statement, *body]


@needs_ruff
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_random_statements_against_ruff(seed: int, tmp_path: Path) -> None:
    written = [line for lines in statements(seed, 400) for line in lines]
    folded = [found for line in written for found in fold(line)]
    assert ast.dump(ast.parse("\n".join(written))) == ast.dump(ast.parse("\n".join(folded)))
    path = tmp_path / "folded.py"
    path.write_text("\n".join(folded) + "\n")
    assert ruff_difference(path) == ""


# --- docstrings, comments, ends of files ---


def test_docstring_too_long_is_split_into_summary_and_details() -> None:
    text = 'def forward(x):\n    """Compute y[N, K] from x[N, C]; the second result is for backward."""\n    return x\n'
    assert lay_out(text) == text
    assert lay_out(text, 60).splitlines()[1:5] == [
        '    """Compute y[N, K] from x[N, C].',
        "",
        "    The second result is for backward.",
        '    """',
    ]


def test_docstring_whose_summary_is_too_long_names_shapes_below() -> None:
    text = '"""Compute y[N, K, I * stride] from x[N, C, I], w[K, C]; the second result is for backward."""'
    assert lay_out(text, 50).splitlines() == [
        '"""Compute y from x, w.',
        "",
        "Shapes: y[N, K, I * stride], x[N, C, I], w[K, C].",
        "The second result is for backward.",
        '"""',
    ]


def test_a_summary_without_its_shapes_ends_once() -> None:
    assert lay_out('"""Sum of squares of rows[n, m] beside others[n]."""', 50).splitlines()[0] == (
        '"""Sum of squares of rows beside others.'
    )


def test_docstring_of_a_module_keeps_its_formulas() -> None:
    text = (
        '"""layer: Words that are too long: the remark.\n\nDeclaration:\n    y[i] = x[i] + x[i + 1] + x[i + 2] + 1\n"""'
    )
    assert lay_out(text, 40).splitlines() == [
        '"""layer: Words that are too long.',
        "",
        "The remark.",
        "",
        "Declaration:",
        "    y[i] = x[i] + x[i + 1] + x[i + 2] +",
        "        1",
        '"""',
    ]


def test_comment_is_wrapped_where_it_is_too_long() -> None:
    text = "    # y[i] = sum_{j} x[i, j] *\n    #     w[j]\n    y = x @ w\n"
    assert lay_out(text) == text
    assert lay_out(text, 24).splitlines() == ["    # y[i] = sum_{j}", "    #     x[i, j] * w[j]", "    y = x @ w"]


def test_module_ends_with_one_newline() -> None:
    assert lay_out("x = 1\n\n\n") == "x = 1\n"


# --- emitted modules ---


def groups() -> dict[str, list[str]]:
    """The catalogue in parts, the unseen layers by kind."""
    names = [n for n in NAMES if n in symgrad.catalogue()]
    found = {f"catalogue {i}": list(names[i::CATALOGUE_PARTS]) for i in range(CATALOGUE_PARTS)}
    for name, make in CASES.items():
        found.setdefault(make.__module__.rpartition(".")[2], []).append(name)
    return found


GROUPS = groups()


def layer_of(group: str, name: str) -> Layer:
    layer = getattr(symgrad.layers, name) if group.startswith("catalogue") else CASES[name]().layer
    assert isinstance(layer, Layer)
    return layer


@pytest.mark.parametrize("group", GROUPS)
def test_emitted_modules_are_formatted(group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[str] = []

    def remember(text: str) -> str:
        rendered.append(text)
        return lay_out(text)

    monkeypatch.setattr(module, "lay_out", remember)
    for name in GROUPS[group]:
        source = symgrad.compile_layer(layer_of(group, name)).source
        assert source == lay_out(rendered[-1])
        assert code_of(source) == code_of(rendered[-1]), f"{name} is another program"
        assert lay_out(source) == source, f"{name} changes when it is laid out again"
        assert [line for line in source.splitlines() if len(line) > WIDTH] == [], name
        assert re.search(r"\S\n\Z", source), f"{name} does not end with one newline"
        (tmp_path / f"{name}.py").write_text(source)
    if RUFF == [""]:
        pytest.skip("ruff is not installed, the modules were not compared with its format; pip install -e '.[lint]'")
    assert ruff_difference(tmp_path) == ""


# --- what ruff says of the modules ---


@needs_ruff
def test_generated_modules_assign_and_import_nothing_in_vain() -> None:
    folder = Path(__file__).resolve().parents[2] / "generated" / "numpy"
    command = [*RUFF, "check", "--isolated", "--no-cache", "--select", "F,E7,B", "--ignore", "E741", str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
