"""What a fitted game gives: rows by its generator, features, and probabilities."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, get_index_dtype, vstack
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state, gen_batches

from ._frames import part, stacked
from ._images import as_read
from ._lazy import check_rows
from ._memory import (
    check_memory,
    in_blocks,
    result_part,
    weights_part,
)
from ._networks import ConvexGenerator
from ._torch import (
    block_size,
    run_generator,
    workspace,
)
from ._typing import Array, Data, Seed, Wanted
from ._watch import (
    check_finite,
)

CHUNK_VALUES = 2**18


class GenerationMixin:
    """Rows by the generator of a fitted game, and outputs of its networks."""

    feature_extractor: Any
    feature_extractor_: Any

    def __sklearn_is_fitted__(self):
        return getattr(self, "_is_trained", False)

    def sample(self, n: Wanted, *, random_state: Seed = None) -> tuple[Any, ...]:
        """Generate rows with the fitted generator, without training again.

        Parameters
        ----------
        n : int or dict
            As an int, the number of rows in all; their classes are drawn as in
            training, class i with probability proportional to P_c - P_i. As a
            dict, the number of rows per class label.
        random_state : int, RandomState instance or None, default=None
            None goes on with the random state of the fit, so that every call
            gives new rows; an int gives the same rows at every call.

        Returns
        -------
        X : ndarray of shape (n, n_features)
            Generated rows in the space of :meth:`extract_features`, by ascending
            class.
        y : ndarray of shape (n,)
            Their labels.
        """
        counts, random_state = self._order(n, random_state)
        rows = self._generate(counts, random_state)
        return rows, np.repeat(self._generated_classes(), counts)

    def _order(self, n, random_state):
        """Rows per generated class, and the random state, from what `sample` is given.

        None goes on with the random state of the fit.
        """
        self._check_trained()
        if self._pool is None:
            raise ValueError("Nothing to sample: no class was generated in fit.")
        random_state = check_random_state(
            self._random_state if random_state is None else random_state
        )
        return self._counts(n, random_state), random_state

    def extract_features(self, X: Data) -> Array:
        """Map rows into the space in which rows are generated.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            As in `fit`.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
            F(x); the rows themselves where there is no feature extractor.
        """
        self._check_trained()
        X = self._check_rows(X)
        if self.feature_extractor is None:
            return part(X, slice(None))
        return self._through(X, self.feature_extractor_).numpy()

    def _check_trained(self):
        if not getattr(self, "_is_trained", False):
            raise NotFittedError(
                f"This {type(self).__name__} has not been trained yet."
            )

    def _check_rows(self, X):
        X, _, ordered = as_read(X, self._image_shape)
        X = check_rows(self, X, reset=False)
        return ordered(X) if ordered else X

    def _through(self, X, *networks):
        """Rows X (n, n_features), scaled, through the networks, on the CPU."""
        device = next(self.classifier_.parameters()).device

        def mapped(block):
            x = self._scaling.forward(X[block]).to(device)
            for network in networks:
                x = network(x)
            return x.cpu()

        with workspace(), torch.no_grad():
            blocks = in_blocks(mapped, len(X), block_size(X.shape[1]))
            return torch.cat(list(blocks))

    def _probabilities(self, X):
        """M(x), (n, n_classes), float64."""
        scores = self._through(X, *self._predictors())
        return scores.double().softmax(1).numpy()

    def _predictors(self):
        """F, where there is one, and M."""
        networks = [self.feature_extractor_, self.classifier_]
        return [n for n in networks if n is not None]

    def _counts(self, n, random_state):
        """Rows per generated class from `sample`'s n."""
        if not isinstance(n, Mapping):
            _check_count(n)
            return random_state.multinomial(n, self._deficit / self._deficit.sum())
        if not n:
            raise ValueError("n asks for no rows: it is an empty dict.")
        labels = self._generated_classes()
        # As numpy scalars: `tolist` makes other keys of dates.
        unknown = [label for label in n if label not in list(labels)]
        if unknown:
            raise ValueError(
                f"n asks for rows of {unknown}, but the generated classes are "
                f"{labels.tolist()}."
            )
        for count in n.values():
            _check_count(count)
        return np.array([n.get(label, 0) for label in labels])

    def _generated_classes(self):
        return self.classes_[self._lots.classes.numpy()]

    def _generate(self, counts, random_state):
        """Rows of the generated classes, (sum of counts, d), class by class."""
        check_memory("Generating rows", [self._part_of_rows(counts)])
        rng = run_generator(random_state)
        return stacked((rows for rows, *_ in self._blocks(counts, rng)), sum(counts))

    def _part_of_rows(self, counts):
        row_bytes = self._pool.shape[1] * self._pool.element_size()
        return result_part(int(sum(counts)), row_bytes)

    def _part_of_weights(self, counts):
        sizes = self._lots.sizes.tolist()
        return weights_part(self._n_weights(counts, sizes))

    def _n_weights(self, counts, sizes):
        """Weights of so many rows of each class, made of one of so many."""
        if self.generator != "convex":
            return 0
        most = 2 if self.neighborhood is not None else max(sizes)
        most = min(most, self.max_sources or most)
        return sum(int(n) * min(most, m) for n, m in zip(counts, sizes, strict=True))

    def _generate_with_weights(self, counts, random_state, collect=stacked):
        """What `collect` makes of the same rows, and their weights on those of X.

        The weights are sparse, and None where the generator is not convex.
        """
        parts = [self._part_of_rows(counts), self._part_of_weights(counts)]
        check_memory("Generating rows", parts)
        weights = []

        def kept(blocks):
            for rows, w, draw in blocks:
                if w is not None:
                    matrix = self.generator_.igu.matrix(w, draw)
                    weights.append(self._on_samples(matrix))
                yield rows

        rng = run_generator(random_state)
        with workspace(), torch.no_grad():
            rows = collect(kept(self._blocks(counts, rng)), sum(counts))
        return rows, vstack(weights, "csr") if weights else None

    def _blocks(self, counts, rng):
        """(rows, their weights or None, the draw that they come from), in blocks.

        Whoever asks for the next one finds torch in between as they left it.
        """
        made = self._made_blocks(counts, rng)
        while True:
            with workspace(), self._users_rng(rng), torch.no_grad():
                block = next(made, None)
            if block is None:
                return
            yield block

    def _made_blocks(self, counts, rng):
        """The same, in torch as it stands."""
        convex = isinstance(self.generator_, ConvexGenerator)
        limits, asked = self._limits(), torch.tensor(counts) > 0
        self._check_limits(self._lots.classes[asked], self._lots.smallest[asked])
        for k, draw in self._draws(counts, rng):
            if not convex:
                yield self._in_units(self.generator_(draw, self._pool)), None, draw
                continue
            weights = self.generator_.pruned_weights(draw)
            if limits:
                weights = self.generator_.igu.limited(weights, limits)
            yield self._mixture(weights, draw, k, rng), weights, draw

    def _mixture(self, weights, draw, k, rng):
        """Rows of classes k from weights on the pool."""
        rows = self.generator_.igu.mix(weights, draw, self._pool)
        # A sum of products can pass the extremes by its last bit.
        return self._in_units(rows.clamp_(self._low[k], self._high[k]))

    def _in_units(self, rows):
        """Generated rows as an array, in the units of X where they are rows of X."""
        check_finite({"generator": rows.isfinite().all()}, self.n_iter_)
        convex = isinstance(self.generator_, ConvexGenerator)
        if convex or self.feature_extractor_ is not None:
            return rows.numpy()
        return self._scaling.inverse(rows)

    def _on_samples(self, weights):
        """Sparse weights on the rows that `_pool` holds, as weights on those of X."""
        shape = weights.shape[0], self._n_samples
        narrow = get_index_dtype(maxval=max(*shape, weights.nnz))
        members = self._members[weights.indices].astype(narrow)
        return csr_array(
            (weights.data, members, weights.indptr.astype(narrow)), shape=shape
        )

    def _draws(self, counts, rng):
        """Class positions and draws for so many rows each, in blocks of few values."""
        width = max(self._pool.shape[1], self.generator_.n_sources)
        ends = torch.tensor(counts).cumsum(0)
        for block in gen_batches(int(ends[-1]), max(1, CHUNK_VALUES // width)):
            at = torch.arange(block.start, block.stop)
            k = torch.searchsorted(ends, at, right=True)
            yield k, self._lots.of(k, rng)


def _check_count(n):
    if not isinstance(n, Integral) or n < 1:
        raise ValueError(f"n must be a positive integer, or a dict of them, got {n!r}.")
    if n >= 2**63:
        raise MemoryError(f"n={n} rows are more than any memory holds; ask for fewer.")
