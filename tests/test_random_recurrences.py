"""Random recurrences through the whole pipeline, against the naive evaluator and its derivatives.

``SYMGRAD_EXAMPLES`` sets how many are drawn. One that fails is printed as a program.
"""

from __future__ import annotations

import os
import warnings

from hypothesis import HealthCheck, Phase, assume, given, note, settings

from .strategies import Case
from .strategies_recurrences import recurrences
from .test_random_layers import compare

EXAMPLES = int(os.environ.get("SYMGRAD_EXAMPLES", "40"))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="SYMGRAD_EXAMPLES" not in os.environ,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(recurrences())
def test_random_recurrence_is_what_it_declares(case: Case) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            judged = compare(case)
    except Exception:
        note(case.script())
        raise
    assume(judged)
