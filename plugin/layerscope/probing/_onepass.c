/* Moments and histogram of float32 numbers in one pass over memory.

   Every reduction of NumPy and torch is a pass of its own: six of them take two to three times as long as one, even
   where the cache holds what they look at. This takes about as long as the sum alone. measuring.py does without it where
   it was not built, and is what defines the numbers: only what it would trust there is taken from here.

   Sixteen lanes, which compilers turn into vectors without being allowed to reorder sums. Lanes are added up in double
   after every block. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030a0000
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
#define AHEAD 2048 /* floats: what is fetched while others are looked at; processors alone stop at each page */
#define BLOCK 4096 /* floats: what the first cache of a core holds, for the second look that the histogram takes */
#define TABLES 4   /* neighbours are counted apart: where values are alike, one count would wait for the one before */
#define CODES 512  /* sign bit and exponent */

#if defined(_MSC_VER)
#define restrict __restrict
#define FETCH(address) ((void)0)
#else
#define FETCH(address) __builtin_prefetch(address)
#endif

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__)
#define FOR_EACH_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_CPU
#endif

typedef struct {
    double sum, squares;
    float low, high;
    int64_t zeros;
} Moments;

FOR_EACH_CPU static void look(const float *restrict values, int64_t count, Moments *restrict found) {
    float sum[LANES], squares[LANES], low[LANES], high[LANES];
    int32_t zeros[LANES];
    for (int lane = 0; lane < LANES; lane++) {
        sum[lane] = squares[lane] = 0.0f;
        low[lane] = found->low;
        high[lane] = found->high;
        zeros[lane] = 0;
    }
    int64_t whole = count - count % LANES;
    for (int64_t i = 0; i < whole; i += LANES) {
        FETCH(values + i + AHEAD);
        for (int lane = 0; lane < LANES; lane++) {
            float value = values[i + lane];
            sum[lane] += value;
            squares[lane] += value * value;
            low[lane] = value < low[lane] ? value : low[lane];
            high[lane] = value > high[lane] ? value : high[lane];
            zeros[lane] += value == 0.0f;
        }
    }
    for (int64_t i = whole; i < count; i++) {
        float value = values[i];
        sum[0] += value;
        squares[0] += value * value;
        low[0] = value < low[0] ? value : low[0];
        high[0] = value > high[0] ? value : high[0];
        zeros[0] += value == 0.0f;
    }
    for (int lane = 0; lane < LANES; lane++) {
        found->sum += sum[lane];
        found->squares += squares[lane];
        found->low = low[lane] < found->low ? low[lane] : found->low;
        found->high = high[lane] > found->high ? high[lane] : found->high;
        found->zeros += zeros[lane];
    }
}

static void tally(const float *restrict values, int64_t count, uint32_t (*restrict tables)[CODES]) {
    int64_t whole = count - count % TABLES;
    uint32_t bits[TABLES];
    for (int64_t i = 0; i < whole; i += TABLES) {
        memcpy(bits, values + i, sizeof bits);
        for (int table = 0; table < TABLES; table++) tables[table][bits[table] >> 23]++;
    }
    for (int64_t i = whole; i < count; i++) {
        memcpy(bits, values + i, sizeof *bits);
        tables[0][*bits >> 23]++;
    }
}

static void add_up(uint32_t (*tables)[CODES], int64_t *counts) {
    for (int table = 0; table < TABLES; table++)
        for (int code = 0; code < CODES; code++) counts[code] += tables[table][code];
    memset(tables, 0, sizeof(uint32_t) * TABLES * CODES);
}

static PyObject *moments(PyObject *module, PyObject *arguments) {
    unsigned long long values_address, counts_address;
    long long count;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "KLK", &values_address, &count, &counts_address)) return NULL;
    const float *values = (const float *)(uintptr_t)values_address;
    int64_t *counts = (int64_t *)(uintptr_t)counts_address;
    Moments found = {0.0, 0.0, INFINITY, -INFINITY, 0};
    uint32_t tables[TABLES][CODES] = {{0}};
    Py_BEGIN_ALLOW_THREADS
    int64_t since = 0; /* counted since tables were last added up: they hold 32 bits */
    for (int64_t i = 0; i < count; i += BLOCK) {
        int64_t size = count - i < BLOCK ? count - i : BLOCK;
        look(values + i, size, &found);
        if (counts == NULL) continue;
        tally(values + i, size, tables);
        since += size;
        if (since > INT32_MAX) {
            add_up(tables, counts);
            since = 0;
        }
    }
    if (counts != NULL) add_up(tables, counts);
    Py_END_ALLOW_THREADS
    return Py_BuildValue("ddddL", found.sum, found.squares, (double)found.low, (double)found.high,
                         (long long)found.zeros);
}

static PyMethodDef methods[] = {
    {"moments", moments, METH_VARARGS,
     "moments(values_address, count, counts_address) -> (sum, sum of squares, lowest, highest, zeros)\n\n"
     "Of count float32 numbers. Unless counts_address is 0, adds to int64 [512] there how many have each code (sign bit\n"
     "and exponent). NaN shows in the sums alone."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_onepass", NULL, 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__onepass(void) { return PyModule_Create(&definition); }
