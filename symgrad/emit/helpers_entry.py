"""Helper functions that emitted modules check and convert their arguments with, as text."""

from __future__ import annotations

ENTRY: dict[str, str] = {
    "_in_single": '''
def _in_single(function):
    """Let ``function`` take float16 as well, computed in float32: sums of float16 soon overflow."""

    def widened(*arrays, **options):
        kinds = {a.dtype.char for a in (*arrays, *options.values()) if isinstance(a, np.ndarray)}
        if "e" not in kinds or not kinds.isdisjoint("fd"):  # the letters of float16, float32 and float64
            return function(*arrays, **options)
        options = {name: _cast(value, np.float16, np.float32) for name, value in options.items()}
        return _cast(function(*_cast(arrays, np.float16, np.float32), **options), np.float32, np.float16)

    widened.__name__, widened.__doc__, widened.__wrapped__ = function.__name__, function.__doc__, function
    return widened
''',
    "_cast": '''
def _cast(value, old, new):
    """Convert the arrays of one dtype to another, inside tuples as well but for what is kept for backward."""
    if isinstance(value, Residuals):
        return value
    if isinstance(value, tuple):
        items = [_cast(item, old, new) for item in value]
        return tuple(items) if type(value) is tuple else type(value)(*items)
    return value.astype(new) if getattr(value, "dtype", None) == old else value
''',
    "_floats": '''
def _floats(name, array, rank):
    """Return ``array`` as native floats after checking dtype and rank."""
    array = np.asarray(array)
    if array.dtype.char not in "fd":
        raise TypeError(f"{LAYER}: {name} must hold float32 or float64, not {array.dtype}; convert it first")
    if array.ndim != rank:
        raise ValueError(f"{LAYER}: {name} has shape {array.shape}, which is {array.ndim} axes; it must have {rank}")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
''',
    "_integers": '''
def _integers(name, array, rank):
    """Return ``array`` as integers after checking dtype and rank."""
    array = np.asarray(array)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{LAYER}: {name} must hold integers, not {array.dtype}")
    if array.ndim != rank:
        raise ValueError(f"{LAYER}: {name} has shape {array.shape}, which is {array.ndim} axes; it must have {rank}")
    return array.astype(np.intp, copy=False)
''',
    "_same_dtype": '''
def _same_dtype(**arrays):
    """Check that all arrays have one dtype and return it."""
    dtype = next(iter(arrays.values())).dtype
    if any(array.dtype != dtype for array in arrays.values()):
        found = ", ".join(f"{name} {array.dtype}" for name, array in arrays.items())
        raise TypeError(f"{LAYER}: inputs must have one dtype, got {found}")
    return dtype
''',
    "_expect": '''
def _expect(name, array, axes, shape):
    """Check the extents of an array; ``axes`` names them."""
    if array.shape != shape:
        raise ValueError(f"{LAYER}: {name} has shape {array.shape}, but {axes} = {shape}")
''',
    "_whole": '''
def _whole(name, value, minimum):
    """Return an integer attribute after checking it."""
    number = np.asarray(value)
    kind = number.dtype.kind
    if number.ndim or kind not in "iuf" or (kind == "f" and (not np.isfinite(number) or number % 1)):
        raise TypeError(f"{LAYER}: {name} must be an integer, got {value!r}")
    number = int(number)
    if minimum is not None and number < minimum:
        raise ValueError(f"{LAYER}: {name} must be at least {minimum}, got {value}")
    return number
''',
    "_number": '''
def _number(name, value):
    """Return a real attribute after checking it."""
    number = np.asarray(value)
    if number.ndim or number.dtype.kind not in "iuf" or not np.isfinite(number):
        raise TypeError(f"{LAYER}: {name} must be a finite number, got {value!r}")
    return float(number)
''',
    "_scalar": '''
def _scalar(name, value, dtype):
    """Return a scalar input as an array of ``dtype``, that of the other inputs."""
    number = np.asarray(value)
    if number.ndim or number.dtype.kind not in "iuf":
        raise TypeError(f"{LAYER}: {name} must be a number, got {value!r}")
    return number.astype(dtype)
''',
    "_require": '''
def _require(condition, message):
    """Raise if a condition of the declaration does not hold."""
    if not condition:
        raise ValueError(f"{LAYER}: {message}")
''',
    "_within": '''
def _within(name, array, extent, where):
    """Check that integers used as an index stay inside the axis they index."""
    if array.size and array.astype(np.uintp).max() >= extent:  # as unsigned numbers negative ones are large
        bad = array.min() if array.min() < 0 else array.max()
        raise IndexError(f"{LAYER}: {name} holds {bad}, but {where} has extent {extent}")
''',
    "_within_where": '''
def _within_where(name, array, extent, where, used):
    """Check the integers that are used as an index: those behind a condition that holds."""
    array, used = np.broadcast_arrays(array, used)
    _within(name, array[used], extent, where)
''',
    "_cotangent": '''
def _cotangent(name, array, shape, dtype):
    """Return a cotangent after checking it against its output."""
    array = np.asarray(array)
    if array.shape != shape:
        raise ValueError(f"{LAYER}: {name} has shape {array.shape}, but its output has {shape}")
    if array.dtype.kind != "f":
        raise TypeError(f"{LAYER}: {name} must hold floats, not {array.dtype}")
    return array.astype(dtype, copy=False)
''',
    "_kept": '''
def _kept(residuals):
    """Return what forward kept for backward after checking that it is that."""
    if getattr(residuals, "_fields", None) != Residuals._fields:
        raise TypeError(f"{LAYER}: residuals must be what forward returned second, not a {type(residuals).__name__}")
    return residuals
''',
    "_wanted": '''
def _wanted(wrt):
    """Return the inputs whose gradients are asked for after checking their names; None asks for all."""
    if wrt is None:
        return Gradients._fields
    names = tuple(wrt) if np.iterable(wrt) and not isinstance(wrt, str) else (None,)
    if not all(name in Gradients._fields for name in names):
        raise ValueError(f"{LAYER}: wrt must be a tuple of {Gradients._fields}, got {wrt!r}")
    return names
''',
}
