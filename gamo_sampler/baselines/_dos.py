"""DOSClassifier: deep over-sampling in the space of the network's own features."""

from contextlib import nullcontext
from numbers import Integral, Real
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import torch
from imblearn.utils import check_target_type
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from .._base import BaseGAMO
from .._build import check_builders, make_networks
from .._game import make_player
from .._images import as_rows, check_image_shape
from .._losses import CRITERIA, Softmax, classifier_loss
from .._torch import (
    BLOCK,
    Rows,
    Scaling,
    private_random_state,
    process_rng,
    put_to_rest,
    resolve_device,
    run_generator,
    upload,
    workspace,
)
from .._typing import Array, Data, Device, ImageShape, Labels, Seed, Sizes
from .._watch import check_weights
from ._targets import Targets, micro_cluster_loss
from ._training import CONSTRAINTS, epochs, n_rounds


class DOSClassifier(ClassifierMixin, BaseEstimator):
    r"""Classifier trained by deep over-sampling (DOS).

    A feature extractor f and a classifier M learn together [1]_. A row x of a
    smaller class gets r targets, random convex combinations of its own features
    and those of its nearest neighbours in its class,

    .. math:: v = \sum_j w_j f(x_j), \quad w \ge 0, \quad \sum_j w_j = 1.

    M learns on all the targets, under the label of x, and f(x) is drawn to them by
    the micro-cluster loss :math:`\sum_v \rho_v \|f(x) - v\|^2`, in which
    :math:`\rho_v \propto \exp(-\|f(x) - v\|)` sums to 1 over the r targets. Rows of
    the largest class are their own target. Before there are targets, both networks
    learn from the rows alone, so that neighbours are near in features that tell the
    classes apart.

    Parameters
    ----------
    n_neighbors : int, default=5
        Number of neighbours of a row, of the same class; fewer in classes that
        have fewer. They are found anew in every epoch.
    n_targets : "auto" or int, default="auto"
        Number r of targets of a row in the smaller classes, drawn anew in every
        epoch. "auto" is the size of the largest class over that of the row's own,
        rounded, so that all classes weigh the same.
    pretraining : float, default=0.5
        Share of the rounds, rounded down, before there are targets.
    feature_extractor : {"conv"}, callable or None, default=None
        f. None is all of M's layers but the last. "conv" is two convolutions and
        a dense layer for images, the dense layer alone for rows without
        `image_shape`. A callable builds f, as in
        :class:`~gamo_sampler.GAMOClassifier`.
    image_shape : tuple of 3 int, default=None
        (channels, height, width), for rows that are images. Images share one
        scale for all pixels, [-1, 1]; other rows are standardised per column.
    loss : {"least_squares", "cross_entropy", "log_loss"}, default="least_squares"
        M's loss, that of the GAMO classifier.
    hidden_layer_sizes : "auto" or tuple of int, default="auto"
        Widths of M's hidden layers, as in :class:`~gamo_sampler.GAMOClassifier`.
    max_iter : int, default=100
        Number of epochs. An epoch is ceil(n_samples / batch_size) rounds.
    max_rounds : int or None, default=1000
        Greatest number of rounds in the whole fit. None is no limit.
    batch_size : int, default=32
        Rows per round.
    learning_rate : float, default=1e-3
        Adam's step size.
    beta_1 : float, default=0.5
        Adam's decay of the gradient's mean.
    beta_2 : float, default=0.999
        Adam's decay of the squared gradient's mean.
    epsilon : float, default=1e-7
        Adam's constant for numerical stability.
    random_state : int, RandomState instance or None, default=None
        Seeds all draws. None takes a fresh seed each time, and leaves numpy's
        global random state alone.
    device : str or torch.device, default="auto"
        Where to train. "auto" is a GPU where there is one, else the CPU.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_ : int
        Number of features; of an image, all its values.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, where X was a frame with names.
    n_iter_ : int
        Number of epochs.
    feature_extractor_, classifier_ : torch.nn.Module
        The trained networks, on the CPU.
    device_ : torch.device
        Where they were trained.

    See Also
    --------
    gamo_sampler.GAMOClassifier : The same networks in the three-player game.

    Notes
    -----
    That the networks learn from the rows first, and for how long, is this package's
    choice. Neighbours are sought in cached features. A row's own share in its targets,
    on which M learns, is not cached: through it M's loss trains f as well.

    References
    ----------
    .. [1] S. Ando, C. Y. Huang, "Deep Over-sampling Framework for Classifying
       Imbalanced Data", ECML PKDD 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from gamo_sampler.baselines import DOSClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = X[:110], y[:110]  # 50, 50 and 10 rows
    >>> classifier = DOSClassifier(random_state=0).fit(X, y)
    >>> classifier.predict(X[[0, 60, 105]])
    array([0, 1, 2])
    """

    _parameter_constraints: dict = {
        **CONSTRAINTS,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "n_targets": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "pretraining": [Interval(Real, 0, 1, closed="both")],
        "feature_extractor": BaseGAMO._parameter_constraints["feature_extractor"],
    }

    def __init__(
        self,
        *,
        n_neighbors: int = 5,
        n_targets: int | str = "auto",
        pretraining: float = 0.5,
        feature_extractor: Any = None,
        image_shape: ImageShape = None,
        loss: str = "least_squares",
        hidden_layer_sizes: Sizes = "auto",
        max_iter: int = 100,
        max_rounds: int | None = 1000,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        beta_1: float = 0.5,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        random_state: Seed = None,
        device: Device = "auto",
    ) -> None:
        self.n_neighbors = n_neighbors
        self.n_targets = n_targets
        self.pretraining = pretraining
        self.feature_extractor = feature_extractor
        self.image_shape = image_shape
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.max_iter = max_iter
        self.max_rounds = max_rounds
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.random_state = random_state
        self.device = device

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Data, y: Labels) -> Self:
        """Train the networks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, or images as an array of shape (n_samples, height, width),
            (n_samples, channels, height, width) or
            (n_samples, height, width, channels).
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        self : DOSClassifier
            The fitted classifier.
        """
        # A fit that fails leaves the estimator unfitted, never half fitted.
        self._is_trained = False
        X, image_shape = as_rows(X, self.image_shape)
        X, y = validate_data(self, X, y, ensure_min_samples=2)
        check_classification_targets(y)
        check_target_type(y)
        self._image_shape = check_image_shape(image_shape, X.shape[1])
        self.device_ = resolve_device(self.device)
        self.classes_, y = np.unique(y, return_inverse=True)
        rng = run_generator(private_random_state(self.random_state))
        with workspace(), self._users_rng(rng):
            network = self._make_network(X.shape[1], rng)
            self._train(network, X, torch.tensor(y, dtype=torch.long), rng)
        self.feature_extractor_, self.classifier_ = network
        self._is_trained = True
        return self

    def __sklearn_is_fitted__(self):
        return getattr(self, "_is_trained", False)

    def predict_proba(self, X: Data) -> Array:
        """M's probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            As in `fit`.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        check_is_fitted(self)
        X, _ = as_rows(X, self._image_shape)
        X = validate_data(self, X, reset=False)
        blocks = []
        with workspace(), torch.no_grad():
            for block in gen_batches(len(X), BLOCK):
                features = self.feature_extractor_(self._scaling.forward(X[block]))
                blocks.append(self.classifier_(features))
        return torch.cat(blocks).double().softmax(1).numpy()

    def predict(self, X: Data) -> Array:
        """The most probable labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            As in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels.
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(1)]

    def _users_rng(self, rng):
        """torch's process-wide RNG from `rng`, where a user's f may draw."""
        users_own = callable(self.feature_extractor)
        return process_rng(rng) if users_own else nullcontext()

    def _make_network(self, n_features, rng):
        """f and M, those of `GAMOClassifier`, in a row."""
        params = SimpleNamespace(
            feature_extractor=self.feature_extractor,
            hidden_layer_sizes=self.hidden_layer_sizes,
            classifier="auto",
            discriminator=None,
            generator=None,
        )
        check_builders(params)
        n_classes = len(self.classes_)
        f, m, *_ = make_networks(
            params, n_features, self._image_shape, n_classes, [], rng
        ).values()
        return nn.Sequential(m[:-1], m[-1:]) if f is None else nn.Sequential(f, m)

    def _train(self, network, X, y, rng):
        images = self._image_shape is not None
        self._scaling = (Scaling.of_images if images else Scaling.of_rows)(X)
        rows = Rows(X, self._scaling, self.device_)
        targets = Targets(y, self.n_targets, self.n_neighbors, self.device_)
        player = make_player(network, self, self.device_)
        plain = int(self.pretraining * n_rounds(len(y), self))
        for epoch, batches in enumerate(epochs(len(y), self, rng), start=1):
            for index in batches[:plain]:
                player.train()
                player.step(self._plain_loss(network, rows, index, targets))
            if batches[plain:]:
                targets.look(network[0], rows, epoch)
            for index in batches[plain:]:
                player.train()
                player.step(self._loss(network, rows, index, targets, rng))
            plain = max(plain - len(batches), 0)
            check_weights({"network": network}, epoch)
        self.n_iter_ = epoch
        put_to_rest(network)

    def _plain_loss(self, network, rows, index, targets):
        """Mean of M's loss on the rows at `index` themselves."""
        y = upload(targets.y[index], self.device_)
        m = Softmax(network(rows[index]))
        return classifier_loss(CRITERIA[self.loss], m, y).mean()

    def _loss(self, network, rows, index, targets, rng):
        """Mean over the rows at `index`: M's loss on their targets, and f's pull."""
        f, m = network
        features = f(rows[index])  # (b, d)
        v, y, of = targets.draw(index, features, rng)
        m_loss = classifier_loss(CRITERIA[self.loss], Softmax(m(v)), y)
        f_loss = micro_cluster_loss(features, v.detach(), of)
        return (m_loss.sum() + f_loss.sum()) / len(index)
