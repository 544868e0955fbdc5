"""Images of handwritten digits: scikit-learn's bundled ones, or MNIST from a folder of IDX files."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from symgrad.demo.modules import Array
from symgrad.errors import SymgradError

HOLD_OUT = 5  # every fifth image of the bundled digits tests: the split is the same everywhere and for every seed
MNIST_SIDE = 28
UNSIGNED_BYTE = 0x08
LARGEST_FILE = 1 << 30


class DemoError(SymgradError):
    """The demo lacks something it needs: an extra, a file, or a sound one."""


@dataclass(frozen=True)
class Dataset:
    """Labelled images: (N, 1, side, side) float32 from 0 to 1, labels (N,) from 0 to 9."""

    name: str
    train_images: Array
    train_labels: Array
    test_images: Array
    test_labels: Array

    @property
    def side(self) -> int:
        """Pixels along one side of an image."""
        return int(self.train_images.shape[-1])


def extra(module: str) -> Any:
    """Import a module of the ``demo`` extra.

    Raises:
        DemoError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0].replace("sklearn", "scikit-learn")
        raise DemoError(
            f"the demo needs {package}, which is not installed; it comes with the extra 'demo': "
            "python -m pip install 'symgrad[demo]' (in a clone: python -m pip install -e '.[demo]')"
        ) from error


def load_digits() -> Dataset:
    """Load the 1,797 digits of 8 x 8 pixels that scikit-learn bundles: every fifth one tests.

    Raises:
        DemoError: scikit-learn is not installed.
    """
    bundled = extra("sklearn.datasets").load_digits()
    images = (bundled.images[:, None] / 16).astype(np.float32)
    labels = bundled.target.astype(np.int64)
    tests = np.arange(len(images)) % HOLD_OUT == 0
    return Dataset("digits", images[~tests], labels[~tests], images[tests], labels[tests])


def load_mnist(folder: Path) -> Dataset:
    """Load MNIST from its four files in IDX format, each plain or gzipped (``.gz``).

    Raises:
        DemoError: a file is missing, is damaged, or holds something else; the message names it.
    """
    return Dataset("MNIST", *_mnist_part(folder, "train"), *_mnist_part(folder, "t10k"))


def find_idx(folder: Path, name: str) -> Path:
    """Return the file ``name`` or ``name.gz`` in ``folder``.

    Raises:
        DemoError: there is neither.
    """
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DemoError(f"{folder} has no {name} and no {name}.gz; MNIST is four files in IDX format under these names")


def read_idx(path: Path, axes: int) -> Array:
    """Read a file in IDX format: two zero bytes, type, number of axes, extents (big-endian), unsigned bytes.

    Args:
        path: the file; gzipped where the name ends in ``.gz``.
        axes: how many axes the array must have.

    Raises:
        DemoError: the file cannot be read, or is no such array; the message says what is wrong.
    """
    content = _content(path)
    if len(content) < 4 or content[:2] != b"\0\0":
        raise DemoError(f"{path} is no IDX file: it starts with {content[:4].hex(' ') or 'nothing'}, not with 00 00")
    kind, found = content[2], content[3]
    if kind != UNSIGNED_BYTE:
        raise DemoError(f"{path} holds type 0x{kind:02x}; expected unsigned bytes, 0x{UNSIGNED_BYTE:02x}")
    if found != axes:
        raise DemoError(f"{path} has {found} axes; expected {axes}")
    start = 4 + 4 * axes
    if len(content) < start:
        raise DemoError(f"{path} ends after {len(content)} bytes, inside its header of {start}")
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4))
    expected = start + prod(shape)
    if len(content) != expected:
        shown = " x ".join(map(str, shape))
        raise DemoError(f"{path} says {shown} bytes, which makes {expected} with the header; it has {len(content)}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def shifted(images: Array, reach: float, rng: np.random.Generator) -> Array:
    """Return each image (N, 1, H, W) moved down and across by at most ``reach`` pixels (up to 1), zeros moving in.

    Between whole pixels, neighbours are weighted by how near they are.
    """
    if reach == 0:
        return images
    for axis in (2, 3):
        by = rng.uniform(-reach, reach, (len(images), 1, 1, 1)).astype(images.dtype)
        border = [(0, 0)] * 4
        border[axis] = (1, 1)
        before, here, after = np.moveaxis(
            np.lib.stride_tricks.sliding_window_view(np.pad(images, border), 3, axis), -1, 0
        )
        images = here * (1 - np.abs(by)) + before * np.maximum(by, 0) + after * np.maximum(-by, 0)
    return images


def _content(path: Path) -> bytes:
    """Read a file, unpacked where it is gzipped."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DemoError(f"{path} is no sound gzip file: {error}") from error
    except OSError as error:
        raise DemoError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > LARGEST_FILE:
        raise DemoError(f"{path} holds over {LARGEST_FILE} bytes; MNIST is smaller")
    return content


def _mnist_part(folder: Path, part: str) -> tuple[Array, Array]:
    """Return the images and labels of one part, as in ``Dataset``."""
    images = read_idx(find_idx(folder, f"{part}-images-idx3-ubyte"), axes=3)
    labels = read_idx(find_idx(folder, f"{part}-labels-idx1-ubyte"), axes=1)
    _check_pair(folder, part, images, labels)
    return images[:, None] / np.float32(255), labels.astype(np.int64)


def _check_pair(folder: Path, part: str, images: Array, labels: Array) -> None:
    """Check that images and labels of one part belong together and are MNIST's."""
    where = f"{folder}, {part}:"
    if images.shape[1:] != (MNIST_SIDE, MNIST_SIDE):
        raise DemoError(f"{where} images of {images.shape[1]} x {images.shape[2]} pixels; MNIST's have 28 x 28")
    if len(images) != len(labels):
        raise DemoError(f"{where} {len(images)} images but {len(labels)} labels")
    if not len(images):
        raise DemoError(f"{where} no images")
    if labels.max() > 9:
        raise DemoError(f"{where} label {labels.max()}; digits are labelled 0 to 9")
