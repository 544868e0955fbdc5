"""Steps of derivations: all of them hold, and one that does not is named by its rule."""

from dataclasses import replace

import pytest
from sympy import Eq, Idx, IndexedBase, Sum, exp, symbols

import symgrad
from symgrad import Layer
from symgrad.check.steps import check_steps
from symgrad.compiler import Stages, run
from symgrad.declare.algebra import add, multiply, number
from symgrad.declare.program import Equation
from symgrad.derive.trace import Step, Trace
from symgrad.simplify import pointwise

CHAIN_RULE = "chain rule"
LAYERS = ["dense", "conv2d", "softmax", "max_pool1d", "max_pool2d_split", "layer_norm", "softmax_cross_entropy", "elu"]


def stages_of(name: str) -> Stages:
    return run(symgrad.layers.get(name))


def doubled(equation: Equation) -> Equation:
    return replace(equation, body=multiply(number(2), equation.body))


def with_step(stages: Stages, place: int, after: Equation) -> Stages:
    """The run with one step gone wrong, and everything that follows from the equation with it."""
    old = stages.trace.steps[place]
    steps = [replace(s, after=after) if s is old else s for s in stages.trace.steps]
    return replace(stages, trace=Trace(steps))


def place_of(stages: Stages, rule: str, target: str) -> int:
    return next(p for p, s in enumerate(stages.trace.steps) if s.rule == rule and s.after.target == target)


@pytest.mark.parametrize("name", LAYERS)
def test_every_step_holds(name):
    stages = stages_of(name)
    assert stages.trace.steps
    assert check_steps(stages) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_steps_hold_at_other_sizes(seed):
    assert check_steps(stages_of("log_softmax"), seed=seed) == []


@pytest.mark.parametrize(
    ("layer", "rule", "target"),
    [
        ("softmax", "name inner reductions", "y"),
        ("softmax", "reuse forward values, take invariant factors out of sums", "grad_x"),
        ("sigmoid", "1/(1 + exp(u)) = sigmoid(-u)", "y"),
        ("softmax", "name a value that is used again", "sum_exp"),
        ("softmax", "reuse forward values, take invariant factors out of sums", "grad_sum_exp"),
        ("layer_norm", "reuse forward values, take invariant factors out of sums", "grad_variance"),
    ],
)
def test_a_step_gone_wrong_is_named(layer, rule, target):
    stages = stages_of(layer)
    place = place_of(stages, rule, target)
    failures = check_steps(with_step(stages, place, doubled(stages.trace.steps[place].after)))
    assert [(f.rule, f.target) for f in failures] == [(rule, target)]
    assert str(failures[0]).startswith(f"{rule}: {target}: ")


@pytest.mark.parametrize("change", [lambda step: step.before, lambda step: doubled(step.after)])
def test_what_makes_a_redefinition_good_is_judged(change):
    """Between the two rules that subtract the largest exponent the sum means something else."""
    stages = stages_of("softmax")
    place = place_of(stages, "exp(m) cancels", "y")
    failures = check_steps(with_step(stages, place, change(stages.trace.steps[place])))
    assert [(f.rule, f.target) for f in failures] == [("exp(m) cancels", "y")]


def test_a_redefinition_that_nothing_makes_good_is_named():
    stages = stages_of("softmax")
    place = place_of(stages, "sum exp(a) = exp(m) sum exp(a - m), m = max a", "sum_exp")
    (failure,) = check_steps(stages, steps=stages.trace.steps[: place + 1])
    assert (failure.rule, failure.target) == (stages.trace.steps[place].rule, "sum_exp")
    assert failure.note.startswith("values are not what they were: y: largest difference")


def test_a_wrong_rule_of_the_compiler_is_named(monkeypatch):
    name, rule = next((n, r) for n, r in pointwise.QUOTIENTS if n.startswith("1/(1 + exp(u))"))

    def wrong(node):
        changed = rule(node)
        return None if changed is None else add(changed, number(1))

    monkeypatch.setattr(pointwise, "QUOTIENTS", ((name, wrong),))
    monkeypatch.setattr(pointwise, "_rewriting", pointwise._rewriting.__wrapped__)  # nothing is remembered
    failures = check_steps(stages_of("sigmoid"))
    assert [(f.rule, f.target) for f in failures] == [(name, "y")]


def test_a_wrong_gradient_is_laid_to_the_chain_rule():
    stages = stages_of("dense")
    program = stages.derived.program
    equations = tuple(doubled(e) if e.target == "grad_w" else e for e in program.equations)
    steps = [replace(s, after=doubled(s.after)) if s.after.target == "grad_w" else s for s in stages.trace.steps]
    derived = replace(stages.derived, program=replace(program, equations=equations))
    failures = check_steps(replace(stages, derived=derived, trace=Trace(steps)))
    assert [(f.rule, f.target) for f in failures] == [(CHAIN_RULE, "grad_w")]


def test_a_change_that_no_step_records_is_found():
    stages = stages_of("layer_norm")
    program = stages.derived.program
    equations = tuple(doubled(e) if e.target == "mean" else e for e in program.equations)
    derived = replace(stages.derived, program=replace(program, equations=equations))
    failures = check_steps(replace(stages, derived=derived))
    assert ("what no step says", "mean") in [(f.rule, f.target) for f in failures]


def test_a_step_that_reads_what_nothing_defines_is_named():
    stages = stages_of("sigmoid")
    (step,) = (s for s in stages.trace.steps if s.rule == CHAIN_RULE)
    nowhere = replace(step.after, body=stages.split.equations[0].body, target="elsewhere")
    lost = Step("lost", None, replace(step.after, target="found", body=_read_of(nowhere)))
    failures = check_steps(stages, steps=[lost])
    assert [(f.rule, f.target) for f in failures] == [("lost", "found")]
    assert "elsewhere is read before any step defines it" in failures[0].note


def _read_of(equation: Equation):
    from symgrad.declare.integers import as_poly
    from symgrad.declare.scalars import Read

    return Read(equation.target, tuple(map(as_poly, equation.indices)))


def test_attributes_can_be_fixed():
    """stride = 1 turns the division into a shift; at another stride the same step is wrong."""
    from symgrad.emit.study import derivation_of

    stages = stages_of("conv1d")
    special = [s for s in derivation_of(stages).steps if dict(s.assuming) == {"stride": 1}]
    assert special
    assert check_steps(stages, steps=special, fixed={"stride": 1}) == []


def test_two_sums_that_change_their_meaning_together_hold():
    """The largest exponent cancels between numerator and denominator without another step."""
    N, M = symbols("N M", integer=True, positive=True)
    x, v, y = IndexedBase("x"), IndexedBase("v"), IndexedBase("y")
    n, j, k = Idx("n", N), Idx("j", M), Idx("k", M)
    mean = Sum(exp(x[n, j]) * v[j], j) / Sum(exp(x[n, k]), k)
    stages = run(Layer("weighted", inputs=[x[N, M], v[M]], equations=[Eq(y[n], mean)]))
    rules = [s.rule for s in stages.trace.steps]
    assert rules.count("sum exp(a) = exp(m) sum exp(a - m), m = max a") == 2
    assert check_steps(stages) == []


def test_a_layer_without_steps_is_compared_all_the_same():
    N = symbols("N", integer=True, positive=True)
    x, y = IndexedBase("x"), IndexedBase("y")
    i, j = Idx("i", N), Idx("j", N)
    layer = Layer("sums", inputs=[x[N]], equations=[Eq(y[i], Sum(exp(x[j]), j) * x[i])])
    assert check_steps(run(layer)) == []
