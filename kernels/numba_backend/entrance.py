"""Python's way into a bound call: a built-in function without arguments, whose machine code finds all it needs in its `self`.

A dispatcher of Numba looks at the type of each argument and turns it into a number, a fifth of a microsecond for three: half of
what a small product takes. CPython's C interface has no shorter way than ``METH_NOARGS``: the code gets the object that the
function belongs to. Here that is a `bytes`, and in it stand the numbers (docs/decisions/0035).
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable

import llvmlite.ir as ir
from numba import cfunc, types
from numba.core import cgutils
from numba.extending import intrinsic

#: Of a `bytes`, what lies before its contents; the last byte of its basic size is the zero behind them.
_HEAD = bytes.__basicsize__ - 1
#: METH_NOARGS of CPython's methodobject.h; part of the stable interface.
_NO_ARGUMENTS = 4


@intrinsic
def _invoke_without_lock(typingctx, words, wrong):
    """Call entry(block, work), of which the addresses lie at `words`, without the interpreter's lock; return True or False, as
    Python's object: whether what it returns is something else than `wrong`.
    """

    def codegen(context, builder, signature, arguments):
        word, number = ir.IntType(64), ir.IntType(32)
        pointer = ir.IntType(8).as_pointer()

        def python(name, result, *kinds):
            return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, kinds), name)

        place = builder.inttoptr(arguments[0], word.as_pointer())
        entry, block, work = (builder.load(builder.gep(place, [number(i)])) for i in range(3))
        function = builder.inttoptr(entry, ir.FunctionType(word, [word, word]).as_pointer())
        state = builder.call(python("PyEval_SaveThread", pointer), [])
        code = builder.call(function, [block, work])
        builder.call(python("PyEval_RestoreThread", ir.VoidType(), pointer), [state])
        fine = builder.zext(builder.icmp_signed("!=", code, arguments[1]), word)
        return builder.call(python("PyBool_FromLong", word, word), [fine])

    return types.intp(types.intp, types.intp), codegen


class _Method(ctypes.Structure):
    """PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p),
    )  # fmt: skip


class Entrances:
    """Makes built-in functions that run entry(block, work); they live as long as whoever holds them, this object for ever.

    Parameters
    ----------
    wrong : int
        What an entry returns where something is wrong; the function then returns False.
    """

    def __init__(self, wrong: int):
        head, probe = _HEAD, b"where a bytes has its contents"
        if ctypes.string_at(id(probe) + head, len(probe)) != probe:
            raise RuntimeError("the Numba backend needs CPython: this Python keeps the contents of a bytes elsewhere")

        @cfunc(types.intp(types.intp, types.intp))
        def run(numbers, nothing):
            return _invoke_without_lock(numbers + head, wrong)

        self._run = run
        self._method = _Method(b"run", run.address, _NO_ARGUMENTS, b"Run a bound call.")
        kind = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
        self._new = kind(("PyCFunction_NewEx", ctypes.pythonapi))

    def make(self, entry: int, block: int, work: int) -> Callable[[], bool]:
        """Return a function of three addresses, which must stay what they are as long as it may be called."""
        return self._new(ctypes.addressof(self._method), struct.pack("qqq", entry, block, work), None)
