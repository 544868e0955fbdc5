"""Tiny networks and images, and MNIST's files with other content."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from symgrad.demo.data import Dataset
from symgrad.demo.networks import ConvSizes, Initialiser, Network, conv_network, dense_network

TINY = ConvSizes(kernels=(2, 3), units=5, padding=1, dropout=0.5)


@pytest.fixture
def tiny_conv() -> Network:
    return conv_network(8, TINY, Initialiser(np.random.default_rng(1)))


@pytest.fixture
def tiny_dense() -> Network:
    return dense_network(8, (6, 4), Initialiser(np.random.default_rng(2)))


@pytest.fixture
def bars() -> Dataset:
    """Images whose label says which row is bright, under noise."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 8, 200)
    images = rng.random((200, 1, 8, 8)).astype(np.float32) / 4
    images[np.arange(200), 0, labels] += 0.75
    return Dataset("bars", images[:160], labels[:160], images[160:], labels[160:])


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    """An array of bytes in IDX format."""
    extents = b"".join(extent.to_bytes(4, "big") for extent in array.shape)
    return bytes([0, 0, kind, array.ndim]) + extents + array.astype(np.uint8).tobytes()


@pytest.fixture
def mnist_folder(tmp_path: Path) -> Path:
    """MNIST's four files, two of them gzipped: 60 images to train on and 20 to test."""
    rng = np.random.default_rng(4)
    for part, count, packed in (("train", 60, False), ("t10k", 20, True)):
        labels = rng.integers(0, 10, count)
        images = rng.integers(0, 256, (count, 28, 28))
        for name, content in ((f"{part}-images-idx3-ubyte", idx(images)), (f"{part}-labels-idx1-ubyte", idx(labels))):
            if packed:
                (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (tmp_path / name).write_bytes(content)
    return tmp_path
