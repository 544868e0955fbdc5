from dataclasses import replace

import numpy as np
import pytest

from symgrad.demo import training
from symgrad.demo.modules import elementwise_step
from symgrad.demo.training import Adam, Average, Recipe, Sgd, accuracy, batches, steps_per_epoch, train

SHORT = Recipe("adam", rate=0.02, final=0.1, epochs=6, batch=16)


@pytest.mark.parametrize("which", ["tiny_conv", "tiny_dense"])
@pytest.mark.parametrize("optimiser", [("adam", 0.02), ("sgd", 0.4)])
def test_a_short_training_lowers_the_loss(request, bars, which, optimiser):
    name, rate = optimiser
    losses = []
    recipe = replace(SHORT, optimiser=name, rate=rate)
    epochs = list(train(request.getfixturevalue(which), bars, recipe, 0, losses.append))
    assert [e.number for e in epochs] == [1, 2, 3, 4, 5, 6]
    assert len(losses) == 6 * 10
    assert epochs[0].loss == pytest.approx(np.mean(losses[:10]))
    assert epochs[-1].loss < 0.9 * epochs[0].loss


def test_what_is_learnt_holds_for_other_images(tiny_dense, bars):
    epochs = list(train(tiny_dense, bars, replace(SHORT, epochs=20, reach=0.2), 0, lambda loss: None))
    assert epochs[-1].accuracy > 0.9
    assert epochs[-1].accuracy == accuracy(tiny_dense, bars.test_images, bars.test_labels)


@pytest.mark.parametrize("recipe", [SHORT, replace(SHORT, optimiser="sgd", average=0.01, reach=0.5)])
def test_one_seed_gives_one_course(bars, tiny_conv, recipe):
    start = tiny_conv.parameters()

    def course(seed):
        tiny_conv.assign(start)
        return [(e.loss, e.accuracy) for e in train(tiny_conv, bars, recipe, seed, lambda loss: None)]

    assert course(5) == course(5)
    assert course(5) != course(6)


def test_steps_are_those_of_the_formulas():
    w, g = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [-1.0, 2.0]])
    moved = Sgd().step({"w": w.astype(np.float32)}, {"w": g.astype(np.float32)}, 0.5)["w"]
    np.testing.assert_array_equal(moved, [[0.5, 2], [3.5, 3]])
    assert moved.dtype == np.float32
    adam, m, v = Adam(), np.zeros((2, 2)), np.zeros((2, 2))
    expected, found = w, {"w": w}
    for step in (1, 2, 3):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        expected = expected - 0.1 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        found = adam.step(found, {"w": g}, 0.1)
    np.testing.assert_allclose(found["w"], expected, rtol=1e-9)


def test_the_average_forgets_the_start_and_settles():
    average = Average(0.1, {"w": np.full(3, 100.0)})
    for _ in range(100):
        average.renew({"w": np.array([1.0, 2.0, 3.0])})
    np.testing.assert_allclose(average.values["w"], [1, 2, 3], rtol=1e-6)
    average.renew({"w": np.array([2.0, 2.0, 3.0])})
    np.testing.assert_allclose(average.values["w"], [1.1, 2, 3], rtol=1e-6)


def test_the_averaged_parameters_are_kept(bars, tiny_dense):
    recipe = replace(SHORT, average=0.02)
    epochs = list(train(tiny_dense, bars, recipe, 0, lambda loss: None))
    assert epochs[-1].accuracy == accuracy(tiny_dense, bars.test_images, bars.test_labels)


def test_a_recipe_names_the_modules_it_runs(bars, tiny_dense, monkeypatch):
    recipe = replace(SHORT, epochs=1, average=0.1)
    ran = []

    def watch(name, arrays, **attributes):
        ran.append(name)
        return elementwise_step(name, arrays, **attributes)

    monkeypatch.setattr(training, "elementwise_step", watch)
    list(train(tiny_dense, bars, recipe, 0, lambda loss: None))
    assert set(ran) == set(recipe.modules()) == {"adam_step", "sgd_step"}


def test_an_epoch_shows_each_image_once_in_full_batches(bars):
    drawn = list(batches(10, 3, np.random.default_rng(0)))
    assert [len(chosen) for chosen in drawn] == [3, 3, 3]
    assert len(set(np.concatenate(drawn))) == 9
    assert not np.array_equal(np.concatenate(drawn), np.arange(9))
    assert steps_per_epoch(bars, 50) == len(list(batches(160, 50, np.random.default_rng(0)))) == 3


def test_the_rate_falls_along_half_a_cosine():
    recipe = replace(SHORT, rate=0.2, final=0.5)
    assert [recipe.rate_at(p) for p in (0, 0.5, 1)] == pytest.approx([0.2, 0.15, 0.1])
