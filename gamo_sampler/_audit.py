"""How near generated rows are to copies of real ones."""

from html import escape

import numpy as np
from sklearn.neighbors import NearestNeighbors

N_COMPARED = 1000
COPY_WEIGHT = 0.95
COLUMNS = {
    "n_real": "real rows",
    "n_generated": "generated rows",
    "largest_weight": "mean largest weight",
    "effective_sources": "mean effective number of sources",
    "near_copies": "share of near copies",
    "distance_ratio": "distance to the nearest real row",
    "in_hull": "all in the hull",
}


class Audit(dict):
    """A dict of measures by class label, which prints as a table, in notebooks too."""

    def __str__(self):
        lines = [["class", *COLUMNS.values()]]
        lines += [[str(label), *_written(own)] for label, own in self.items()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.rjust(n) for cell, n in zip(line, widths, strict=True))
            for line in lines
        )

    def _repr_html_(self):
        cells = ["".join(f"<th>{title}</th>" for title in ("class", *COLUMNS.values()))]
        for label, own in self.items():
            values = [escape(str(label)), *_written(own)]
            cells.append("".join(f"<td>{value}</td>" for value in values))
        return f"<table>{''.join(f'<tr>{line}</tr>' for line in cells)}</table>"


def audit_class(weights, rows):
    """Measures of the generated rows of one class.

    Parameters
    ----------
    weights : csr_array of shape (n_generated, n_real)
        Their weights on the real rows of the class alone.
    rows : ndarray of shape (n_real, d)
        Those, in the units of the game.
    """
    largest = weights.max(axis=1).toarray().ravel()
    sums, squares = weights.sum(axis=1), (weights**2).sum(axis=1)
    n_generated, n_real = weights.shape
    return {
        "n_real": n_real,
        "n_generated": n_generated,
        "largest_weight": float(largest.mean()),
        "effective_sources": float((1 / squares[squares > 0]).mean()),
        "near_copies": float((largest > COPY_WEIGHT).mean()),
        "distance_ratio": _distance_ratio(
            weights[evenly(n_generated, N_COMPARED)] @ rows, rows
        ),
        "in_hull": bool((weights.data >= 0).all() and np.allclose(sums, 1, rtol=1e-9)),
    }


def _distance_ratio(generated, rows):
    """Mean distance to the nearest real row, over that between real rows."""
    if (rows == rows[0]).all():
        return float("nan")
    search = NearestNeighbors().fit(rows)
    own = search.kneighbors(_some(rows), n_neighbors=2)[0][:, 1].mean()
    found = search.kneighbors(generated, n_neighbors=1)[0].mean()
    return float(found / own) if own else float("inf")


def _some(rows):
    return rows[evenly(rows.shape[0], N_COMPARED)]


def evenly(n, most):
    """At most so many positions of n, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(int))


def _written(own):
    return [
        f"{value:.3g}" if isinstance(value, float) else str(value)
        for value in own.values()
    ]
