"""Builds the Cython kernels: one extension per instruction set and dtype, and one that asks the CPU what it has.

What the compiler cannot do is left out, not an error: no OpenMP builds single-threaded kernels, no `-march=x86-64-v4`
builds the lower sets only. Environment:

DEPTHBENCH_SANITIZE=1   address and undefined-behaviour sanitizers, no optimisation beyond -O1 (tests only)
DEPTHBENCH_NO_OPENMP=1  build as a compiler without OpenMP would
"""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

BACKEND = "kernels/cython_backend"

#: Instruction set -> compiler flags. What each asks of the CPU stands in kernels/cython_backend/loader.py.
ISA_FLAGS = {
    "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
    "v3": ["-march=x86-64-v3"],
    "v2": ["-march=x86-64-v2"],
    "plain": [],
}
X86 = platform.machine().lower() in ("x86_64", "amd64")
ISAS = ("v4", "v3", "v2") if X86 else ("plain",)

#: No -ffast-math: NaN checks must hold. These free the vectoriser from errno and from floating-point traps, no more.
#: Python's own -fwrapv is taken back: no index of a kernel wraps around, and loops over them are a tenth faster or more.
OPTIMISE = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fno-wrapv"]
#: The tile's loops over its rows must vanish, so that its accumulators become registers.
UNROLL = ["--param=max-completely-peeled-insns=2000", "--param=max-completely-peel-times=64"]
#: What Cython writes for `inline`: the kernels' building blocks take sizes as arguments that must become constants.
ALWAYS_INLINE = "__inline__ __attribute__((always_inline))"
#: Frame pointers and symbols let profilers walk the kernels.
DEBUG = ["-g1", "-fno-omit-frame-pointer"]
SANITIZE = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]


class BuildKernels(build_ext):
    """build_ext that drops what the compiler at hand cannot do."""

    def finalize_options(self):
        super().finalize_options()
        if self.parallel is None:
            self.parallel = os.cpu_count()

    def build_extensions(self):
        sanitize = os.environ.get("DEPTHBENCH_SANITIZE") == "1"
        common = SANITIZE if sanitize else [*OPTIMISE, *self._accepted(UNROLL), *self._accepted(DEBUG)]
        openmp = [] if os.environ.get("DEPTHBENCH_NO_OPENMP") == "1" else self._accepted(["-fopenmp"], link=True)
        kept = []
        for extension in self.extensions:
            isa = extension.name.rpartition("_")[2]
            flags = ISA_FLAGS.get(isa, [])
            if isa in ISA_FLAGS and not self._accepts(flags):
                print(f"depthbench: the compiler does not know {' '.join(flags)}: {extension.name} is left out")
                continue
            extension.extra_compile_args = [*common, *flags, *openmp, "-Wno-unreachable-code"]
            extension.extra_link_args = [*openmp, *(["-fsanitize=address,undefined"] if sanitize else [])]
            kept.append(extension)
        self.extensions = kept
        super().build_extensions()

    def _accepted(self, flags: list[str], link: bool = False) -> list[str]:
        return flags if self._accepts(flags, link) else []

    def _accepts(self, flags: list[str], link: bool = False) -> bool:
        """Whether a small program compiles (and links) with `flags`."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "probe.c"
            source.write_text("int main(void) { return 0; }\n")
            try:
                objects = self.compiler.compile([str(source)], output_dir=folder, extra_postargs=["-Werror", *flags])
                if link:
                    self.compiler.link_executable(objects, str(Path(folder) / "probe"), extra_postargs=flags)
            except Exception:  # whatever a compiler object raises, the answer is no
                return False
        return True


def extensions() -> list[Extension]:
    names = ["cpu", *(f"{dtype}_{isa}" for isa in ISAS for dtype in ("f32", "f64"))]
    return [
        Extension(
            f"kernels.cython_backend.{name}",
            [f"{BACKEND}/{name}.pyx"],
            include_dirs=[numpy.get_include(), BACKEND],
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"), ("CYTHON_INLINE", ALWAYS_INLINE)],
            depends=[str(path) for path in (*Path(BACKEND).glob("*.pxi"), *Path(BACKEND).glob("*.h"))],
        )
        for name in names
    ]


setup(
    cmdclass={"build_ext": BuildKernels},
    ext_modules=cythonize(
        extensions(),
        nthreads=os.cpu_count() or 1,
        compiler_directives={
            "language_level": "3",
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "freethreading_compatible": True,
        },
    ),
)
