"""Calls from compiled code to compiled code by address.

Numba builds every function that a function calls into it once more, and optimises all of it anew. For the large ones that
takes seconds, each time. What is called by way of `separately` is compiled once for each type of its arguments, whoever calls
it.
"""

from __future__ import annotations

import llvmlite.ir as ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def compiled(function, kinds: tuple):
    """Return the machine code of a jitted function for arguments of these types, as Numba describes it."""
    function.compile(kinds)
    return function.overloads[kinds]


def call_by_address(context, builder, result, arguments: list):
    """Emit a call of machine code; nothing that is called this way raises."""
    kinds = tuple(result.signature.args)
    address = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
    convention = context.call_conv
    function_type = convention.get_function_type(result.signature.return_type, kinds)
    callee = builder.inttoptr(ir.IntType(64)(address), function_type.as_pointer())
    _, value = convention.call_function(builder, callee, result.signature.return_type, kinds, arguments)
    return value


def separately(function):
    """Return what compiled code calls instead of `function`, with the same arguments."""

    def call(typingctx, *kinds):
        kinds = tuple(types.unliteral(kind) for kind in kinds)
        result = compiled(function, kinds)

        def codegen(context, builder, signature, arguments):
            values = cgutils.unpack_tuple(builder, arguments[0], len(kinds))
            return call_by_address(context, builder, result, values)

        return result.signature.return_type(types.StarArgTuple.from_types(kinds)), codegen

    call.__name__ = call.__qualname__ = f"call_{function.py_func.__name__}"
    return intrinsic(call)
