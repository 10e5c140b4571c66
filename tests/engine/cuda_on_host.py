"""CUDA without a card: kernels compiled for the processor, where the threads of a launch take turns."""

import ctypes
import hashlib
import re
import secrets
import subprocess
import weakref
from contextlib import nullcontext
from functools import cache, partial
from math import prod

import numpy as np

from seisops.engine.backend import CPU
from seisops.engine.backend.abreast import abreast
from seisops.engine.backend.cuda import Program
from seisops.engine.lower.cuda import THREADS

# C, which takes a third of the time of C++ to compile; functions of <tgmath.h> are those of their arguments' types
HEADER = r"""
#include <stdint.h>
#include <tgmath.h>

#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define __global__ static
#define __device__
#define __forceinline__ inline
#define __restrict__ __restrict
struct three { unsigned x, y, z; };
static _Thread_local struct three blockIdx, threadIdx;
"""

# every thread of every block and shot, in an order that the caller chooses: a race shows as a difference
LAUNCH = r"""
void launch(unsigned blocks, unsigned shots, unsigned threads, int order, void **arguments)
{
  const int64_t each = (int64_t)blocks * threads, all = each * shots;
  for (int64_t n = 0; n < all; n++) {
    /* forward, backward, or scattered: a multiplier without common divisors takes each once */
    int64_t k = order == 0 ? n : order == 1 ? all - 1 - n : (n * 7919 + 13) %% all;
    if (order == 2 && all %% 7919 == 0) k = n;
    threadIdx = (struct three){(unsigned)(k %% threads), 0, 0};
    blockIdx = (struct three){(unsigned)(k %% each / threads), (unsigned)(k / each), 0};
    piece(%(given)s);
  }
}
"""


# of all degrees of optimisation the one after which compiling and running take the least time together
OPTIONS = ("-x", "c", "-std=gnu11", "-Og", "-shared", "-fPIC", "-ffp-contract=off", "-w")

#: Bytes before and after each array, and what is in them.
GUARD, BYTE = 4096, 0xA5
#: Bytes of an argument, at most.
WORD = 8


class Host:
    """Stands for a graphics processor; its arrays are NumPy's, between guards that nobody may touch."""

    name, concurrency, free_bytes = "host", 3, 2**40

    xp, host, copy = np, CPU, staticmethod(CPU.copy)

    def __init__(self, folder, order=0):
        self.folder, self.order, self.function = folder, order, cache(self._function)
        self.launched, self.abreast = 0, 0
        self._memory = []  # of all arrays that are there

    def _array(self, shape, dtype, value):
        dtype = np.dtype(dtype)
        nbytes = prod(shape) * dtype.itemsize
        memory = np.full(nbytes + 2 * GUARD, BYTE, np.uint8)
        self._memory = [m for m in self._memory if m() is not None] + [weakref.ref(memory)]
        out = memory[GUARD : GUARD + nbytes].view(dtype).reshape(shape)
        out[...] = value
        return out

    def check_guards(self):
        """What is beyond the ends of arrays is as it was."""
        for memory in (m() for m in self._memory):
            assert memory is None or (memory[:GUARD] == BYTE).all() and (memory[-GUARD:] == BYTE).all()

    def zeros(self, shape, dtype):
        return self._array(shape, dtype, 0)

    def empty(self, shape, dtype):
        return self._array(shape, dtype, np.nan)  # whoever looks at it before it is written sees

    def to_device(self, a, dtype):
        return self._array(np.shape(a), dtype, a)

    def to_host(self, a):
        return a

    def address(self, a):
        return a.__array_interface__["data"][0]

    def active(self):
        return nullcontext()

    def together(self, nbytes, most=None):
        return partial(abreast, most=min(self.concurrency, most or self.concurrency))

    def compile(self, loop):
        return Program(loop, self)

    def _function(self, source):
        declared = re.search(r"__global__ void piece\((.*?)\)\n", source)[1]
        kinds = [re.sub(r"\s*\w+$", "", one) for one in declared.split(", ")]
        given = ", ".join(f"*({kind} *)arguments[{n}]" for n, kind in enumerate(kinds))
        text = HEADER + source.replace('extern "C" ', "") + LAUNCH % {"given": given}
        path = self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.so"
        if not path.exists():
            made = path.with_suffix(f".{secrets.token_hex(8)}")  # another process may be at the same
            subprocess.run(["gcc", *OPTIONS, "-", "-o", made], input=text, text=True, check=True)
            made.rename(path)
        return ctypes.CDLL(str(path)).launch

    def march(self, step, after, table, steps):
        shots = len(table.bases)
        tables = [table.at(steps.start, steps.start), np.full((shots, table.width), 2**63, np.uint64)]
        made = [table.bases, table.rules, np.uint32(len(table.rules)), np.int32(steps.step)]
        step, after = ([(one, self._packed(one.arguments)) for one in side] for side in (step, after))
        for n in range(len(steps) + 1):
            leads = n < len(steps)
            for one, arguments in step if leads else after:
                given = [tables[n % 2], np.uint32(table.width), *((tables[(n + 1) % 2], *made) if leads else ())]
                self._launch(one, one.blocks + (table.blocks if leads else 0), shots, self._packed(given) + arguments)
                leads = False
        self.abreast = max(self.abreast, shots)
        self.check_guards()

    def _packed(self, arguments):
        """In a word each: numbers, and where arrays begin."""
        values = [np.uint64(self.address(a)) if isinstance(a, np.ndarray) else a for a in arguments]
        return b"".join(value.tobytes().ljust(WORD, b"\0") for value in values)

    def _launch(self, one, blocks, shots, arguments):
        # each by a pointer to it, as a driver has it
        held = ctypes.create_string_buffer(arguments, len(arguments))
        first = ctypes.addressof(held)
        places = range(first, first + len(arguments), WORD)
        pointers = (ctypes.c_void_p * len(places))(*places)
        one.function(
            ctypes.c_uint(blocks), ctypes.c_uint(shots), ctypes.c_uint(THREADS), ctypes.c_int(self.order), pointers
        )
        self.launched += 1
