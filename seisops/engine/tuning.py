"""How threads share the work of generated code: edits of its text that change no result, only who computes it when.

Devito opens a parallel region around every loop nest, and hands rows out one by one. One region around the loop over time
costs a barrier for each nest instead of a fork and a join (a tenth of the time of a small 2D grid), and contiguous rows
leave every thread the same part of the grid in all nests (a quarter). Nests that touch nothing that the other writes do not
wait for each other. Text that does not look as expected is left alone.
"""

from __future__ import annotations

import re

__all__ = ["tuned"]

# every iteration costs the same, in loops over points as well
SCHEDULE = re.compile(r"schedule\((?:static,1|dynamic,chunk_size)\)")
CHUNK = re.compile(r"\n *int chunk_size = [^\n]*")
LOOP = re.compile(r"  for \(int time = [^\n]*")
FORK = re.compile(r"#pragma omp parallel num_threads\(\w+\)")
SHARED = "#pragma omp for schedule(static)"
ACCESS = re.compile(r"\b([A-Za-z_]\w*)\[(?:(t\d+)\])?")  # an array, and the time level where that comes first
WRITTEN = re.compile(r"^\s*([A-Za-z_]\w*)\[(?:(t\d+)\])?[^=\n]*=", re.MULTILINE)
TIMER = re.compile(r"(START|STOP)\(section\d+(,timers)?\)")


def tuned(source: str) -> str:
    """Generated code with its threads arranged for marching."""
    return _one_region(CHUNK.sub("", SCHEDULE.sub("schedule(static)", source)))


def _one_region(source: str) -> str:
    """One parallel region around the loop over time, where all that the loop does is in parallel regions already."""
    lines = source.split("\n")
    loops = [i for i, line in enumerate(lines) if LOOP.fullmatch(line)]
    if len(loops) != 1 or "nowait" in source or "reduction(" in source:
        return source
    start = loops[0]
    try:
        end = lines.index("  }", start)
        body = _unawaited(_joined(lines[start + 2 : end], 4), "    ")
        fork = next(line.strip() for line in lines[start:end] if FORK.fullmatch(line.strip()))
    except (ValueError, StopIteration):
        return source
    # Devito asks this of the calling thread only; a layer's fields decay into denormal numbers, which are slow
    flush = [line for line in lines[:start] if line.startswith("  _MM_SET_")]
    new = ["  " + fork, "  {", *flush, *lines[start : start + 2], *body, "  }", "  }"]
    return "\n".join([*lines[:start], *new, *lines[end + 1 :]])


def _joined(lines: list[str], indent: int) -> list[str]:
    """The body of a loop or branch without forks and timers (which all threads would set); ValueError where it does more."""
    out, i, margin = [], 0, " " * indent
    while i < len(lines):
        line = lines[i].removeprefix(margin)
        if not line.strip() or TIMER.fullmatch(line):
            i += 1
            continue
        close = lines.index(margin + "}", i)
        block = lines[i + 2 : close]
        if FORK.fullmatch(line):
            out += [margin + "{", *block, margin + "}"]
        elif line.startswith("if ("):
            out += [lines[i], margin + "{", *_joined(block, indent + 2), margin + "}"]
        else:
            raise ValueError(line)
        i = close + 1
    return out


def _unawaited(lines: list[str], margin: str) -> list[str]:
    """The nests in a loop's body without barriers between those that touch nothing that the other writes."""
    nests, i = [], 0
    while i < len(lines):
        end = lines.index(margin + "}", i) + 1
        nests.append(lines[i:end])
        i = end
    running: list[list[str]] = []
    for nest, following in zip(nests, nests[1:], strict=False):
        running.append(nest)
        shared = [k for k, line in enumerate(nest) if SHARED in line]
        if nest[0] == margin + "{" and len(shared) == 1 and not any(_meet(one, following) for one in running):
            nest[shared[0]] += " nowait"
        else:
            running.clear()
    return [line for nest in nests for line in nest]


def _meet(one: list[str], other: list[str]) -> bool:
    """Whether a nest touches what another writes; time levels of other names lie apart."""
    texts = ["\n".join(nest) for nest in (one, other)]
    touched, written = [[set(pattern.findall(text)) for text in texts] for pattern in (ACCESS, WRITTEN)]
    pairs = [(w, a) for k in (0, 1) for w in written[k] for a in touched[1 - k]]
    return any(w[0] == a[0] and (w[1] == a[1] or not (w[1] and a[1])) for w, a in pairs)
