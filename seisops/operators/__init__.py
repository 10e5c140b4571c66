"""The algebra: linear operators between spaces, and the expressions they form.

A leaf implements `_apply` and `_apply_adjoint`; everything else follows. Expressions are immutable trees of a
few nodes (`Adjoint`, `Product`, `Sum`, `Scaled`, the stacks). Every operator is a true
`pylops.LinearOperator`.

What all operators share is in `base`, what Python's ``*``, ``+`` and the like mean in `syntax`; nodes are in `expressions`
and `stacks`, leaves in `identity`, `pointwise`, `parts`, `outside` and `wavefield`. `rules` says how imports go one way all
the same.
"""

from seisops.operators.base import LinearOperator
from seisops.operators.budget import require_affordable
from seisops.operators.expressions import Adjoint, Expression, Product, Scaled, Sum, add, compose, scale
from seisops.operators.identity import Identity, Zero
from seisops.operators.outside import External, as_operator
from seisops.operators.parts import Embedding, Gather
from seisops.operators.pointwise import Pointwise
from seisops.operators.stacks import BlockDiag, HStack, Stack, VStack
from seisops.operators.wavefield import Everything, Propagator, Sampler

__all__ = [
    "Adjoint",
    "BlockDiag",
    "Embedding",
    "Everything",
    "Expression",
    "External",
    "Gather",
    "HStack",
    "Identity",
    "LinearOperator",
    "Pointwise",
    "Product",
    "Propagator",
    "Sampler",
    "Scaled",
    "Stack",
    "Sum",
    "VStack",
    "Zero",
    "add",
    "as_operator",
    "compose",
    "require_affordable",
    "scale",
]
