"""CUDA without a card: kernels compiled for the processor, where the threads of a launch take turns."""

import ctypes
import hashlib
import re
import subprocess
from functools import cache

import numpy as np

from seisops.engine.arrays import zeros
from seisops.engine.backend.cuda import Program, entries
from seisops.engine.lower.cuda import THREADS

# few headers, of a C++ with few things in them: that is what compiling these takes
HEADER = r"""
#include <cmath>
#include <cstdint>
using namespace std;

template <class number> static number min(number a, number b) { return a < b ? a : b; }
#define restrict __restrict__
#define __global__ static
#define __device__
#define __forceinline__ inline
#define __restrict__ __restrict
struct three { unsigned x, y, z; };
static three blockIdx, threadIdx;
"""

# every thread of every block, in an order that the caller chooses: a race shows as a difference
LAUNCH = r"""
extern "C" void launch(unsigned blocks, unsigned threads, int order, %(declared)s)
{
  const int64_t all = (int64_t)blocks * threads;
  for (int64_t n = 0; n < all; n++) {
    /* forward, backward, or scattered: a multiplier without common divisors takes each once */
    int64_t k = order == 0 ? n : order == 1 ? all - 1 - n : (n * 7919 + 13) %% all;
    if (order == 2 && all %% 7919 == 0) k = n;
    threadIdx = {(unsigned)(k %% threads), 0, 0};
    blockIdx = {(unsigned)(k / threads), 0, 0};
    piece(%(names)s);
  }
}
"""


class Host:
    """Stands for a graphics processor; its arrays are NumPy's."""

    name, concurrency, free_bytes = "host", 1, 2**40

    def __init__(self, folder, order=0):
        self.folder, self.order, self.function = folder, order, cache(self._function)
        self.launched = 0

    def zeros(self, shape, dtype):
        return zeros(shape, dtype)

    def to_device(self, a, dtype):
        out = zeros(np.shape(a), dtype)
        out[...] = a
        return out

    def to_host(self, a):
        return a

    def address(self, a):
        return a.__array_interface__["data"][0]

    def compile(self, loop):
        return Program(loop, self)

    def _function(self, source):
        declared = re.search(r"__global__ void piece\((.*?)\)\n", source)[1]
        names = ", ".join(re.findall(r"(\w+)(?:,|$)", declared))
        text = HEADER + source.replace('extern "C" ', "") + LAUNCH % {"declared": declared, "names": names}
        path = self.folder / hashlib.sha256(text.encode()).hexdigest()[:24]
        if not path.with_suffix(".so").exists():
            path.with_suffix(".cpp").write_text(text)
            options = ["-std=c++11", "-O0", "-shared", "-fPIC", "-ffp-contract=off", "-w"]
            subprocess.run(["g++", *options, path.with_suffix(".cpp"), "-o", path.with_suffix(".so")], check=True)
        return ctypes.CDLL(str(path.with_suffix(".so"))).launch

    def march(self, launches, entry, rules, steps):
        prepared = []
        for function, blocks, (_, *arguments) in launches:
            head = [ctypes.c_uint(blocks), ctypes.c_uint(THREADS), ctypes.c_int(self.order)]
            prepared.append((function, [*head, ctypes.c_uint64(self.address(entry)), *map(_native, arguments)]))
        for step in steps:
            entry[...] = entries(rules, step)
            for function, arguments in prepared:
                function(*arguments)
                self.launched += 1


def _native(value):
    return {
        "uint64": ctypes.c_uint64,
        "int64": ctypes.c_int64,
        "uint32": ctypes.c_uint32,
        "int32": ctypes.c_int32,
        "float32": ctypes.c_float,
        "float64": ctypes.c_double,
    }[value.dtype.name](value)
