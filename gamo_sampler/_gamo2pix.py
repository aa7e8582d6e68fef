"""GAMO2Pix: images from the rows that the game generates in F's space."""

from copy import deepcopy
from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from imblearn.utils import check_sampling_strategy
from scipy.sparse import csr_array
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ._bar import tqdm
from ._build import alike, filled
from ._classifier import GAMOClassifier
from ._frames import fill
from ._game import Player
from ._images import as_rows
from ._inner import (
    CONSTRAINTS,
    InnerSummaryMixin,
    comes_fitted,
    fitted_game,
    given_game,
)
from ._losses import divergence, reconstruction_loss
from ._memory import FLOAT, check_memory, device_memory, result_part
from ._networks import ConvexGenerator, Inverse, conv_pixels, mlp
from ._oversampler import NewRowsSampler
from ._provenance import ProvenanceMixin, heaviest
from ._saving import SaveMixin, saved
from ._stored import require
from ._strategy import warn_of_balance, warn_of_copies
from ._torch import (
    Rows,
    block_size,
    private_random_state,
    put_to_rest,
    resolve_device,
    run_generator,
    upload,
    workspace,
)
from ._typing import Array, Data, Device, ImageShape, Labels, Seed, Strategy, Wanted
from ._watch import check_weights

ROUNDS_PER_EPOCH = 100


@saved
class GAMO2Pix(SaveMixin, InnerSummaryMixin, ProvenanceMixin, NewRowsSampler):
    r"""Over-sample images by turning generated features back into pictures.

    The convolutional game of :class:`GAMOClassifier` generates rows of F's space.
    GAMO2pix (section 5 of [1]_) learns the way back: with F fixed, dense layers learn
    mean :math:`\mu` and log-variance :math:`\log \sigma^2` of a latent z from F(x), and
    a decoder turns :math:`z \sim N(\mu, \sigma)` into an image, by the loss

    .. math:: \|x - \mathrm{dec}(z)\|^2 + KL(N(\mu, \sigma) \| N(0, I)).

    A generated image starts from convex weights w on rows of its class, of which
    :math:`x_j` has the greatest:

    .. math::

        & \mathrm{dec}(z | w^T F(X_i)) \\
        & + \mathrm{detail} \cdot (x_j - \mathrm{dec}(\mu(F(x_j)))).

    The first term is the paper's. It is blurred; the second gives back what the decoder
    leaves out of the nearest of the real images.

    Parameters
    ----------
    classifier : GAMOClassifier or FrozenEstimator, default=None
        The game that F and the convex generator are trained in; a clone of it is
        fitted. None is a ``GAMOClassifier(feature_extractor="conv")``. A fitted one
        that is to be used as it is comes with ``prefit=True``, or in a
        :class:`sklearn.frozen.FrozenEstimator`; `fit` then takes the rows that it was
        fitted to and no others, so that it is of no use in cross-validation.
    decoder : {"shared", "per_class"}, default="shared"
        One decoder for all classes, which is told the label, so that a small class
        learns from the others what images look like; or, as published, one per class.
    detail : float, default=1.0
        Share of the source image's own detail in a generated image. 0 is the paper's
        decoded image.
    latent_dim : int, default=100
        Length of z.
    max_rounds : int, default=5000
        Minibatches that the shared decoder learns from, with rows of all classes alike.
        Those of one class each have equal parts of it, rounded up.
    batch_size : int, default=32
        Rows of a minibatch.
    learning_rate : float, default=1e-3
        Adam's first step size; it falls to 0 along a cosine.
    image_shape : tuple of 3 int, default=None
        (channels, height, width), for flat rows that are images. None takes the shape
        from images given as such. Rows that are no images get dense decoders.
    prefit : bool, default=False
        Whether `classifier` is fitted already, to the rows that `fit` is given.
    sampling_strategy : float, str, dict or callable, default="auto"
        Which classes are over-sampled, and to which size, as in imbalanced-learn. The
        game is trained to generate the same ones; a fitted game has to generate them.
    verbose : int, default=0
        1 shows a progress bar of the decoders. The game has a `verbose` of its own.
    random_state : int, RandomState instance or None, default=None
        Seeds the decoders and, where it is not fitted already, the game. None takes a
        fresh seed each time, and leaves numpy's global random state alone.
    device : str or torch.device, default="auto"
        Where the decoders are trained, and the game where `classifier` is None. "auto"
        is a GPU where there is one, else the CPU.

    Attributes
    ----------
    classifier_ : GAMOClassifier
        The fitted game.
    decoders_ : list of torch.nn.Module
        The trained network, or one per class in the order of `classes_`, on the CPU.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    sampling_strategy_ : dict
        Number of images that `fit_resample` makes, per label.
    provenance_ : scipy.sparse.csr_array of shape (n_generated, n_samples)
        Convex weights of the images that `fit_resample` made, on the rows of X. Only
        after `fit_resample`.
    history_ : list of dict
        Mean reconstruction error and divergence of every 100 minibatches, an epoch, of
        each decoder.
    device_ : torch.device
        Where the decoders were trained.
    n_features_in_ : int
        Number of values of an image.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, where X was a frame with names.

    See Also
    --------
    GAMOSampler : Generates flat images directly, and rows of F's space.
    GAMOFeatures : F as a transformer.

    Notes
    -----
    Generated images stay within the range of the pixels of X. Integer images keep their
    type, rounded to the nearest integer.

    References
    ----------
    .. [1] S. S. Mullick, S. Datta, S. Das, "Generative Adversarial Minority
       Oversampling", ICCV 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from gamo_sampler import GAMO2Pix
    >>> X, y = load_digits(n_class=2, return_X_y=True)
    >>> X, y = X[:60].reshape(-1, 8, 8), y[:60] * (y[:60].cumsum() < 9)
    >>> sampler = GAMO2Pix(max_rounds=200, random_state=0)
    >>> X_resampled, y_resampled = sampler.fit_resample(X, y)
    >>> X_resampled.shape
    (104, 8, 8)
    >>> images, labels = sampler.sample({1: 3})
    >>> images.shape, labels
    ((3, 8, 8), array([1, 1, 1]))
    """

    _parameter_constraints: dict = {
        **NewRowsSampler._parameter_constraints,
        **CONSTRAINTS,
        "decoder": [StrOptions({"shared", "per_class"})],
        "detail": [Interval(Real, 0, 1, closed="both")],
        "latent_dim": [Interval(Integral, 1, None, closed="left")],
        "max_rounds": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "verbose": ["verbose"],
        "device": [str, torch.device],
    }
    _fitted_kinds: dict = {
        "classifier_": GAMOClassifier,
        "decoders_": list,
        "classes_": np.ndarray,
        "sampling_strategy_": dict,
        "provenance_": csr_array,
        "history_": list,
        "device_": torch.device,
        "n_features_in_": int,
        "feature_names_in_": np.ndarray,
        "_random_state": np.random.RandomState,
        "_image_shape": tuple | None,
        "_layout": tuple | None,
        "_members": np.ndarray,
        "_sources": tuple,
        "_range": tuple,
    }

    def __init__(
        self,
        classifier: Any = None,
        *,
        decoder: str = "shared",
        detail: float = 1.0,
        latent_dim: int = 100,
        max_rounds: int = 5000,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        image_shape: ImageShape = None,
        prefit: bool = False,
        sampling_strategy: Strategy = "auto",
        verbose: int = 0,
        random_state: Seed = None,
        device: Device = "auto",
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy, image_shape=image_shape)
        self.classifier = classifier
        self.decoder = decoder
        self.detail = detail
        self.latent_dim = latent_dim
        self.max_rounds = max_rounds
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.prefit = prefit
        self.verbose = verbose
        self.random_state = random_state
        self.device = device

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Data, y: Labels) -> Self:
        """Train the game, where it does not come fitted, and the decoders.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            As in `fit_resample`.
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        self : GAMO2Pix
            The fitted sampler.
        """
        check_classification_targets(y)
        X, y, _ = self._check_X_y(X, y)
        self.sampling_strategy_ = check_sampling_strategy(
            self.sampling_strategy, y, self._sampling_type
        )
        self._train(X, y)
        return self

    def sample(
        self, n: Wanted, *, random_state: Seed = None, return_weights: bool = False
    ) -> tuple[Any, ...]:
        """Generate more images, without training again.

        Parameters
        ----------
        n : int or dict
            As an int, the number of images in all; their classes are drawn as in the
            game, class i with probability proportional to P_c - P_i. As a dict, the
            number of images per class label.
        random_state : int, RandomState instance or None, default=None
            None goes on with the random state of the fit, so that every call gives new
            images; an int gives the same images at every call.
        return_weights : bool, default=False
            Whether to return the convex weights too.

        Returns
        -------
        images : same layout and dtype as X of `fit`, n of them
            Generated images, by ascending class.
        labels : ndarray of shape (n,)
            Their labels.
        weights : scipy.sparse.csr_array of shape (n, n_samples)
            The convex weights on the rows of X that each image comes from. Only with
            ``return_weights=True``.
        """
        check_is_fitted(self, "decoders_")
        if random_state is None:
            random_state = self._random_state
        counts, random_state = self.classifier_._order(n, random_state)
        rows, weights = self._generate(counts, random_state)
        labels = np.repeat(self.classifier_._generated_classes(), counts)
        images = self._laid_out(fill(self._template, rows))
        return (images, labels, weights) if return_weights else (images, labels)

    def reconstruct(self, X: Data) -> Array:
        """Images from the features of X: what F and the decoder keep of them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            As in `fit`.

        Returns
        -------
        images : same layout and dtype as X of `fit`
            Decoded means, dec(mu(F(x))), with the label that the game's classifier
            predicts.
        """
        check_is_fitted(self, "decoders_")
        X, _ = as_rows(X, self.classifier_._image_shape)
        X = validate_data(self, X, reset=False)
        game = self.classifier_
        y = torch.from_numpy(game._probabilities(X).argmax(1))
        features = game._through(X, game.feature_extractor_)
        with workspace(), torch.no_grad():
            blocks = torch.arange(len(y)).split(block_size(self.n_features_in_))
            rows = [self._unscaled(self._decode(features[b], y[b])) for b in blocks]
        return self._laid_out(fill(self._template, np.concatenate(rows)))

    def __sklearn_is_fitted__(self):
        # Where nothing was to be generated, there are weights but no decoders.
        return hasattr(self, "decoders_") or hasattr(self, "provenance_")

    # Training -------------------------------------------------------------

    def _check_X_y(self, X, y, accept_sparse=False):
        # What an earlier fit left would be of other rows.
        for name in ("classifier_", "decoders_", "provenance_", "history_"):
            vars(self).pop(name, None)
        return super()._check_X_y(X, y, accept_sparse)

    def _fit_resample(self, X, y):
        warn_of_balance(self.sampling_strategy, self.sampling_strategy_)
        self.classes_ = np.unique(y)
        resampled = super()._fit_resample(X, y)
        if not any(self.sampling_strategy_.values()):
            self.provenance_ = csr_array((0, len(X)))
        return resampled

    def _known_shape(self):
        game = given_game(self.classifier, self.prefit)
        if self.image_shape is not None or game is None:
            return self.image_shape
        if comes_fitted(self.classifier, self.prefit):
            check_is_fitted(game)
            return game._image_shape
        return game.image_shape

    def _new_rows(self, X, y, labels):
        self._train(X, self.classes_[y])
        classes = self.classifier_._lots.classes.numpy()
        counts = np.bincount(labels, minlength=len(self.classes_))[classes]
        rows, self.provenance_ = self._generate(counts, self._random_state)
        return rows

    def _train(self, X, y):
        """Fit the game and the decoders to flat rows X and their labels y."""
        self._check_convex()
        self.device_ = resolve_device(self.device)
        self._random_state = private_random_state(self.random_state)
        self.classifier_ = game = self._fitted_game(X, y)
        self.classes_ = game.classes_
        self._check_classes(y)
        rng = run_generator(self._random_state)
        with workspace():
            features = self._features_of_game(X, y)
            if game._pool is not None:
                self._members = np.sort(game._members)
                self._sources = X[self._members], features[self._members]
            axis = None if game._image_shape else 0
            self._range = X.min(axis), X.max(axis)
            y = np.searchsorted(game.classes_, y)
            with device_memory("a smaller batch_size"):
                rows = Rows(X, game._scaling, self.device_)
                decoders = self._learn(rows, features, torch.tensor(y), rng)
        self.decoders_ = decoders

    def _check_convex(self):
        game = given_game(self.classifier, self.prefit)
        if game is None:
            return
        convex = game.generator == "convex"
        if convex and comes_fitted(self.classifier, self.prefit):
            check_is_fitted(game)
            # The parameter may have been set after the fit.
            convex = isinstance(game.generator_, ConvexGenerator | None)
        if not convex:
            raise ValueError(
                "GAMO2Pix decodes convex combinations of rows: the classifier needs "
                f"generator='convex' in its fit, got {game.generator!r}."
            )

    def _fitted_game(self, X, y):
        own = {"image_shape": self._image_shape}
        if not comes_fitted(self.classifier, self.prefit):
            own["sampling_strategy"] = self.sampling_strategy
            own["random_state"] = self.random_state
        if self.classifier is None:
            own["device"] = self.device
        game = fitted_game(self.classifier, self.prefit, X, y, **own)
        if comes_fitted(self.classifier, self.prefit):
            # Fitted again to other rows, it would have its weights on those.
            return deepcopy(game)
        return game

    def _check_classes(self, y):
        """That the game has the classes of y, and generates those asked for."""
        if not np.array_equal(np.unique(y), self.classes_):
            raise ValueError(
                f"y has the labels {np.unique(y).tolist()}, but the fitted "
                f"classifier's classes are {self.classes_.tolist()}."
            )
        game = self.classifier_
        generated = self.classes_[:0]
        if game._pool is not None:
            generated = game._generated_classes()
        asked = [label for label, n in self.sampling_strategy_.items() if n]
        missing = np.setdiff1d(asked, generated)
        if len(missing):
            raise ValueError(
                f"sampling_strategy={self.sampling_strategy!r} asks for images of "
                f"{missing.tolist()}, but the fitted classifier generates "
                f"{generated.tolist()}."
            )
        if game._pool is not None:
            warn_of_copies(
                generated, game._lots.sizes.tolist(), self.sampling_strategy_
            )

    def _features_of_game(self, X, y):
        """F(X), of rows and labels on which the game's generator has its weights."""
        game = self.classifier_
        if X.shape[1] != game.n_features_in_:
            self._refuse_rows(f"{X.shape[1]} values each, not {game.n_features_in_}")
        if len(X) != game._n_samples:
            self._refuse_rows(f"{len(X)} of them, not {game._n_samples}")
        features = game._through(X, game.feature_extractor_)
        if game._pool is not None:
            at = game._members
            labels = np.repeat(game._generated_classes(), game._lots.sizes)
            if not (y[at] == labels).all():
                self._refuse_rows("the labels differ")
            if not torch.allclose(features[at], game._pool, rtol=1e-3, atol=1e-3):
                self._refuse_rows("their features differ")
        return features

    def _refuse_rows(self, why):
        raise ValueError(
            f"X and y are not the rows that the classifier was fitted to ({why}), on "
            "which its generator puts its weights. Fit GAMO2Pix to those; in "
            "cross-validation give it a classifier that is not fitted."
        )

    def _learn(self, rows, features, y, rng):
        """One decoder per group of classes, trained with equal shares of `max_rounds`.

        `features`, (n, d), are F(x) of the scaled `rows`, and `y` their class indices.
        """
        indices = torch.arange(len(self.classes_))
        groups = [indices] if self.decoder == "shared" else list(indices[:, None])
        n_rounds = -(-int(self.max_rounds) // len(groups))
        self.history_ = []
        decoders = []
        with tqdm(total=n_rounds * len(groups), disable=not self.verbose) as bar:
            for position, group in enumerate(groups):
                network = self._make_network(rows.n_features, features.shape[1], rng)
                members = [(y == i).nonzero()[:, 0] for i in group]
                batches = _batches(members, self.batch_size, n_rounds, rng)
                records = self._fit_network(
                    network, rows, features, y, batches, bar, rng
                )
                self.history_ += [{"decoder": position} | r for r in records]
                decoders.append(network)
        return decoders

    def _make_network(self, n_values, n_features, rng):
        n_classes = len(self.classes_)
        shape = self.classifier_._image_shape
        if shape is None:
            pixels = mlp(self.latent_dim + n_classes, n_values, (128,), rng)
        else:
            pixels = conv_pixels(self.latent_dim + n_classes, shape, rng)
        return Inverse(n_features, n_classes, self.latent_dim, pixels, rng)

    def _fit_network(self, network, rows, features, y, batches, bar, rng):
        """Minimise reconstruction error and divergence; their means by epoch."""
        adam = partial(torch.optim.Adam, lr=self.learning_rate, fused=True)
        player = Player(network.to(self.device_), adam)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(
            player.optimizer, len(batches)
        )
        records = []
        for epoch, indices in enumerate(batches.split(ROUNDS_PER_EPOCH), start=1):
            losses = 0
            for index in indices:
                f = upload(features[index], self.device_)
                code = upload(self._codes(y[index]), self.device_)
                player.train()
                mean, log_variance = network.posterior(f, code)
                images = network.decode(_draw(mean, log_variance, rng), code)
                error = reconstruction_loss(images, rows[index]).mean()
                spread = divergence(mean, log_variance).mean()
                player.step(error + spread)
                falling.step()
                losses = losses + torch.stack([error, spread]).detach()
                bar.update()
            check_weights({"decoder": network}, epoch)
            error, spread = (losses / len(indices)).tolist()
            records.append(
                {"epoch": epoch, "reconstruction": error, "divergence": spread}
            )
        put_to_rest(network)
        return records

    def _codes(self, y):
        return torch.eye(len(self.classes_), dtype=torch.float32)[y]

    # Files ----------------------------------------------------------------

    def _check_saved(self):
        if not hasattr(self, "decoders_"):
            return
        made = self._made_again()
        same = len(made) == len(self.decoders_) and all(
            map(alike, made, self.decoders_)
        )
        if not same:
            raise ValueError(
                "decoders_ is not what the estimator's parameters make: they were "
                "changed after fit. Set them back, or fit again."
            )

    def _restore(self):
        if not hasattr(self, "decoders_"):
            return
        self._check_restored()
        pairs = zip(self._made_again(), self.decoders_, strict=True)
        self.decoders_ = [filled(made, given, "decoders_") for made, given in pairs]
        put_to_rest(*self.decoders_)
        check_weights(dict(enumerate(self.decoders_)), len(self.history_))

    def _made_again(self):
        """Decoders as those of the fit were, without memory."""
        n = 1 if self.decoder == "shared" else len(self.classes_)
        sizes = self.n_features_in_, self.classifier_._n_features_out
        with workspace(), torch.device("meta"):
            return [self._make_network(*sizes, None) for _ in range(n)]

    def _check_restored(self):
        """That the parts of what was read fit together."""
        game = self.classifier_
        fits = np.array_equal(self.classes_, game.classes_)
        fits = fits and self.n_features_in_ == game.n_features_in_
        require(fits, "the game is not of the same classes and values.")
        shape = () if game._image_shape else (self.n_features_in_,)
        ends = [np.asarray(end) for end in self._range]
        fits = [end.shape for end in ends] == [shape] * 2 and np.isfinite(ends).all()
        require(fits, "the range of the images is not finite, or of other ones.")
        if game._pool is None:
            return
        rows, features = self._sources
        members = np.array_equal(self._members, np.sort(game._members))
        fits = rows.shape == (len(self._members), self.n_features_in_)
        fits = fits and features.shape == (len(rows), game._n_features_out)
        require(
            members and fits, "the images that others are made of are not the game's."
        )

    # Images ---------------------------------------------------------------

    def _generate(self, counts, random_state):
        """Flat images by class, in X's units, and their weights on the rows of X."""
        game = self.classifier_
        images = result_part(int(sum(counts)), 2 * FLOAT * self.n_features_in_)
        check_memory("Generating images", [images])
        features, weights = game._generate_with_weights(counts, random_state)
        features = torch.from_numpy(features)
        sources = self._members.searchsorted(weights.indices[heaviest(weights)])
        rng = run_generator(random_state)
        with workspace(), torch.no_grad():
            y = game._lots.classes.repeat_interleave(torch.tensor(counts))
            blocks = torch.arange(len(y)).split(block_size(self.n_features_in_))
            images = [
                self._images(features[b], sources[b.numpy()], y[b], rng) for b in blocks
            ]
        return np.concatenate(images), weights

    def _images(self, features, sources, y, rng):
        """Flat images of classes y, in X's units, with the detail of rows of X."""
        images = self._decode(features, y, rng)
        if self.detail:
            rows, of_rows = (of_all[sources] for of_all in self._sources)
            lost = self.classifier_._scaling.forward(rows) - self._decode(of_rows, y)
            images += self.detail * lost
        return self._unscaled(images)

    def _decode(self, features, y, rng=None):
        """Scaled flat images from features, by a draw of z, or by its mean."""
        code = self._codes(y)
        images = torch.empty(len(y), self.n_features_in_, dtype=torch.float32)
        for part, network in self._parts(y):
            z, log_variance = network.posterior(features[part], code[part])
            if rng is not None:
                z = _draw(z, log_variance, rng)
            images[part] = network.decode(z, code[part])
        return images

    def _parts(self, y):
        """Each decoder, with the rows of classes y that it is for."""
        if self.decoder == "shared":
            return [(slice(None), self.decoders_[0])]
        return [(y == i, self.decoders_[i]) for i in y.unique()]

    def _unscaled(self, images):
        return self.classifier_._scaling.inverse(images).clip(*self._range)


def _batches(members, batch_size, n_rounds, rng):
    """Positions of rows, (n_rounds, b): all classes alike, then all rows of one."""
    sizes = torch.tensor([len(rows) for rows in members])
    first = sizes.cumsum(0) - sizes
    shape = n_rounds, batch_size
    k = torch.randint(len(members), shape, generator=rng)
    u = torch.rand(shape, generator=rng, dtype=torch.float64)
    return torch.cat(members)[first[k] + (u * sizes[k]).long()]


def _draw(mean, log_variance, rng):
    """z of N(mean, sigma): sigma is exp(log_variance / 2)."""
    noise = torch.randn(mean.shape, generator=rng, dtype=torch.float32)
    return mean + upload(noise, mean.device) * (log_variance / 2).exp()
