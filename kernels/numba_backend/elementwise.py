"""Activations: one pass over memory each, in loops that LLVM vectorises. The twin of cython_backend/elementwise.pxi."""

from __future__ import annotations

from kernels.numba_backend.memory import (
    element_bytes,
    exp_of_negative,
    exp_within,
    kernel,
    like,
    load,
    lowest_exponent,
    offset,
    pointer_like,
    store,
)

RELU, SIGMOID, TANH, GELU = 1, 2, 3, 4
#: As `activation` comes: the number that the compiled functions know it by.
CODES = {None: 0, "relu": RELU, "sigmoid": SIGMOID, "tanh": TANH}


@kernel
def clamped(x, low, high):
    """x within low..high; NaN stays NaN."""
    x = low if x < low else x
    return high if x > high else x


@kernel
def relu_of(x):
    """max(x, 0); NaN < 0 is false, so NaN stays."""
    return like(x, 0.0) if x < like(x, 0.0) else x


@kernel
def sigmoid_of(x):
    """1 / (1 + exp(-x)); 0 where it would be below the smallest normal number."""
    low = lowest_exponent(x)
    y = like(x, 1.0) / (like(x, 1.0) + exp_within(-clamped(x, low, -low)))
    return like(x, 0.0) if x < low else y


@kernel
def tanh_single(x):
    """A quotient of polynomials, fitted on [-9, 9], where tanh has reached 1; coefficients of Eigen's `ptanh_float`."""
    a = clamped(x, like(x, -9.0), like(x, 9.0))
    s = a * a
    top = like(x, 1.394553628e-8) * s + like(x, 2.102733560e-5)
    top = (top * s + like(x, 3.520756727e-3)) * s + like(x, 1.340216100e-1)
    bottom = like(x, 8.015776984e-7) * s + like(x, 3.326951409e-4)
    bottom = ((bottom * s + like(x, 2.597254514e-2)) * s + like(x, 4.673548340e-1)) * s + like(x, 1.0)
    return clamped((top * (s * a) + a) / bottom, like(x, -1.0), like(x, 1.0))


@kernel
def tanh_double(x):
    """(1 - e) / (1 + e) with e = exp(-2 |x|); near 0, where that loses digits, Lambert's continued fraction (1761)."""
    zero, one = like(x, 0.0), like(x, 1.0)
    a = -x if x < zero else x
    e = exp_of_negative(like(x, -2.0) * a)
    s = a * a if a < like(x, 0.5) else like(x, 0.25)
    top = a * (like(x, 2027025.0) + s * (like(x, 270270.0) + s * (like(x, 6930.0) + s * like(x, 36.0))))
    bottom = like(x, 2027025.0) + s * (like(x, 945945.0) + s * (like(x, 51975.0) + s * (like(x, 630.0) + s)))
    far = a >= like(x, 0.3)
    result = (one - e if far else top) / (one + e if far else bottom)
    return -result if x < zero else result


@kernel
def tanh_of(x):
    return tanh_single(x) if element_bytes(x) == 4 else tanh_double(x)


@kernel
def activate(activation, x, y, n):
    """y[:n] = activation(x[:n])."""
    if activation == RELU:
        for i in range(n):
            store(y, i, relu_of(load(x, i)))
    elif activation == SIGMOID:
        for i in range(n):
            store(y, i, sigmoid_of(load(x, i)))
    elif activation == TANH:
        for i in range(n):
            store(y, i, tanh_of(load(x, i)))
    elif activation == GELU:
        for i in range(n):
            v = load(x, i)
            near = within_reach(v)
            store(y, i, (v if v > like(v, 0.0) else near) * sigmoid_of(gelu_argument(near)))


@kernel
def within_reach(x):
    """Beyond 30 deviations gelu's gate is 0 or 1, and the cube of more could overflow. NaN stays."""
    return like(x, 30.0) if x > like(x, 30.0) else like(x, -30.0) if x < like(x, -30.0) else x


@kernel
def gelu_argument(x):
    """2 u = 2 sqrt(2 / pi) (x + 0.044715 x**3)."""
    return like(x, 1.5957691216057308) * (x + like(x, 0.044715) * x * x * x)


@kernel
def forward(start, end, activation, number, x_address, y_address):
    """y = activation(x) for elements start..end."""
    x = offset(pointer_like(number, x_address), start)
    activate(activation, x, offset(pointer_like(number, y_address), start), end - start)


@kernel
def backward(start, end, activation, number, dy_address, y_address, dx_address):
    """dx from dy and the activation's output y, for elements start..end."""
    dy, y, dx = pointer_like(number, dy_address), pointer_like(number, y_address), pointer_like(number, dx_address)
    zero, one = like(number, 0.0), like(number, 1.0)
    if activation == RELU:
        for i in range(start, end):
            store(dx, i, zero if load(y, i) <= zero else load(dy, i))
    elif activation == SIGMOID:
        for i in range(start, end):
            v = load(y, i)
            store(dx, i, load(dy, i) * v * (one - v))
    elif activation == TANH:
        for i in range(start, end):
            v = load(y, i)
            store(dx, i, load(dy, i) * (one - v * v))
    else:  # gelu's from its input
        for i in range(start, end):
            x = within_reach(load(y, i))
            u = gelu_argument(x)
            slope = like(x, 1.5957691216057308) * (one + like(x, 0.134145) * x * x)
            # gate (1 - gate) is gate (e gate), which loses no digits where the gate is near 1
            e = exp_within(-clamped(u, lowest_exponent(u), -lowest_exponent(u)))
            gate = one / (one + e)
            store(dx, i, load(dy, i) * (gate + x * slope * (e * gate * gate)))


@kernel
def leaky(start, end, slope, x_address, y_address):
    """y = x, or slope * x below 0, for elements start..end."""
    x, y, zero = pointer_like(slope, x_address), pointer_like(slope, y_address), like(slope, 0.0)
    for i in range(start, end):
        v = load(x, i)
        store(y, i, slope * v if v < zero else v)


@kernel
def leaky_backward(start, end, slope, dy_address, y_address, dx_address):
    """dx = dy, or slope * dy where y <= 0, for elements start..end."""
    dy, y, dx = pointer_like(slope, dy_address), pointer_like(slope, y_address), pointer_like(slope, dx_address)
    zero = like(slope, 0.0)
    for i in range(start, end):
        v = load(dy, i)
        store(dx, i, slope * v if load(y, i) <= zero else v)


@kernel
def add(start, end, activation, number, a_address, b_address, y_address):
    """y = activation(a + b) for elements start..end, as many at once as the cache holds."""
    a, b, y = pointer_like(number, a_address), pointer_like(number, b_address), pointer_like(number, y_address)
    for begin in range(start, end, 4096):
        stop = min(begin + 4096, end)
        if activation == RELU:
            for i in range(begin, stop):
                store(y, i, relu_of(load(a, i) + load(b, i)))
        else:
            for i in range(begin, stop):
                store(y, i, load(a, i) + load(b, i))
            activate(activation, offset(y, begin), offset(y, begin), stop - begin)
