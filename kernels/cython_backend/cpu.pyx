# Asks the CPU, and the operating system, which instruction sets they support. Compiled for the lowest of them.
cdef extern from *:
    """
    #if defined(__x86_64__) || defined(__i386__)
    static int depthbench_has(int level)
    {
        __builtin_cpu_init();
        if (level == 2)
            return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("ssse3");
        if (level == 3)
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi")
                && __builtin_cpu_supports("bmi2");
        if (level == 4)
            return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
                && __builtin_cpu_supports("avx512vl");
        return 0;
    }
    #else
    static int depthbench_has(int level) { (void)level; return 0; }
    #endif
    #ifdef _OPENMP
    #define DEPTHBENCH_OPENMP 1
    #else
    #define DEPTHBENCH_OPENMP 0
    #endif
    """
    int depthbench_has(int level)
    int DEPTHBENCH_OPENMP


def has_level(int level):
    """Whether this machine runs x86-64-v`level` code (2, 3 or 4; "x86-64 psABI", section 3.1.1)."""
    return bool(depthbench_has(level))


def has_openmp():
    """Whether the kernels were built with OpenMP; without it they run on one thread."""
    return bool(DEPTHBENCH_OPENMP)
