"""exp, tanh and the logistic function, in a form that a compiler turns into vector instructions.

The one idea: with y = n·ln 2 + r and |r| ≤ ln 2 / 2, e^y − 1 = 2ⁿ·(e^r − 1) + (2ⁿ − 1), where e^r − 1 is its
Taylor series, and 2ⁿ is put together from bits (Cephes; Muller, Elementary Functions, ch. 5 and 11).  Only
y ≤ 0 is ever asked for, so nothing overflows: σ is written with e^(−|x|) and tanh with e^(−2|x|) − 1, whose
relative error stays small next to 0, too.  NaN and ±inf come out as they should; no flag assumes them away.
"""

from __future__ import annotations

import math

from numba import types
from numba.extending import intrinsic, overload

from implementations.backends.numba_cpu.compiling import OPTIONS, inlined

LOG2_E = 1.4426950408889634
LN_2_HIGH = 0.693359375
"""ln 2 to 9 bits, so that n·LN_2_HIGH is exact in float32, too."""
LN_2_LOW = -2.1219444005469057e-4
FACTORIALS = [math.factorial(k) for k in range(14)]
C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13 = (1.0 / f for f in FACTORIALS[2:])

_FORMATS = {
    types.float32: (types.int32, 23, 127, -87.0),
    types.float64: (types.int64, 52, 1023, -708.0),
}
"""Type -> integer of its size, bits of its fraction, bias of its exponent, least y with normal e^y."""


@intrinsic
def like(typingctx, x, value):
    """`value` as a constant of x's type: a plain literal would turn float32 arithmetic into float64."""

    def codegen(context, builder, signature, args):
        return context.cast(builder, args[1], signature.args[1], signature.return_type)

    return x(x, value), codegen


@intrinsic
def rounder(typingctx, x):
    """1.5·2^fraction of x's type: adding it rounds to an integer, which then stands in the lowest bits."""
    fraction = _FORMATS[x][1]

    def codegen(context, builder, signature, args):
        return context.get_constant(x, 1.5 * 2.0**fraction)

    return x(x), codegen


@intrinsic
def lowest_exponent(typingctx, x):
    """The lowest y whose e^y is a normal number of x's type."""

    def codegen(context, builder, signature, args):
        return context.get_constant(x, _FORMATS[x][3])

    return x(x), codegen


@intrinsic
def two_to(typingctx, shifted):
    """2ⁿ for shifted = rounder + n, where n ≤ 0 and 2ⁿ is a normal number."""
    integer, fraction, bias, _ = _FORMATS[shifted]

    def codegen(context, builder, signature, args):
        bits_type = context.get_value_type(integer)
        bits = builder.bitcast(args[0], bits_type)
        exponent = builder.shl(bits, bits_type(fraction))
        return builder.bitcast(
            builder.add(exponent, bits_type(bias << fraction)), context.get_value_type(shifted)
        )

    return shifted(shifted), codegen


def series(r):
    """e^r − 1 for |r| ≤ ln 2 / 2, to the precision of r's type."""
    raise NotImplementedError("for compiled code")


@overload(series, jit_options=OPTIONS)
def _series(r):
    if r == types.float32:

        def to_seventh_power(r):
            q = like(r, C7) * r + like(r, C6)
            q = q * r + like(r, C5)
            q = q * r + like(r, C4)
            q = q * r + like(r, C3)
            q = q * r + like(r, C2)
            return q * (r * r) + r

        return to_seventh_power

    def to_thirteenth_power(r):
        q = C13 * r + C12
        q = q * r + C11
        q = q * r + C10
        q = q * r + C9
        q = q * r + C8
        q = q * r + C7
        q = q * r + C6
        q = q * r + C5
        q = q * r + C4
        q = q * r + C3
        q = q * r + C2
        return q * (r * r) + r

    return to_thirteenth_power


@inlined
def sigmoid(x):
    """1 / (1 + e^(−x)), for x < 0 as e^x / (1 + e^x); 0 where e^x is no normal number."""
    y = -abs(x)
    lowest = lowest_exponent(x)
    held = lowest if y < lowest else y
    shifted = held * like(x, LOG2_E) + rounder(x)
    n = shifted - rounder(x)
    r = (held - n * like(x, LN_2_HIGH)) - n * like(x, LN_2_LOW)
    scale = two_to(shifted)
    e = scale * series(r) + scale
    e = like(x, 0) if y < lowest else e
    one = like(x, 1)
    return (e if x < like(x, 0) else one) / (one + e)


@inlined
def tanh(x):
    """sign(x) · (1 − e^(−2|x|)) / (1 + e^(−2|x|))."""
    y = like(x, -2) * abs(x)
    lowest = like(x, -40)
    held = lowest if y < lowest else y
    shifted = held * like(x, LOG2_E) + rounder(x)
    n = shifted - rounder(x)
    r = (held - n * like(x, LN_2_HIGH)) - n * like(x, LN_2_LOW)
    scale = two_to(shifted)
    t = scale * series(r) + (scale - like(x, 1))
    return math.copysign(t / (t + like(x, 2)), x)
