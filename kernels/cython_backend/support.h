/* What Cython cannot say: vector types, reinterpreted bits, and memory kept per thread.
 *
 * Each kernel module defines DEPTHBENCH_FLOAT64 (0 or 1) and DEPTHBENCH_VECTOR_BYTES before it includes this file. The vector type is
 * the GNU vector extension (GCC manual, "Vector Extensions"; clang has it too); to Cython it is a number, so that ordinary
 * arithmetic on it compiles to vector instructions.
 */
#ifndef DEPTHBENCH_SUPPORT_H
#define DEPTHBENCH_SUPPORT_H

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#ifdef __AVX512VL__
#include <immintrin.h>
#endif

#if DEPTHBENCH_FLOAT64
typedef double depthbench_real;
typedef uint64_t depthbench_bits;
typedef int64_t depthbench_lane;
enum { MANTISSA_BITS = 52 };
#else
typedef float depthbench_real;
typedef uint32_t depthbench_bits;
typedef int32_t depthbench_lane;
enum { MANTISSA_BITS = 23 };
#endif

typedef depthbench_real depthbench_vector __attribute__((vector_size(DEPTHBENCH_VECTOR_BYTES)));
typedef depthbench_lane depthbench_lanes __attribute__((vector_size(DEPTHBENCH_VECTOR_BYTES))); /* masks and indices */
typedef int32_t depthbench_indices __attribute__((vector_size(DEPTHBENCH_VECTOR_BYTES / sizeof(depthbench_lane) * 4)));

static inline __attribute__((always_inline)) depthbench_vector vector_load(const depthbench_real *p)
{
    depthbench_vector v;
    memcpy(&v, p, sizeof v); /* one unaligned load */
    return v;
}

static inline __attribute__((always_inline)) void vector_store(depthbench_real *p, depthbench_vector v)
{
    memcpy(p, &v, sizeof v);
}

/* Zeros of which the compiler does not know that they are zeros: it would clear a tile's accumulators by a call that clears memory
 * (-ftree-loop-distribute-patterns), and then keep them there. */
#if defined __x86_64__
#define DEPTHBENCH_UNKNOWN(v) __asm__("" : "+v"(v))
#elif defined __aarch64__
#define DEPTHBENCH_UNKNOWN(v) __asm__("" : "+w"(v))
#else
#define DEPTHBENCH_UNKNOWN(v) (void)(v)
#endif

static inline __attribute__((always_inline)) depthbench_vector vector_zero(void)
{
    depthbench_vector v = {0};
    DEPTHBENCH_UNKNOWN(v);
    return v;
}

/* max(v, 0) with NaN kept: lanes below 0 are cleared. */
static inline __attribute__((always_inline)) depthbench_vector vector_relu(depthbench_vector v)
{
    depthbench_lanes negative = (depthbench_lanes)(v < (depthbench_vector){0});
    return (depthbench_vector)((depthbench_lanes)v & ~negative);
}

/* v with the lanes below `floor` cleared: ReLU where it is 0; v itself where it is NaN, below which nothing is. */
static inline __attribute__((always_inline)) depthbench_vector vector_clear_below(depthbench_vector v, depthbench_real floor)
{
    depthbench_lanes below = (depthbench_lanes)(v < (depthbench_vector){0} + floor);
    return (depthbench_vector)((depthbench_lanes)v & ~below);
}

static inline __attribute__((always_inline)) depthbench_vector vector_divide(depthbench_vector v, depthbench_real divisor)
{
    return v / divisor;
}

/* Lanes where `v` takes the place of `best` in max pooling: it is larger, or it is NaN. */
static inline __attribute__((always_inline)) depthbench_lanes vector_wins(depthbench_vector v, depthbench_vector best)
{
    return (depthbench_lanes)(v > best) | (depthbench_lanes)(v != v);
}

static inline __attribute__((always_inline)) depthbench_vector vector_select(
    depthbench_lanes mask, depthbench_vector yes, depthbench_vector no)
{
    return (depthbench_vector)(((depthbench_lanes)yes & mask) | ((depthbench_lanes)no & ~mask));
}

static inline __attribute__((always_inline)) depthbench_lanes lanes_of(int32_t index)
{
    return (depthbench_lanes){0} + index;
}

static inline __attribute__((always_inline)) depthbench_lanes lanes_select(
    depthbench_lanes mask, int32_t yes, depthbench_lanes no)
{
    return (lanes_of(yes) & mask) | (no & ~mask);
}

/* Indices as lanes, whatever the width of a lane. */
static inline __attribute__((always_inline)) depthbench_lanes lanes_load(const int32_t *p)
{
    depthbench_indices narrow;
    memcpy(&narrow, p, sizeof narrow);
    return __builtin_convertvector(narrow, depthbench_lanes);
}

static inline __attribute__((always_inline)) depthbench_lanes lanes_equal(depthbench_lanes a, int32_t b)
{
    return (depthbench_lanes)(a == lanes_of(b));
}

static inline __attribute__((always_inline)) depthbench_lanes lanes_or(depthbench_lanes a, depthbench_lanes b)
{
    return a | b;
}

static inline __attribute__((always_inline)) depthbench_lanes lanes_and(depthbench_lanes a, depthbench_lanes b)
{
    return a & b;
}

static inline __attribute__((always_inline)) int lanes_all(depthbench_lanes a)
{
    depthbench_lane t[sizeof a / sizeof(depthbench_lane)], all = -1;
    memcpy(t, &a, sizeof a);
    for (unsigned i = 0; i < sizeof a / sizeof(depthbench_lane); i++)
        all &= t[i];
    return all != 0;
}

/* v where the mask is true, 0 elsewhere. */
static inline __attribute__((always_inline)) depthbench_vector vector_where(depthbench_lanes mask, depthbench_vector v)
{
    return (depthbench_vector)((depthbench_lanes)v & mask);
}

/* The first n lanes of v; zeros behind them (0 <= n <= lanes). */
static inline __attribute__((always_inline)) depthbench_vector vector_head(depthbench_vector v, long n)
{
    static const depthbench_lane window[2 * 16] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    depthbench_lanes mask;
    memcpy(&mask, window + 16 - n, sizeof mask);
    return (depthbench_vector)((depthbench_lanes)v & mask);
}

/* Load and store the first n lanes (0 <= n <= lanes); what lies behind them in memory is not touched, and loaded as zero. AVX-512 has
 * masks for that; other sets move halves, quarters ... */
static inline __attribute__((always_inline)) depthbench_vector vector_load_head(const depthbench_real *p, long n)
{
#if defined __AVX512VL__ && DEPTHBENCH_VECTOR_BYTES == 64
#if DEPTHBENCH_FLOAT64
    return (depthbench_vector)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
#else
    return (depthbench_vector)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#endif
#else
    depthbench_real t[sizeof(depthbench_vector) / sizeof(depthbench_real)] = {0};
    depthbench_vector v;
    for (long i = 0; i < n; i++)
        t[i] = p[i];
    memcpy(&v, t, sizeof v);
    return v;
#endif
}

static inline __attribute__((always_inline)) void vector_store_head(depthbench_real *p, depthbench_vector v, long n)
{
#if defined __AVX512VL__ && DEPTHBENCH_VECTOR_BYTES == 64
#if DEPTHBENCH_FLOAT64
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
#else
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#endif
#else
    enum { COUNT = sizeof v / sizeof(depthbench_real) };
    depthbench_real t[COUNT];
    const depthbench_real *from = t;
    if (n == COUNT) {
        memcpy(p, &v, sizeof v);
        return;
    }
    memcpy(t, &v, sizeof v);
    if (COUNT > 8 && n & 8) {
        memcpy(p, from, 8 * sizeof *p);
        p += 8, from += 8;
    }
    if (COUNT > 4 && n & 4) {
        memcpy(p, from, 4 * sizeof *p);
        p += 4, from += 4;
    }
    if (COUNT > 2 && n & 2) {
        memcpy(p, from, 2 * sizeof *p);
        p += 2, from += 2;
    }
    if (n & 1)
        *p = *from;
#endif
}

/* Half a vector, for rows of C that fill no more: with AVX-512 it has registers and masks of its own, and half the arithmetic. */
#if defined __AVX512VL__ && DEPTHBENCH_VECTOR_BYTES == 64
enum { HAS_HALVES = 1 };
#else
enum { HAS_HALVES = 0 };
#endif
typedef depthbench_real depthbench_half __attribute__((vector_size(DEPTHBENCH_VECTOR_BYTES / 2)));
typedef depthbench_lane depthbench_half_lanes __attribute__((vector_size(DEPTHBENCH_VECTOR_BYTES / 2)));

static inline __attribute__((always_inline)) depthbench_half half_load(const depthbench_real *p)
{
    depthbench_half v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline __attribute__((always_inline)) depthbench_half half_zero(void)
{
    depthbench_half v = {0};
    if (HAS_HALVES)
        DEPTHBENCH_UNKNOWN(v);
    return v;
}

static inline __attribute__((always_inline)) void half_store(depthbench_real *p, depthbench_half v)
{
    memcpy(p, &v, sizeof v);
}

static inline __attribute__((always_inline)) depthbench_half half_clear_below(depthbench_half v, depthbench_real floor)
{
    depthbench_half_lanes below = (depthbench_half_lanes)(v < (depthbench_half){0} + floor);
    return (depthbench_half)((depthbench_half_lanes)v & ~below);
}

static inline __attribute__((always_inline)) depthbench_half half_load_head(const depthbench_real *p, long n)
{
#if !(defined __AVX512VL__ && DEPTHBENCH_VECTOR_BYTES == 64)
    (void)n;
    return half_load(p); /* never called */
#elif DEPTHBENCH_FLOAT64
    return (depthbench_half)_mm256_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
#else
    return (depthbench_half)_mm256_maskz_loadu_ps((__mmask8)((1u << n) - 1), p);
#endif
}

static inline __attribute__((always_inline)) void half_store_head(depthbench_real *p, depthbench_half v, long n)
{
#if !(defined __AVX512VL__ && DEPTHBENCH_VECTOR_BYTES == 64)
    (void)n;
    half_store(p, v); /* never called */
#elif DEPTHBENCH_FLOAT64
    _mm256_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m256d)v);
#else
    _mm256_mask_storeu_ps(p, (__mmask8)((1u << n) - 1), (__m256)v);
#endif
}

/* The sum of the lanes, in pairs: halves onto each other until one is left. */
static inline __attribute__((always_inline)) depthbench_real vector_sum(depthbench_vector v)
{
    depthbench_real t[sizeof v / sizeof(depthbench_real)];
    memcpy(t, &v, sizeof v);
    for (unsigned half = sizeof v / sizeof(depthbench_real) / 2; half > 0; half /= 2)
        for (unsigned i = 0; i < half; i++)
            t[i] += t[i + half];
    return t[0];
}

/* Transposing: rows i and i + half are interleaved, log2(lanes) times (the perfect shuffle). */
#if DEPTHBENCH_VECTOR_BYTES >> (2 + DEPTHBENCH_FLOAT64) == 16
#define DEPTHBENCH_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define DEPTHBENCH_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif DEPTHBENCH_VECTOR_BYTES >> (2 + DEPTHBENCH_FLOAT64) == 8
#define DEPTHBENCH_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define DEPTHBENCH_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#elif DEPTHBENCH_VECTOR_BYTES >> (2 + DEPTHBENCH_FLOAT64) == 4
#define DEPTHBENCH_LOW 0, 4, 1, 5
#define DEPTHBENCH_HIGH 2, 6, 3, 7
#else
#define DEPTHBENCH_LOW 0, 2
#define DEPTHBENCH_HIGH 1, 3
#endif
#ifdef __clang__
#define DEPTHBENCH_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define DEPTHBENCH_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (depthbench_lanes){__VA_ARGS__})
#endif

/* to[k, i] = from[i, k] for i < rows, k < columns, at most as many of each as a vector has lanes. Of each row of `to` the first `head`
 * are written, with zeros from `rows` on. */
static inline __attribute__((always_inline)) void transpose_block(
    const depthbench_real *from, long from_stride, long rows, long columns, depthbench_real *to, long to_stride, long head)
{
    enum { COUNT = sizeof(depthbench_vector) / sizeof(depthbench_real) };
    depthbench_vector v[COUNT], w[COUNT];
    if (rows == COUNT && columns == COUNT)
        for (int i = 0; i < COUNT; i++)
            v[i] = vector_load(from + i * from_stride);
    else
        for (int i = 0; i < COUNT; i++)
            v[i] = i < rows ? vector_load_head(from + i * from_stride, columns) : vector_zero();
    for (int round = 1; round < COUNT; round *= 2) {
        for (int i = 0; i < COUNT / 2; i++) {
            w[2 * i] = DEPTHBENCH_SHUFFLE(v[i], v[i + COUNT / 2], DEPTHBENCH_LOW);
            w[2 * i + 1] = DEPTHBENCH_SHUFFLE(v[i], v[i + COUNT / 2], DEPTHBENCH_HIGH);
        }
        for (int i = 0; i < COUNT; i++)
            v[i] = w[i];
    }
    for (int k = 0; k < COUNT; k++)
        if (k < columns)
            vector_store_head(to + k * to_stride, v[k], head);
}

/* Store lane indices as int32, whatever the width of a lane. */
static inline __attribute__((always_inline)) void lanes_store(int32_t *p, depthbench_lanes v)
{
    depthbench_indices narrow = __builtin_convertvector(v, depthbench_indices);
    memcpy(p, &narrow, sizeof narrow);
}

static inline __attribute__((always_inline)) depthbench_real real_from_bits(depthbench_bits bits)
{
    depthbench_real x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline __attribute__((always_inline)) depthbench_bits bits_from_real(depthbench_real x)
{
    depthbench_bits bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Ask for the lines at p, which will be written soon, to be brought into the second-level cache. */
static inline __attribute__((always_inline)) void prefetch_lines(const depthbench_real *p, long bytes)
{
    for (long i = 0; i < bytes; i += 64)
        __builtin_prefetch((const char *)p + i, 1, 2);
}

static inline __attribute__((always_inline)) void prefetch_for_reading(const depthbench_real *p, long bytes)
{
    for (long i = 0; i < bytes; i += 64)
        __builtin_prefetch((const char *)p + i, 0, 3);
}

/* The clock of time.perf_counter_ns. */
static inline int64_t nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Packing buffers, one set per thread, grown when needed and freed when the thread ends: allocating them at each call would
 * cost a page fault for every 4 KiB of every call. */
enum { WORKSPACE_SLOTS = 4, HUGE_PAGE = 2097152 };
typedef struct {
    void *memory[WORKSPACE_SLOTS];
    size_t bytes[WORKSPACE_SLOTS];
} depthbench_workspace;

static pthread_key_t depthbench_key;
static pthread_once_t depthbench_once = PTHREAD_ONCE_INIT;

static void depthbench_free_workspace(void *p)
{
    depthbench_workspace *w = (depthbench_workspace *)p;
    for (int i = 0; i < WORKSPACE_SLOTS; i++)
        free(w->memory[i]);
    free(w);
}

static void depthbench_make_key(void)
{
    pthread_key_create(&depthbench_key, depthbench_free_workspace);
}

/* Return at least `bytes` of 64-byte aligned memory, private to this thread and slot; NULL where there is none. */
static void *workspace(int slot, size_t bytes)
{
    pthread_once(&depthbench_once, depthbench_make_key);
    depthbench_workspace *w = (depthbench_workspace *)pthread_getspecific(depthbench_key);
    if (w == NULL) {
        w = (depthbench_workspace *)calloc(1, sizeof *w);
        if (w == NULL || pthread_setspecific(depthbench_key, w) != 0) {
            free(w);
            return NULL;
        }
    }
    if (w->bytes[slot] < bytes) {
        size_t unit = bytes >= HUGE_PAGE / 4 ? HUGE_PAGE : 4096, rounded = (bytes + unit - 1) / unit * unit;
        free(w->memory[slot]);
        w->bytes[slot] = 0;
        w->memory[slot] = aligned_alloc(HUGE_PAGE <= rounded ? HUGE_PAGE : 4096, rounded);
        if (w->memory[slot] == NULL)
            return NULL;
#ifdef MADV_HUGEPAGE
        if (rounded >= HUGE_PAGE)
            madvise(w->memory[slot], rounded, MADV_HUGEPAGE); /* a hint: what it answers does not matter */
#endif
        w->bytes[slot] = rounded;
    }
    return w->memory[slot];
}

#endif
