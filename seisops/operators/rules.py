"""What operators ask for before it can be defined.

The syntax of operators makes nodes, and nodes are operators; what is applied is the normal form, whose rules are about
nodes. So that imports go one way, each of these functions is declared here, and defined in its home::

    @rules.compose.define
    def compose(*factors): ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["Rule", "add", "adjoint", "as_operator", "compose", "identity", "normal_form", "scale"]

Definition = TypeVar("Definition", bound=Callable[..., Any])


class Rule:
    """A function that is declared before it is defined.

    Parameters
    ----------
    home : str
        The module that defines it; nobody else may.
    """

    def __init__(self, home: str) -> None:
        self.home = home
        self._definition: Callable[..., Any] | None = None

    def define(self, definition: Definition) -> Definition:
        """Say what it is; a decorator, which returns what it is given."""
        if definition.__module__ != self.home:
            raise RuntimeError(f"this rule is defined in {self.home}, not in {definition.__module__}")
        self._definition = definition
        return definition

    def __call__(self, *args: Any) -> Any:
        if self._definition is None:
            raise RuntimeError(f"this rule is defined in {self.home}, which was not imported yet")
        return self._definition(*args)


#: The adjoint of an operator that has none of its own: ``A.H``.
adjoint = Rule("seisops.operators.expressions")
#: The product of operators: ``A * B``.
compose = Rule("seisops.operators.expressions")
#: An operator times a number: ``2.0 * A``.
scale = Rule("seisops.operators.expressions")
#: The sum of operators: ``A + B``.
add = Rule("seisops.operators.expressions")
#: The identity of a space: ``A ** 0``.
identity = Rule("seisops.operators.identity")
#: An operator of any kind, such as one of PyLops, as one of ours.
as_operator = Rule("seisops.operators.outside")
#: The equal expression that is applied in place of one.
normal_form = Rule("seisops.fusion")
