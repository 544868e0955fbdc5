"""Random declarations through the whole pipeline, against the naive evaluator and its derivatives.

``SYMGRAD_EXAMPLES`` sets how many are drawn. One that fails is printed as a program.
"""

from __future__ import annotations

import os
import warnings

from hypothesis import HealthCheck, Phase, assume, given, note, settings

from symgrad.check.evaluator import evaluate
from symgrad.errors import CheckError

from .agreement import as_declared
from .strategies import Case, declarations

EXAMPLES = int(os.environ.get("SYMGRAD_EXAMPLES", "100"))


def compare(case: Case) -> bool:
    """Compare what is compiled with what the declaration means; False where it means nothing or cannot be judged."""
    layer = case.layer()
    try:
        evaluate(layer, case.arrays, case.attributes)
    except CheckError as error:
        if "reduces over no value" not in str(error):
            raise
        return False
    return as_declared(layer, case.arrays, case.attributes)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="SYMGRAD_EXAMPLES" not in os.environ,
    database=None,
    phases=(Phase.generate,),  # shrinking takes minutes, as every step of it is a compilation
    suppress_health_check=list(HealthCheck),
)
@given(declarations())
def test_random_layer_is_what_it_declares(case: Case) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            judged = compare(case)
    except Exception:
        note(case.script())
        raise
    assume(judged)
