"""Helper functions that run the parts of an axis, on threads where there are several, as text."""

from __future__ import annotations

PARTS: dict[str, str] = {
    "_product": '''
def _product(a, b, threads):
    """Return ``a @ b``, a long one on threads as parts are: those of BLAS stay awake after a product.

    Where no other thread is there to be slowed down, BLAS is left to itself; so it is with what it does on one.
    """
    work = a.size * b.shape[-1]
    if (work < 2**19 or a.shape[-1] == 1) and max(a.ndim, b.ndim) < 3:
        return a.dot(b)  # sooner begun than ``a @ b``, and BLAS's for a column times a row
    rows, columns = a.shape[-2] if a.ndim > 1 else 1, b.shape[-1]
    alone = work < 2**20 or threads == 1 or threading.active_count() == 1
    few = a.ndim == b.ndim == 2 and b.flags.f_contiguous and 4 * rows <= min(512, *b.shape)
    if few and work >= 2**19 and (alone or not _SMALL_KERNELS):
        return np.ascontiguousarray(_product(b.T, a.T, threads).T)  # for few rows up to twice as fast
    if alone or min(a.ndim, b.ndim) < 2:
        return a @ b
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) if a.ndim + b.ndim > 4 else ()
    if work < 2**25 and max(a.size, b.size, rows * columns) < 2**20:  # waking a thread takes as long
        with _one_thread_each():
            return _matmul(a, b)
    out = np.empty((*stack, rows, columns), np.result_type(a, b))

    def some_rows(start, stop):
        _matmul(a[..., start:stop, :], b, out[..., start:stop, :])

    def some_columns(start, stop):
        _matmul(a, b[..., start:stop], out[..., start:stop])

    _side_by_side(*((some_rows, rows) if rows >= columns else (some_columns, columns)), 1, threads, _CORES)
    return out
''',
    "_row": '''
def _row(value, array):
    """Return ``value`` spread over the last axes of a large array, 1,024 elements or more.

    NumPy takes the larger of two arrays in vectors, and element by element where one of them is a number.
    """
    if np.size(array) < 2**14:
        return value
    axes = 1
    while axes < array.ndim and math.prod(array.shape[-axes:]) < 1024:
        axes += 1
    return np.full(array.shape[-axes:], value, np.result_type(array, value))
''',
    "_PART": """
_PART = 524288  # elements in a part: few enough for a cache, so many that threads seldom meet at the interpreter's lock
""",
    "_in_parts": '''
def _in_parts(function, extent, elements, threads, least=1):
    """Run ``function(start, stop)`` for all parts of an axis of ``extent`` and return the sum of what it returns.

    One position takes ``elements``. A thread is woken for ``least`` eighths of a part, or more.
    """
    if extent * elements < 2**14 and (threads is None or (isinstance(threads, int) and threads > 0)):
        return function(0, extent)  # at once: to prepare parts would take longer
    parts = -(-extent // max(1, _PART // max(elements, 1)))
    return _side_by_side(function, extent, parts, threads, 8 * extent * elements // (_PART * least))
''',
    "_groups_on": '''
def _groups_on(threads):
    """Return ``_add_groups`` in parts: what belongs together stays in cache, and no two threads add to one place."""

    def add(target, places, rows, order, starts, stops, zeros):
        def some(start, stop):
            first, last = np.searchsorted(starts, (start, stop))
            _add_groups(target, places, rows, order, starts[first:last], stops[first:last], zeros)

        # Parts are few, for rounds to be long: all threads meet at the interpreter's lock in each of them.
        parts = min(rows.size, 8 * starts.size * rows[0].size) // (2 * _PART)
        _side_by_side(some, order.size, parts, threads, parts)

    return add
''',
    "_memory": """
# What arrays free is to stay with the process: glibc gives it back, to be had again page by page,
# until an array of this size has been freed once.
np.empty(2**25 - 2**16, np.uint8)
""",
    "_side_by_side": '''
def _side_by_side(function, extent, parts, threads, most):
    """Run ``function(start, stop)`` for at least so many parts and return the sum of what it returns.

    ``threads``, but ``most`` at most, take the next part whenever they are done with one; None: as many as there are
    cores, if NumPy's matrix products can be told to take one each and the caller is no thread itself. What NumPy
    spreads along rows it copies first, unless rows are longer than its buffer: half the time for those of 1,000.
    """
    if threads is None:
        alone = threading.current_thread() is threading.main_thread()
        threads = _CORES if alone and _BLAS else 1
    elif not isinstance(threads, int | np.integer) or threads < 1:
        raise ValueError(f"{LAYER}: threads must be None or a number from 1 on, got {threads!r}")
    workers = max(1, min(threads, most, extent))
    parts = max(1, min(extent, -(-parts // workers) * workers))  # as many for each
    own = workers > 1 or (most < 2 <= threads and threading.active_count() > 1)  # else BLAS may use its threads
    buffer = np.setbufsize(1024)
    try:
        with _one_thread_each() if own else contextlib.nullcontext():
            return _Work(function, extent, parts).share(workers) if parts > 1 else function(0, extent)
    finally:
        np.setbufsize(buffer)


class _Work:
    """Parts that threads take one after the other, and the sum of what they return, in the order of the parts."""

    def __init__(self, function, extent, parts):
        self.function, self.extent, self.parts = function, extent, parts
        self.turn, self.ended = threading.Condition(threading.Lock()), queue.SimpleQueue()
        self.taken = self.helpers = self.added = 0
        self.found, self.total, self.error = {}, None, None

    def share(self, workers):
        """Compute all parts, with threads that help, and return the sum."""
        for _ in range(workers - 1):
            _helpers(workers - 1).put(functools.partial(contextvars.copy_context().run, self.help))
        try:
            self.run()
        finally:
            self.wait()
        if self.error is not None:
            raise self.error
        return self.total

    def run(self):
        """Compute parts until none is left, or one fails."""
        try:
            while (p := self.next()) is not None:
                found = self.function(self.extent * p // self.parts, self.extent * (p + 1) // self.parts)
                if found is not None:
                    self.add(p, found)
        except BaseException:
            self.stop()
            raise

    def next(self):
        """Return the next part, None after the last."""
        with self.turn:
            p = self.taken
            self.taken = min(p + 1, self.parts)
        return p if p < self.parts else None

    def add(self, p, found):
        """Add what a part returned to the total in its turn. Who is far ahead waits, so that few results are held."""
        with self.turn:
            self.found[p] = found
            while self.added in self.found:
                self.total = _added(self.total, self.found.pop(self.added))
                self.added += 1
            self.turn.notify_all()
            while len(self.found) > self.helpers:
                self.turn.wait()

    def stop(self):
        """Leave no part to others."""
        with self.turn:
            self.taken, self.found = self.parts, {}
            self.turn.notify_all()

    def help(self):
        """Compute parts on another thread, unless it comes too late."""
        with self.turn:
            if self.taken >= self.parts:
                return
            self.helpers += 1
        try:
            self.run()
        except BaseException as error:
            self.error = error
        finally:
            self.ended.put(None)

    def wait(self):
        """Wait for the threads that help."""
        for _ in range(self.helpers):
            self.ended.get()
''',
    "_rows": '''
def _rows(extent, elements=0):
    """Return how many positions of an axis of ``extent`` inside a part are computed at once, one of ``elements``.

    The fewer there are the more can be left out, if that depends on them: ``elements`` are 0 then.
    """
    most = _PART // (8 * elements) if elements else 0
    return max(1, min(extent, max(_PART // 8192, most)))
''',
    "_added": '''
def _added(total, found):
    """Add what a part found to the total so far; None is nothing."""
    if isinstance(found, tuple):
        return found if total is None else tuple(map(_added, total, found))
    return total if found is None else found if total is None else total + found
''',
    "_helpers": '''
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_HELPERS = {}


def _helpers(count):
    """Return the queue that so many threads take work from. A forked process has none of its parent's threads."""
    tasks, threads = _HELPERS.setdefault(os.getpid(), (queue.SimpleQueue(), []))
    while len(threads) < count:
        threads.append(threading.Thread(target=_take, args=(tasks,), name="{LAYER}", daemon=True))
        threads[-1].start()
    return tasks


def _take(tasks):
    """Do what comes; nothing that was done is held meanwhile."""
    while True:
        tasks.get()()
''',
    "_one_thread_each": '''
def _find_blas():
    """Return what gets and sets the number of threads of NumPy's OpenBLAS, and its kernels' name; None without it."""
    try:
        library = ctypes.CDLL(np._core._multiarray_umath.__file__)
    except (AttributeError, OSError):
        return None
    for name in ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}"):
        if hasattr(library, name.format("set_num_threads")):
            threads = (getattr(library, name.format(f"{verb}_num_threads")) for verb in ("get", "set"))
            kernels = getattr(library, name.format("get_corename"))
            kernels.restype = ctypes.c_char_p
            return *threads, kernels()
    return None


_BLAS = _find_blas()


_LOCK = threading.Lock()
_HELD = []  # how many threads products had before, once for each who wants one thread for them


@contextlib.contextmanager
def _one_thread_each():
    """Let matrix products take one thread each meanwhile: more would wait for each other, and stay awake after it."""
    if _BLAS is None:
        yield
        return
    with _LOCK:
        _HELD.append(_HELD[0] if _HELD else _BLAS[0]())
        _BLAS[1](1)
    try:
        yield
    finally:
        with _LOCK:
            before = _HELD.pop()
            if not _HELD:
                _BLAS[1](before)
''',
}

IMPORTS = ("contextlib", "contextvars", "ctypes", "functools", "os", "queue", "threading")
"""What these helpers import."""
