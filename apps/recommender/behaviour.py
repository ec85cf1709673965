"""Behaviour: what goes with what, told by what users did alone: neighbours, transitions, factors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.recommender.past import Floats, Ints, Met, Past

if TYPE_CHECKING:
    from scipy.sparse import csr_array

WINDOW = 5
"""Events after one that count as following it, each by 1 / distance."""
TOGETHER = 30
"""Events of a history's end of which all pairs go together."""
MET = 10
"""Last events that a candidate is compared with."""
SHRINK = 2.0
"""Meetings by which a conditional share is held back where an item was rarely seen."""
ALL = 200
"""The same of which factors are made."""
HALF = 30
"""Events later at which one weighs half as much in a user's factors."""
ROUNDS = 12
MATRICES = ("next", "follow", "follow_lift", "before", "together")
NAMES = (
    *(f"{matrix}_{how}" for matrix in MATRICES for how in ("last", "last3", "recent", "max")),
    "neighbours_mean",
    "factors_firm",
    "factors_small",
    "factors_large",
)


class Kind(NamedTuple):
    """How factors are fitted: their width, the weight of an event beside that of none, and what holds them back."""

    width: int
    alpha: float
    regularisation: float


KINDS = (Kind(16, 1.0, 10.0), Kind(32, 20.0, 5.0), Kind(96, 20.0, 5.0))
"""Firm ones for a small catalogue that every user has seen much of: there the others learn chance (nDCG .87 against .81
of the oracle's in a simulated shop); wide ones for a large catalogue."""


@dataclass(frozen=True)
class Behaviour:
    """Sparse matrices (items, items), rows the past item, and factors of items.

    next: share of the events right after an item. follow: the same over a window. follow_lift: cosine of following.
    before: cosine in the other direction. together: cosine of standing in one history.
    """

    matrices: dict[str, csr_array]
    factors: tuple[Floats, ...]
    """Of the items, shapes (items, width)."""

    @classmethod
    def fit(cls, past: Past, catalogue: int, *, seed: int) -> Behaviour:
        right_after = _following(past, catalogue, 1)
        follow = _following(past, catalogue, WINDOW)
        seen = _taken(past.last(TOGETHER), catalogue)
        seen.data[:] = 1.0
        together = (seen.T @ seen).tocsr()
        together.setdiag(0)
        together.eliminate_zeros()
        counts = np.asarray(seen.sum(axis=0)).ravel()
        lift = _cosine(follow, np.asarray(follow.sum(axis=1)).ravel(), np.asarray(follow.sum(axis=0)).ravel())
        matrices = {
            "next": _share(right_after),
            "follow": _share(follow),
            "follow_lift": lift,
            "before": lift.T.tocsr(),
            "together": _cosine(together, counts, counts),
        }
        for matrix in matrices.values():
            matrix.sort_indices()
        taken = _taken(past.last(ALL), catalogue)
        return cls(matrices, tuple(_factors(taken, kind, seed) for kind in KINDS))

    def features(self, past: Past, owners: NDArray[Any], candidates: Ints, met: Met | None = None) -> Floats:
        """What `NAMES` says of each candidate for history `owners[i]`, shape (candidates, names)."""
        met = met or Met.of(past, owners, candidates, MET)
        last = (met.ages == 0).astype(np.float32)
        last3 = ((met.ages < 3) / (1.0 + met.ages)).astype(np.float32)
        recent = (0.8**met.ages).astype(np.float32)
        columns = []
        for matrix in self.matrices.values():
            values = looked_up(matrix, met.before, met.candidates)
            columns += [met.total(values, weights) for weights in (last, last3, recent)]
            columns.append(met.largest(values))
        columns.append(met.mean(values))
        for factors, gram, kind in zip(self.factors, self._grams, KINDS, strict=True):
            users = _folded_in(past, factors, gram, kind.alpha)
            at = np.minimum(candidates, len(factors) - 1)
            product = np.einsum("ij,ij->i", users[owners], factors[at])
            columns.append(np.where(candidates < len(factors), product, 0))  # an item added since has no factors
        return np.column_stack(columns).astype(np.float32)

    @cached_property
    def _grams(self) -> tuple[Floats, ...]:
        return tuple(_gram(*each) for each in zip(self.factors, KINDS, strict=True))

    def save(self, folder: Path) -> None:
        from scipy.sparse import save_npz

        for name, matrix in self.matrices.items():
            save_npz(folder / f"{name}.npz", matrix, compressed=False)
        for number, factors in enumerate(self.factors):
            np.save(folder / f"factors-{number}.npy", factors)

    @classmethod
    def load(cls, folder: Path) -> Behaviour:
        from scipy.sparse import csr_array, load_npz

        matrices = {name: csr_array(load_npz(folder / f"{name}.npz")) for name in MATRICES}
        return cls(matrices, tuple(np.load(folder / f"factors-{number}.npy") for number in range(len(KINDS))))


def looked_up(matrix: csr_array, rows: Ints, columns: Ints) -> Floats:
    """Entries of a sparse matrix, 0 where none is kept or an item is newer than the matrix."""
    found = np.zeros(len(rows), np.float32)
    known = np.flatnonzero((rows < matrix.shape[0]) & (columns < matrix.shape[1]))
    if len(known):
        found[known] = np.asarray(matrix[rows[known], columns[known]]).ravel()
    return found


def _following(past: Past, catalogue: int, window: int) -> csr_array:
    """How often an item came within a window after another, by 1 / distance."""
    owners, rows, columns, values = past.owners, [], [], []
    for lag in range(1, window + 1):
        same = owners[lag:] == owners[:-lag]
        rows.append(past.items[:-lag][same])
        columns.append(past.items[lag:][same])
        values.append(np.full(int(same.sum()), 1 / lag, np.float32))
    shape = (catalogue, catalogue)
    found = _matrix(np.concatenate(rows), np.concatenate(columns), np.concatenate(values), shape)
    found.setdiag(0)
    found.eliminate_zeros()
    return found


def _taken(past: Past, catalogue: int) -> csr_array:
    """The weight of each item in each history."""
    return _matrix(past.owners, past.items, np.maximum(past.weights, 0), (len(past), catalogue))


def _matrix(rows: Any, columns: Any, values: Any, shape: tuple[int, int]) -> csr_array:
    from scipy.sparse import coo_array

    return coo_array((values, (rows, columns)), shape=shape, dtype=np.float32).tocsr()


def _share(counts: csr_array) -> csr_array:
    """Each row by its sum, held back by SHRINK."""
    return _scaled(counts, 1 / (np.asarray(counts.sum(axis=1)).ravel() + SHRINK), None)


def _cosine(counts: csr_array, rows: Any, columns: Any) -> csr_array:
    return _scaled(counts, 1 / np.sqrt(rows + SHRINK), 1 / np.sqrt(columns + SHRINK))


def _scaled(counts: csr_array, rows: Any, columns: Any | None) -> csr_array:
    found = counts.copy()
    found.data *= np.repeat(rows, np.diff(found.indptr)).astype(np.float32)
    if columns is not None:
        found.data *= columns[found.indices].astype(np.float32)
    return found


def _factors(taken: csr_array, kind: Kind, seed: int) -> Floats:
    """Item factors of implicit feedback by alternating least squares (Hu, Koren & Volinsky 2008)."""
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    weights = csr_matrix(taken)
    weights.data = 1 + kind.alpha * weights.data
    with threadpool_limits(1, "blas"):  # of its small products many threads make a slow one, as it warns itself
        model = AlternatingLeastSquares(
            factors=kind.width,
            regularization=kind.regularisation,
            alpha=1.0,  # the weights hold it already
            iterations=ROUNDS,
            random_state=seed,
            num_threads=1,
        )
        model.fit(weights, show_progress=False)
    return np.asarray(model.item_factors, dtype=np.float32)


def _gram(factors: Floats, kind: Kind) -> Floats:
    return (factors.T @ factors + kind.regularisation * np.eye(kind.width)).astype(np.float32)


def _folded_in(past: Past, factors: Floats, gram: Floats, alpha: float) -> Floats:
    """User factors that fit the histories, item factors held fixed: the users' half step of the same method, in which
    older events weigh less, since tastes drift."""
    width = factors.shape[1]
    past = past.last(ALL)
    known = past.items < len(factors)
    items, owners, weights = past.items[known], past.owners[known], np.maximum(past.weights[known], 0)
    fresh = (0.5 ** (past.ages[known] / HALF)).astype(np.float32)
    found = np.zeros((len(past), width), np.float32)
    bounds = np.searchsorted(owners, np.arange(len(past) + 1))
    for first in range(0, len(past), 2048):
        end = min(first + 2048, len(past))
        mine = slice(bounds[first], bounds[end])
        own = factors[items[mine]]
        shape = (end - first, len(own))
        at = _matrix(owners[mine] - first, np.arange(len(own)), alpha * weights[mine] * fresh[mine], shape)
        sums = (
            _matrix(owners[mine] - first, np.arange(len(own)), fresh[mine] * (1 + alpha * weights[mine]), shape) @ own
        )
        outer = at @ (own[:, :, None] * own[:, None, :]).reshape(len(own), width * width)
        left = gram + outer.reshape(end - first, width, width)
        found[first:end] = np.linalg.solve(left, sums[:, :, None])[..., 0]
    return found
