import gzip
import sys

import numpy as np
import pytest

from symgrad.demo.data import DemoError, extra, load_digits, load_mnist, read_idx, shifted


def idx_file(tmp_path, content, name="file"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_an_idx_file_is_read_plain_and_gzipped(tmp_path, packed):
    content = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3, 253, 254, 255])
    path = idx_file(tmp_path, gzip.compress(content) if packed else content, "file.gz" if packed else "file")
    found = read_idx(path, axes=3)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, [[[1, 2, 3]], [[253, 254, 255]]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no IDX file: it starts with nothing"),
        (b"PNG...", "no IDX file: it starts with 50 4e 47 2e"),
        (bytes([0, 0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0]), "type 0x0d; expected unsigned bytes"),
        (bytes([0, 0, 8, 3, 0, 0, 0, 1]), "3 axes; expected 1"),
        (bytes([0, 0, 8, 1, 0, 0]), "ends after 6 bytes, inside its header of 8"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 3, 1, 2]), "says 3 bytes, which makes 11 with the header; it has 10"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 1, 1, 2]), "says 1 bytes, which makes 9 with the header; it has 10"),
        (bytes([0, 0, 8, 1, 255, 255, 255, 255, 1]), "says 4294967295 bytes"),
    ],
)
def test_a_damaged_idx_file_is_named_with_what_is_wrong(tmp_path, content, message):
    path = idx_file(tmp_path, content)
    with pytest.raises(DemoError, match=message) as error:
        read_idx(path, axes=1)
    assert str(path) in str(error.value)


def test_a_damaged_gzip_file_is_named(tmp_path):
    whole = gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 100]) + bytes(range(100)))
    damaged = whole[:40] + bytes([whole[40] ^ 0xFF]) + whole[41:]
    for content in (b"not gzip at all", whole[:-20], damaged):
        with pytest.raises(DemoError, match="no sound gzip file"):
            read_idx(idx_file(tmp_path, content, "file.gz"), axes=1)


def test_mnist_comes_from_its_four_files(mnist_folder):
    data = load_mnist(mnist_folder)
    assert (data.name, data.side) == ("MNIST", 28)
    assert data.train_images.shape == (60, 1, 28, 28)
    assert data.test_images.shape == (20, 1, 28, 28)
    assert data.train_images.dtype == np.float32
    stored = (mnist_folder / "train-images-idx3-ubyte").read_bytes()
    assert data.train_images[0, 0, 0, 5] == np.float32(stored[16 + 5] / 255)
    assert data.test_labels[3] == gzip.decompress((mnist_folder / "t10k-labels-idx1-ubyte.gz").read_bytes())[8 + 3]


def test_a_missing_file_is_named(mnist_folder):
    (mnist_folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DemoError, match=r"has no t10k-labels-idx1-ubyte and no t10k-labels-idx1-ubyte\.gz"):
        load_mnist(mnist_folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-labels-idx1-ubyte", bytes([0, 0, 8, 1, 0, 0, 0, 2, 1, 2]), "60 images but 2 labels"),
        ("train-labels-idx1-ubyte", bytes([0, 0, 8, 1, 0, 0, 0, 60, *[10] * 60]), "label 10"),
        ("train-images-idx3-ubyte", bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2]), "1 x 2 pixels"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(mnist_folder, name, content, message):
    (mnist_folder / name).write_bytes(content)
    with pytest.raises(DemoError, match=message):
        load_mnist(mnist_folder)


def test_the_digits_are_split_without_overlap():
    data = load_digits()
    assert (len(data.train_images), len(data.test_images), data.side) == (1437, 360, 8)
    assert data.train_images.min() == 0
    assert data.train_images.max() == 1
    assert set(data.test_labels) == set(range(10))
    rows = np.concatenate([data.train_images, data.test_images]).reshape(1797, 64)
    assert len(np.unique(rows, axis=0)) == 1797


@pytest.mark.parametrize(
    ("module", "package"), [("sklearn.datasets", "scikit-learn"), ("matplotlib.figure", "matplotlib")]
)
def test_a_missing_extra_is_named(monkeypatch, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DemoError, match=rf"needs {package}.*extra 'demo'.*pip install 'symgrad\[demo\]'"):
        extra(module)


class Always:
    """Draws the largest number asked for."""

    def uniform(self, low, high, size):
        return np.full(size, high)


def test_an_image_moves_by_whole_and_by_parts_of_pixels():
    image = np.zeros((1, 1, 4, 5), np.float32)
    image[0, 0, 1, 2] = 1
    whole = np.zeros_like(image)
    whole[0, 0, 2, 3] = 1
    np.testing.assert_array_equal(shifted(image, 1.0, Always()), whole)
    quarter = np.zeros_like(image)
    quarter[0, 0, 1:3, 2:4] = np.outer([0.75, 0.25], [0.75, 0.25])
    np.testing.assert_allclose(shifted(image, 0.25, Always()), quarter)


def test_moving_keeps_dtype_and_moves_each_image_by_itself():
    image = np.zeros((50, 1, 8, 8), np.float32)
    image[:, 0, 3, 4] = 1
    moved = shifted(image, 0.5, np.random.default_rng(0))
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved.sum(axis=(1, 2, 3)), 1, rtol=1e-6)
    assert len(np.unique(moved.reshape(50, -1), axis=0)) == 50
    np.testing.assert_array_equal(shifted(image, 0, np.random.default_rng(0)), image)
