r"""How the weights of an interpolation change as its points move: derivatives of windowed sincs, of any order.

A node at distance x cells has the weight :math:`c(x) = W(x) S(x)`, where, with :math:`s = 1 - (x/a)^2`,

.. math:: S(x) = \frac{\sin \pi x}{\pi x} = \int_0^1 \cos(\pi x t)\,dt, \qquad
    W(x) = \frac{I_0(b \sqrt s)}{I_0(b)} = \frac{{}_0F_1(; 1; b^2 s / 4)}{I_0(b)}

for half a window of a nodes. Both are entire functions of x, also where the formulas in common use divide by zero: in the
node and at the ends of the window. The derivative of the integral is that of its integrand, that of
:math:`{}_0F_1(; n; z)` is :math:`{}_0F_1(; n + 1; z) / n`, and the chain rule with a quadratic s is a finite sum.

On a node the window moves on, by a node that has weight zero there, but not derivative zero: to either side the weights have
different derivatives, by W(a) / a = 2.8e-3 per cell in the nodes at the ends. Half of both is what differences to
either side tend to, and by symmetry exact for what is linear.
"""

import math

import numpy as np
from scipy.special import hyp0f1, i0

#: Nodes and weights of Gauss's quadrature on [0, 1]: exact to rounding for cosines of up to five periods.
AT, PART = (a / 2 for a in np.polynomial.legendre.leggauss(40))
AT = AT + 0.5


def windowed_sincs(distance, half, shape, order):
    """The derivative of a sinc in a Kaiser window with respect to the position of a point.

    Parameters
    ----------
    distance : ndarray
        Cells from the points to nodes, at most `half`.
    half : float
        Nodes on each side.
    shape : float
        Of the window, b.
    order : int
        Of the derivative.
    """
    leibniz = (
        math.comb(order, n) * _sinc(distance, n) * _window(distance, half, shape, order - n) for n in range(order + 1)
    )
    return (-1) ** order * sum(leibniz)


def _sinc(x, order):
    phase = np.pi * x[..., None] * AT + order * np.pi / 2
    return (np.cos(phase) * (np.pi * AT) ** order) @ PART


def _window(x, half, shape, order):
    z, out = shape**2 / 4, np.zeros(x.shape)
    slope, curvature = -2 * x / half**2, -1 / half**2
    for n in range(order // 2 + 1):
        by = order - n  # derivatives by s
        outer = z**by / math.factorial(by) * hyp0f1(by + 1, z * (1 - (x / half) ** 2))
        ways = math.factorial(order) / (math.factorial(n) * math.factorial(order - 2 * n))
        out += ways * slope ** (order - 2 * n) * curvature**n * outer
    return out / i0(shape)
