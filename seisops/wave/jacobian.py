"""Derivatives of modeling with respect to the medium: the Born operator, and the nonlinear map it linearises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

import seisops._arrays as _arrays
from seisops.elsewhere import sent, there
from seisops.engine import backend
from seisops.errors import ParameterError
from seisops.fusion import FusedSolve, fuse, propagates
from seisops.maps import Arranged, Linearization, Map
from seisops.operators import (
    BlockDiag,
    Embedding,
    HStack,
    LinearOperator,
    Product,
    Propagator,
    Sampler,
    Scaled,
    Sum,
    VStack,
    Zero,
    add,
    compose,
    scale,
)
from seisops.spaces import join, split
from seisops.wave.modeling import Modeling
from seisops.wave.positions import Displaced, Positions, Variable, by_points, placed, steered
from seisops.wave.sampling.imaging import Imaging
from seisops.wave.sampling.perturbation import CONDITIONS, Perturbation
from seisops.wave.storage.policies import Policy, policy
from seisops.wave.storage.pool import Pool
from seisops.wave.storage.room import at_once, foreseen
from seisops.wave.tangent import direction, tangent

__all__ = ["Jacobian", "Parametric"]


class Jacobian(LinearOperator):
    r"""Derivative of ``m -> F(m) q`` at the medium of F: the Born operator; its adjoint is reverse-time migration.

    Differentiating ``A(m) u = q`` gives ``A du = -(dA/dm dm) u``, so ``J = Pr * Ainv * Imaging(u).H`` (Tarantola 1984,
    doi:10.1190/1.1441754). It is derived from the discrete residual, exactly, layer and resampling included.

    Parameters
    ----------
    F : LinearOperator
        A modeling expression such as ``Pr * Ainv * Ps.H`` or ``Pr * Ainv * Pw.H``, or stacks, sums and products of them.
        That of a distributed one is distributed, too.
    q : array_like
        Point or extended source, in the domain of F.
    wrt : str or tuple of str, optional
        Perturbed parameters of the medium: by default ``"m"``, squared slowness. A medium without that, as an elastic one,
        needs ``wrt="vp"``, ``("vp", "vs", "rho")`` or others. The domain is the model's space for one parameter; for
        several it has a leading axis (parameter, x, [y,] z).
    storage : str or Policy, optional
        How the background wavefield is kept; see :mod:`seisops.storage`.
    lags : mapping of str to sequence of int, optional
        Subsurface half offsets h in whole cells, by axis, evenly spaced: with ``lags={"x": range(-10, 11)}`` the domain is
        (lag, x, [y,] z), with lags along several axes it has one for each (after that of several parameters).
    condition : {"correlation", "inverse_scattering"}, optional
        How a perturbation scatters: as the derivative says, or back alone, of an acoustic medium; see Notes.

    Raises
    ------
    ParameterError
        If F contains no solve, solves of different media, or the medium has no such parameter; if lags are not whole
        numbers of cells, do not fit into the grid, or the parameter is averaged or differentiated in the wave equation; if
        the medium or the parameter has no such condition.

    Notes
    -----
    With lags, J.H correlates the background at x - h with the adjoint field at x + h, for squared slowness
    :math:`I(h, x) = -V \sum_t u_{tt}(x - h)\, v(x + h)` (V a cell's volume), and J scatters at x + h what it is at x - h
    (Sava & Vasconcelos 2011, doi:10.1111/j.1365-2478.2010.00888.x; Symes 2008,
    doi:10.1111/j.1365-2478.2008.00698.x). In the right velocities images are at h = 0. Nothing comes from beyond the layer.
    One solve serves all lags.

    Of squared slowness m, or of a velocity, ``"inverse_scattering"`` is the derivative by density in its place, which lets
    waves pass unchanged and reflects at normal incidence as m does: with b = 1 / density

    .. math:: J^H y = -V \frac{b}{2 m} \sum_t \big( m\, u_{tt}\, v + \nabla u \cdot \nabla v \big),

    in which waves that travel the same way cancel, and with them the low wavenumbers of backscattering and of diving waves
    (Op 't Root, Stolk & de Hoop 2012, doi:10.1016/j.matpur.2012.02.009; Whitmore & Crawley 2012,
    doi:10.1190/segam2012-0779.1). At an angle of incidence :math:`\gamma` it reflects :math:`\cos^2\gamma` times as m
    does. Of a medium without density it is that of the same medium with a density of 1.
    """

    symbol = "J"
    parametric = True
    anywhere = True

    def __new__(cls, F: LinearOperator | None = None, *args, **options):
        """What F is distributed over works its Jacobian off, too."""
        return object.__new__(cls) if there(F) is None else sent(cls, F, *args, **options)

    def __init__(
        self,
        F: LinearOperator,
        q: ArrayLike,
        wrt: str | Sequence[str] = "m",
        storage="auto",
        lags: Mapping[str, Sequence[int]] | None = None,
        condition: str = CONDITIONS[0],
    ):
        F = fuse(F)
        by = Perturbation.of(the_modeling(F).domain.grid, names(wrt), lags, condition)
        self._set(F, q, by, policy(storage))

    @classmethod
    def within(cls, pool: Pool, F: LinearOperator, q: ArrayLike, by: Perturbation, storage: Policy) -> Jacobian:
        """A Jacobian whose memory is part of that of others."""
        new = object.__new__(cls)
        new._set(fuse(F), q, by, storage, pool)
        return new

    def _set(self, F, q, by: Perturbation, storage: Policy, pool: Pool | None = None) -> None:
        self.F = F
        self.q = self.F.domain.owned(q)
        self.F.domain.require_finite(self.q, "Jacobian(F, q): q")
        if isinstance(self.q, np.ndarray):
            self.q.flags.writeable = False
        self.by, self.policy = by, storage
        self._pool = pool or storage.pool(device_of(self.F))
        with _arrays.current(self.q):
            (self._operator,) = derivatives(self.scattering, self.q, By(by), self.policy, False, self._pool)[1]
        super().__init__(self._operator.domain, self._operator.range)

    def _fingerprint(self) -> list:
        return [self.F, self.q, self.by, self.policy]

    @property
    def wrt(self) -> tuple[str, ...]:
        """Perturbed parameters."""
        return self.by.wrt

    @property
    def scattering(self) -> LinearOperator:
        """The expression that is differentiated: F, in a medium that has all that scatters."""
        missing = self.by.missing(the_modeling(self.F).medium)

        def supplied(leaf: LinearOperator) -> LinearOperator:
            return leaf.over(leaf.medium.supplied(missing)) if isinstance(leaf, Modeling) else leaf

        return self.F.map_leaves(supplied) if missing else self.F

    @property
    def shots(self):
        return self.F.shots

    @property
    def home(self):
        return self.F.home

    def _about(self) -> dict[str, str]:
        return {**linearised(self.wrt, self.policy), **self.F._about()}

    def select(self, shots):
        return self._of(self.F.select(shots), self.F.domain.take(self.q, shots))

    def at(self, **parameters):
        return self._of(self.F.at(**parameters), self.q)

    def _of(self, F, q) -> Jacobian:
        """The same of something else."""
        new = object.__new__(Jacobian)
        new._set(fuse(F), q, self.by, self.policy)
        return new

    @property
    def held_bytes(self) -> int:
        return self._operator.held_bytes

    @property
    def spare_bytes(self) -> int:
        return self._pool.waiting_bytes

    def forget(self) -> None:
        """Release the backgrounds that are held, which are computed again when needed, and what is spare."""
        self._operator.forget()
        self._pool.clear()

    def illumination(self) -> NDArray:
        r"""Return how much the source illuminates each cell, :math:`\sum_s \int h^2 dt` over all shots.

        h is what a perturbation is multiplied by in the Born source: of squared slowness the second derivative of the
        wavefield in time. It is what the Hessian's diagonal is by the side of the sources (Shin, Jang & Min 2001,
        doi:10.1046/j.1365-2478.2001.00279.x). Where the background is held it costs no solve, else one for each shot.

        Raises
        ------
        ParameterError
            If the derivative is by several parameters, or made of several histories, or has lags.
        """
        if self.by.lags:
            raise ParameterError(
                "illumination is that of one image, and J has lags: take it of a Jacobian without them"
            )
        if len(self.wrt) > 1:
            raise ParameterError(f"illumination is that of one parameter, and J is by {', '.join(self.wrt)}")
        out = np.zeros(self.domain.shape)
        for leaf in self._operator.leaves():
            if isinstance(leaf, Imaging):
                with backend.device(device_of(self.F)).active():
                    found = leaf.energy(the_modeling(self.F).discretisation.padding)
                factor = np.zeros(self.domain.shape)
                for by in leaf.derivatives[self.wrt[0]].values():
                    factor = factor + np.square(by)
                out += factor * found
        step = the_modeling(self.F).discretisation.dt
        return self.domain.asarray(out * step)

    def _apply(self, x: NDArray) -> NDArray:
        return self._operator.matvec(x.ravel())

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self._operator.rmatvec(y.ravel())


class Parametric(Map):
    """The nonlinear map ``(m, q) -> F(m) q``, also of the positions of sources and receivers.

    Parameters
    ----------
    F : LinearOperator
        A modeling expression; its discretisation (time step, layer) stays frozen, so that the map is smooth.
    wrt : str, Positions or tuple of these, optional
        Parameters of the medium, and positions of points, that become arguments, in this order and before q; by default
        ``"m"``, as of :class:`Jacobian`.
    storage : str or Policy, optional
        How the linearisation keeps the forward wavefield; see :mod:`seisops.storage`.

    Notes
    -----
    ``G(m, q)`` costs one solve for each shot; so does ``G.linearize(m, q)``, whose Jacobians by m and by q then cost one
    solve for each product, as long as the forward wavefields fit the policy's budget: that of all linearisations together
    that are open at a time, those of selected shots and of the tangent included. Its ``pullback`` gives the gradients by
    all arguments in one solve. ``G.second`` costs four: the field and its derivative forward, their adjoints backward.
    The derivative by positions of receivers is made of what is heard in the solve forward, ndim traces for each receiver,
    and costs no solve of its own; that by positions of sources is read in the solve backward. Of positions alone,
    ``G.second`` costs six.
    """

    anywhere = True

    def __new__(cls, F: LinearOperator | None = None, *args, **options):
        """What F is distributed over works the map off, too."""
        return object.__new__(cls) if there(F) is None else sent(cls, F, *args, **options)

    def __init__(self, F: LinearOperator, wrt: str | Positions | Sequence[str | Positions] = "m", storage="auto"):
        self.F, self.arguments = steered(fuse(F), arguments(wrt))
        self.wrt = tuple(a for a in self.arguments if isinstance(a, str))
        self.policy = policy(storage)
        modeling = the_modeling(self.F)
        self._pool = self.policy.pool(device_of(self.F))
        if self.wrt:
            modeling.medium.check_wrt(self.wrt)
            if self.policy.reverses:
                modeling.solver.require_reversible()
        model = modeling.domain.model()
        spaces = (model if isinstance(a, str) else a.space for a in self.arguments)
        super().__init__((*spaces, self.F.domain), self.F.range)

    def select(self, shots: Sequence[int]) -> Parametric:
        some = tuple(a if isinstance(a, str) else a.select(shots) for a in self.arguments)
        return Parametric.within(self._pool, self.F.select(shots), some, self.policy)

    @classmethod
    def within(cls, pool: Pool, F: LinearOperator, wrt: str | Sequence[str | Variable], storage: Policy) -> Parametric:
        """A map whose memory is part of that of others."""
        new = cls(F, wrt, storage)
        new._pool = pool
        return new

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Its arguments that are positions of points, or directions in which they move."""
        return tuple(a for a in self.arguments if isinstance(a, Variable))

    def at_once(self, modeling: Modeling, shots: int, beside: int) -> int:
        """Shots for which there is memory at the same time, of some that are linearised one by one.

        Parameters
        ----------
        modeling : Modeling
            Its solve.
        shots : int
        beside : int
            Bytes that each takes besides its background.
        """
        if not self.wrt:
            return shots
        layout = modeling.solver.layout(Perturbation(self.wrt).coefficients(modeling.medium), self.policy.keep)
        with self._pool.books():
            found = list(foreseen(self.policy, layout, self._pool, self._pool.left, shots))
        promised, passing = [b for b, held in found if held], [b for b, held in found if not held]
        return at_once(self._pool, beside, (), promised, passing)

    @property
    def held_bytes(self) -> int:
        """Memory of the forward wavefields that its open linearisations hold."""
        return self._pool.held_bytes

    @property
    def spare_bytes(self) -> int:
        """Memory that it has spare for the next ones."""
        return self._pool.waiting_bytes

    def forget(self) -> None:
        """Release what it could compute again, and what is spare; open linearisations compute theirs again when needed."""
        super().forget()
        self._pool.forget()

    def _check(self, point):
        # what the medium is made of it checks itself, in its units
        self._domain[-1].require_finite(point[-1], f"<{self}>: the source", "mend it, or set it to zero")

    def _fingerprint(self) -> list:
        return [self.F, tuple(a if isinstance(a, str) else a.number for a in self.arguments), self.policy]

    def _about(self) -> dict[str, str]:
        by = tuple(a if isinstance(a, str) else "positions" for a in self.arguments)
        return {**linearised(by, self.policy), **self.F._about()}

    @property
    def home(self) -> tuple[int, int] | None:
        return self.F.home

    def _at(self, values) -> LinearOperator:
        # media and positions are NumPy's: they are looked at, and padded, on the host
        named = list(zip(self.arguments, map(_arrays.to_host, values), strict=True))
        F = placed(self.F, {a.number: x for a, x in named if isinstance(a, Variable)})
        return F.at(**{a: x for a, x in named if isinstance(a, str)}) if self.wrt else F

    def _call(self, *x):
        *values, q = x
        return self._at(values).matvec(q.ravel())

    def _linearize(self, *x):
        *values, q = x
        F = fuse(self._at(values))
        by = By(Perturbation(self.wrt) if self.wrt else None, self.variables)
        value, found = derivatives(F, q, by, self.policy, True, self._pool)
        jacobians: dict[str | Variable, LinearOperator] = dict(zip(self.variables, found[by.first :], strict=True))
        if self.wrt:
            born = found[0]  # not the leaf: expressions around the same solve are to merge with it
            model, alone = the_modeling(F).domain.model(), len(self.wrt) == 1
            for i, name in enumerate(self.wrt):
                jacobians[name] = born if alone else compose(born, Embedding(model, born.domain, i))
        close = found[0].forget if self.wrt else None  # to whoever shares the pool
        return Linearization(value, (*(jacobians[a] for a in self.arguments), F), close=close)

    def jacobian(self, *x: ArrayLike, argument: int = 0) -> LinearOperator:
        """The derivative by one argument at a point: a :class:`Jacobian` for a parameter of the medium, F for the source.

        Parameters
        ----------
        *x : array_like
            One array for every argument.
        argument : int, optional
            The argument; by default the first.
        """
        known = isinstance(argument, int | np.integer) and 0 <= argument < len(self.arguments)
        if not known or not isinstance(self.arguments[argument], str):
            return super().jacobian(*x, argument=argument)
        *values, q = self._point(x)
        return Jacobian(self._at(values), q, self.arguments[argument], self.policy)

    def _make_tangent(self):
        medium = the_modeling(self.F).medium
        shift = 1 + max((v.number for v in self.variables), default=-1)
        directions = tuple(direction(medium, a) if isinstance(a, str) else a.moved(shift) for a in self.arguments)
        F = tangent(self.F, self.wrt, shift)
        inner = Parametric.within(self._pool, F, (*self.arguments, *directions), self.policy)
        n = len(self.arguments)
        parameters, sources = [*range(n), *range(n + 1, 2 * n + 1)], (n, 2 * n + 1)
        return Arranged(inner, self._domain * 2, [*((i,) for i in parameters), sources])


def linearised(wrt: tuple[str, ...], storage: Policy) -> dict[str, str]:
    """What a derivative says of itself."""
    return {"by": ", ".join(wrt), "storage": f"{type(storage).__name__}, {storage.exactness}"}


def names(wrt) -> tuple[str, ...]:
    """`wrt` as a tuple of distinct names."""
    out = (wrt,) if isinstance(wrt, str) else tuple(wrt) if isinstance(wrt, Iterable) else (wrt,)
    if not out or not all(isinstance(n, str) for n in out) or len(set(out)) != len(out):
        raise ParameterError(f"wrt={wrt!r:.80}: give the name of a parameter, or a tuple of different names")
    return out


def arguments(wrt) -> tuple[str | Positions | Variable, ...]:
    """`wrt` of a map as a tuple of distinct names and positions."""
    one = isinstance(wrt, str | Positions) or not isinstance(wrt, Iterable)
    out = (wrt,) if one else tuple(wrt)
    if not out or not all(isinstance(a, str | Positions | Variable) for a in out) or len(set(out)) != len(out):
        raise ParameterError(
            f"wrt={wrt!r:.80}: give the name of a parameter, so.Positions of points, or a tuple of different ones"
        )
    return out


def device_of(op: LinearOperator) -> str:
    """Where the waves of an expression are propagated."""
    return next((leaf.discretisation.device for leaf in op.leaves() if isinstance(leaf, Propagator)), "cpu")


def the_modeling(op: LinearOperator) -> Modeling:
    """The one medium's Modeling in an expression."""
    found = [leaf for leaf in op.leaves() if isinstance(leaf, Propagator)]
    if not found:
        raise ParameterError(f"{op} contains no solve, so it does not depend on a medium")
    first = found[0]
    for other in found[1:]:
        if other.medium is not first.medium and not (
            type(other.medium) is type(first.medium)
            and all(
                np.array_equal(a, other.medium.coefficients().get(n)) for n, a in first.medium.coefficients().items()
            )
        ):
            raise ParameterError(
                "the expression contains solves of different media: differentiate its parts one by one"
            )
    return first


@dataclass(frozen=True)
class By:
    """What expressions are differentiated by: parameters of the medium, all together, and each of some variables."""

    medium: Perturbation | None
    variables: tuple[Variable, ...] = ()

    @property
    def first(self) -> int:
        """The number of the first derivative by a variable."""
        return int(self.medium is not None)


def derivatives(
    op: LinearOperator, x: NDArray, by: By, storage: Policy, run: bool, pool: Pool
) -> tuple[NDArray | None, list[LinearOperator]]:
    """The value of ``op x`` (if `run`) and its derivatives, for a normal form.

    They look at x again: nobody may change it.
    """
    if by.medium:
        modeling = the_modeling(op)
        by.medium.check(modeling.medium)
        if storage.reverses:
            modeling.solver.require_reversible()
    value, found = _derivatives(op, x, by, storage, run, pool)
    return value, [j for j in found if j is not None]


def _derivatives(op, x, by, storage, run, pool):
    """Value and derivatives, of which those that are zero are None."""
    none = [None] * (by.first + len(by.variables))
    if not propagates(op):
        # flat: what stands beside our operators may not know their shapes, or may use the array that it returns again
        return (op.range.owned(op.matvec(x.ravel())) if run else None), none
    if isinstance(op, FusedSolve):
        return _of_solve(op, x, by, storage, run, pool)
    if isinstance(op, Scaled):
        value, found = _derivatives(op.op, x, by, storage, run, pool)
        return (value * value.dtype.type(op.scalar) if run else None), [j and scale(op.scalar, j) for j in found]
    if isinstance(op, Product):
        terms, factors = [[] for _ in none], list(op.children)
        while factors:
            factor = factors.pop()
            more = run or any(propagates(f) for f in factors)
            value, found = _derivatives(factor, x, by, storage, more, pool)
            for those, j in zip(terms, found, strict=True):
                if j is not None:
                    those.append(compose(*factors, j))
            x = value
        return x, [_sum(those) for those in terms]
    if isinstance(op, HStack | BlockDiag):
        parts = split(x, [child.domain for child in op.children])
    else:
        parts = [x] * len(op.children)
    pairs = [_derivatives(child, part, by, storage, run, pool) for child, part in zip(op.children, parts, strict=True)]
    values, found = zip(*pairs, strict=True)
    if isinstance(op, Sum | HStack):
        return (sum(values) if run else None), [_sum(column) for column in zip(*found, strict=True)]
    if isinstance(op, VStack | BlockDiag):
        if by.medium and any(j is None for j, *_ in found):
            raise ParameterError(f"a block of {op} does not depend on the medium: differentiate the others alone")
        columns = [_column(op.children, column) for column in zip(*found, strict=True)]
        return (join(values) if run else None), columns
    raise ParameterError(f"cannot differentiate {op}")


def _sum(terms: Iterable[LinearOperator | None]) -> LinearOperator | None:
    there = [j for j in terms if j is not None]
    return add(*there) if there else None


def _column(blocks: Sequence[LinearOperator], found: Sequence[LinearOperator | None]) -> LinearOperator | None:
    """The column of derivatives of some blocks."""
    domain = next((j.domain for j in found if j is not None), None)
    if domain is None:
        return None
    return VStack([Zero(domain, b.range) if j is None else j for b, j in zip(blocks, found, strict=True)])


def _of_solve(op: FusedSolve, x, by: By, storage, run, pool):
    if op.is_adjoint:
        raise ParameterError(f"{op} is an adjoint solve: differentiate the operator that it is the adjoint of")
    modeling = op.propagator
    heard = [by_points(op.readers, v) for v in by.variables]
    slopes = tuple(s for samplers in heard for _, _, s in samplers)
    imaging = None
    if by.medium:
        source = op.solution().at_source(x)
        imaging = Imaging(modeling.domain, modeling.medium, by.medium, storage, source, pool)
        if by.medium.lags:
            source.layout(imaging.coefficients, imaging.keep)  # refuses what has no lags
    value, traces = None, iter(())
    if run or slopes:
        spaces = [s.range for s in (*op.readers, *slopes)]
        value, *found = split(_with(op, slopes).solution().apply(x, imaging), [op.range, *spaces[len(op.readers) :]])
        traces = iter(found)
    out = [FusedSolve(modeling, op.readers, (imaging,))] if by.medium else []
    given = split(x, [w.range for w in op.writers])
    for variable, samplers in zip(by.variables, heard, strict=True):
        terms = [_at_reader(op, i, Displaced(variable.space, s.range, next(traces), axis)) for i, axis, s in samplers]
        driven = by_points(op.writers, variable)
        if driven:
            strengths = [Displaced(variable.space, s.range, given[i], axis) for i, axis, s in driven]
            solve = FusedSolve(modeling, op.readers, tuple(s for _, _, s in driven))
            solve.said = op.said
            terms.append(compose(solve, VStack(strengths)))
        out.append(_sum(terms))
    return value, out


def _with(op: FusedSolve, more: tuple[Sampler, ...]) -> FusedSolve:
    """A solve in which more is read."""
    if not more:
        return op
    read = FusedSolve(op.propagator, (*op.readers, *more), op.writers)
    read.said = op.said
    return read


def _at_reader(op: FusedSolve, i: int, traces: LinearOperator) -> LinearOperator:
    """What one of the readers of a solve hears, among all that they do."""
    return compose(Embedding.among([r.range for r in op.readers], i), traces) if len(op.readers) > 1 else traces
