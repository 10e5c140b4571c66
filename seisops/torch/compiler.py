"""Out of torch.compile's sight.

Beyond its graphs the compiler looks at every Python function that runs while it is on: what a layer calls, what the engine
of autograd calls back, and their NumPy, which it replaces by torch. What torch calls of ours is therefore kept apart.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["apart", "require_no_transform"]


def apart(*names: str) -> Callable[[type], type]:
    """Decorate a class some of whose methods torch.compile leaves alone, together with all that they call.

    That is ``torch.compiler.disable``, as soon as there is a compiler: it takes a second to import.
    """

    def decorate(owner: type) -> type:
        for name in names:
            _keep_apart(owner, name)
        return owner

    return decorate


def _keep_apart(owner: type, name: str) -> None:
    method = owner.__dict__[name]
    kind = staticmethod if isinstance(method, staticmethod) else lambda function: function
    function = getattr(owner, name)

    @functools.wraps(function)
    def run(*args: Any) -> Any:
        if "torch._dynamo" not in sys.modules:
            return function(*args)
        hidden = torch.compiler.disable(function)
        setattr(owner, name, kind(hidden))  # from now on without this frame, which the compiler looks at
        return hidden(*args)

    setattr(owner, name, kind(run))


class _Eagerly(BaseException):
    """Raised only where torch.compile reads code, which then leaves the function around it to Python."""


def require_no_transform() -> None:
    """Break no graph inside torch.func: whoever breaks one there, torch.compile fails as it goes on (seen in 2.13)."""
    if torch.compiler.is_dynamo_compiling() and torch._C._are_functorch_transforms_active():
        raise _Eagerly("a layer under torch.func is not compiled, nor is the function that it is in")
