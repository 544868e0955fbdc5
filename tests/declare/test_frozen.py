import copy
import gc
import pickle
from dataclasses import FrozenInstanceError, replace
from fractions import Fraction
from threading import Thread

import pytest

from symgrad.declare.frozen import Single, frozen
from symgrad.declare.integers import Poly, Size, as_poly
from symgrad.declare.scalars import Extension, Number, Read


def test_the_same_values_are_one_object_however_they_are_given():
    plain = Read("x", (as_poly(Size("N")),))
    assert Read(tensor="x", indices=(as_poly(Size("N")),), extension=None) is plain
    assert replace(Read("y", plain.indices), tensor="x") is plain
    assert Read("x", ()) != plain


@pytest.mark.parametrize("same", [copy.copy, copy.deepcopy, lambda node: pickle.loads(pickle.dumps(node))])
def test_a_copy_is_the_object_itself(same):
    node = Read("x", (as_poly(Size("N")) + 1,), Extension("constant", 2.0))
    assert same(node) is node


@pytest.mark.parametrize(
    ("one", "other"),
    [(Number(1.0), Number(Fraction(1))), (Extension("constant", 0.0), Extension("constant", -0.0))],
)
def test_numbers_that_print_differently_are_kept_apart(one, other):
    assert one != other
    assert repr(one) != repr(other)


def test_nothing_can_be_changed_nor_left_out_nor_added():
    with pytest.raises(FrozenInstanceError):
        as_poly(Size("N")).terms = ()
    for arguments in ((), ("N", 1, 2)):
        with pytest.raises(TypeError, match="Size takes name, minimum"):
            Size(*arguments)
    with pytest.raises(TypeError, match="Size takes"):
        Size("N", least=1)


def test_what_nobody_holds_is_forgotten():
    alive = 0

    class Watched(str):
        def __init__(self, _):
            nonlocal alive
            alive += 1

        def __del__(self):
            nonlocal alive
            alive -= 1

    held = Size(Watched("held by this test"))
    for number in range(10):
        Size(Watched(f"held by nobody {number}"))
    gc.collect()
    assert alive == 1
    assert Size("held by this test") is held


def test_threads_get_the_same_object():
    @frozen
    class Pair(Single):
        left: int
        right: int

    found = []
    threads = [Thread(target=lambda: found.append([Pair(i, -i) for i in range(2000)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(a is b for pairs in found for a, b in zip(pairs, found[0], strict=True))


def test_polynomials_are_one_object_whatever_order_they_were_built_in():
    n, m = as_poly(Size("N")), as_poly(Size("M"))
    assert (n + m) * 2 is m * 2 + n * 2
    assert n - n is Poly()
