"""Fitted games in files: what is written, and whether what is read fits together."""

import math

import numpy as np
import torch

from ._build import NETWORKS, alike, filled, make_networks
from ._draws import Lots
from ._images import check_image_shape
from ._past import check_kept
from ._saving import SaveMixin
from ._stored import Weights, require
from ._summary import check_summary
from ._torch import Scaling, put_to_rest, workspace
from ._watch import check_weights

# Attributes that not every fitted estimator has.
NOT_ALWAYS = {"feature_names_in_", "provenance_", "_low", "_high", "_summary"}


class RestoringMixin(SaveMixin):
    """Saving a game, and making its networks again."""

    _fitted_kinds: dict = {
        "classes_": np.ndarray,
        "n_features_in_": int,
        "feature_names_in_": np.ndarray,
        "n_iter_": int,
        "n_rounds_": int,
        "history_": list,
        "device_": torch.device,
        **{f"{name}_": Weights | None for name in NETWORKS},
        "_is_trained": bool,
        "_image_shape": tuple | None,
        "_scaling": Scaling,
        "_n_features_out": int,
        "_lots": Lots,
        "_idle_cells": list,
        "_deficit": np.ndarray,
        "_pool": torch.Tensor | None,
        "_low": torch.Tensor,
        "_high": torch.Tensor,
        "_members": np.ndarray,
        "_n_samples": int,
        "_random_state": np.random.RandomState,
        "_players": dict,
        "_summary": dict,
    }

    def _check_saved(self):
        if not self._has_networks():
            return
        for name, network in self._made_again().items():
            fitted = getattr(self, f"{name}_")
            unused = self._pool is None and name in ("generator", "discriminator")
            if not alike(network, fitted) and not (unused and fitted is None):
                raise ValueError(
                    f"{name}_ is not what the estimator's parameters make: they were "
                    "changed after fit. Set them back, or fit again."
                )

    def _restore(self):
        if not self._has_networks():
            return
        self._check_restored()
        self._check_counts()
        weights = {name: getattr(self, f"{name}_") for name in NETWORKS}
        n_tensors = sum(len(given) for given in weights.values() if given)
        fits = np.size(self.hidden_layer_sizes) <= n_tensors
        require(fits, "hidden_layer_sizes has more layers than there are weights.")
        for name, network in self._made_again().items():
            given = weights[name] is not None
            network = filled(network, weights[name], f"{name}_") if given else None
            setattr(self, f"{name}_", network)
        check_weights(self._networks(), self.n_iter_)
        check_kept(self._players, self._networks())
        put_to_rest(*self._networks().values())
        if self._pool is not None:
            self.generator_.locate(self._pool_in_game())

    def _has_networks(self):
        trained = getattr(self, "_is_trained", False)
        return trained and self.classifier_ is not None

    def _cells(self):
        """Rows of each cell that G was made for, in the last fit or one before it."""
        return self._lots.cells.tolist() or self._idle_cells

    def _made_again(self):
        """Networks as those of the fit were, by name; default ones without memory."""
        shape, center = self._image_shape, self._scaling.center
        n_features = len(center) if shape is None else math.prod(shape)
        # Where no class ever was generated, D does not depend on how many rows one has.
        sizes, n_classes = self._cells() or [1], len(self.classes_)
        users_rng = self._users_rng(torch.Generator().manual_seed(0))
        with workspace(), users_rng, torch.device("meta"):
            return make_networks(self, n_features, shape, n_classes, sizes, None)

    def _check_restored(self):
        """That the parts of what was read fit together."""
        missing = sorted(set(self._fitted_kinds) - set(vars(self)) - NOT_ALWAYS)
        require(not missing, f"there is no {', '.join(missing)}.")
        c, lots = len(self.classes_), self._lots
        require(self.classes_.ndim == 1 and c, "classes_ is not a list of labels.")
        fits = (lots.n_classes, lots.latent_dim) == (c, self.latent_dim)
        require(fits, "classes_ and latent_dim are not those of the draws.")
        if self._image_shape is not None:
            require(
                len(self._image_shape) == 3, "the shape of images has not three parts."
            )
            check_image_shape(self._image_shape, self.n_features_in_)
        require(
            np.ndim(self._scaling.center) == (self._image_shape is None),
            "the scaling is not that of the rows.",
        )
        check_summary(getattr(self, "_summary", {}), c)
        if self._pool is not None:
            self._check_pool()

    def _check_counts(self):
        """That history and counts are those of a game."""
        n, records = self.n_iter_, self.history_
        fits = len(records) == n <= self.n_rounds_
        fits = fits and all(type(record) is dict for record in records)
        fits = fits and [r.get("epoch") for r in records] == list(range(1, n + 1))
        require(fits, "the history is not of so many epochs.")
        fits = all(
            type(k) is str and _is_measure(v) for r in records for k, v in r.items()
        )
        require(fits, "the history holds something else than numbers by name.")
        fits = all(type(cell) is int and cell > 0 for cell in self._idle_cells)
        require(fits, "the numbers of rows that G was made for are none.")

    def _check_pool(self):
        """The same for the rows that G mixes."""
        g, n, d = len(self._lots.sizes), len(self._members), self._n_features_out
        pool, ends, deficit = self._pool, (self._low, self._high), self._deficit
        fits = pool.shape == (n, d) and self._lots.sizes.sum() == n
        fits = fits and all(t.shape == (g, d) and t.dtype == pool.dtype for t in ends)
        require(fits, "the rows that are mixed differ in number or size.")
        require(pool.isfinite().all(), "the rows that are mixed are not finite.")
        at = self._members
        fits = at.shape == (n,) and at.dtype.kind == "i"
        fits = fits and at.min() >= 0 and at.max() < self._n_samples
        require(fits, "the positions of the rows that are mixed are not in X.")
        fits = deficit.shape == (g,) and np.isfinite(deficit).all()
        fits = fits and deficit.min() >= 0 and deficit.any()
        require(fits, "the numbers of rows to generate are not from 0 on.")

    def _pool_in_game(self):
        """The rows that G mixes as they are in the game."""
        if self.feature_extractor_ is not None:
            return self._pool
        return self._scaling.forward(self._pool.numpy())


def _is_measure(value):
    """Whether it is a number, or a number for each of some classes."""
    values = value if type(value) is list else [value]
    return all(type(number) in (int, float) for number in values)
