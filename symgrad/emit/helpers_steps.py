"""Helper functions of recurrences, as text."""

from __future__ import annotations

CARRY = '''
def _carry(states, factor, axis):
    """Add ``factor`` times each state along ``axis`` to the state after it, in place, one after the other."""
    states = np.moveaxis(states, axis, 0)
    steps, width = len(states) - 1, states[:1].size
    if steps < 1 or not width:
        return
    factor = np.asarray(factor, states.dtype)
    spread = np.moveaxis(states[1:], 0, axis).shape
    factor = np.moveaxis(np.broadcast_to(factor, spread), axis, 0)
    done = 0
    # Where a step has few elements its calls cost most: blocks of steps go side by side, then what enters a
    # block is added times the products of its factors. No factor may exceed 1, or products might overflow.
    if steps >= 64 and width <= 256 and np.abs(factor).max() <= 1:
        length = int(steps**0.5)
        done = steps - steps % length
        shape = (done // length, length, *states.shape[1:])
        inner = states[1 : done + 1].reshape(shape).swapaxes(0, 1).copy()
        products = factor[:done].reshape(shape).swapaxes(0, 1).copy()
        for t in range(1, length):
            inner[t] += products[t] * inner[t - 1]
            products[t] *= products[t - 1]
        entering = np.empty_like(inner[0])
        entering[0] = states[0]
        for block in range(1, len(entering)):
            entering[block] = inner[-1, block - 1] + products[-1, block - 1] * entering[block - 1]
        products *= entering
        inner += products
        states[1 : done + 1] = inner.swapaxes(0, 1).reshape(done, *states.shape[1:])
    for t in range(done, steps):
        states[t + 1] += factor[t] * states[t]
'''
