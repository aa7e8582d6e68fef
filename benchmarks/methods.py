"""The contenders, by name: the same network, optimiser and updates for all."""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from numbers import Real

import numpy as np
from imblearn import FunctionSampler
from imblearn.over_sampling import (
    ADASYN,
    SMOTE,
    SMOTEN,
    SMOTENC,
    BorderlineSMOTE,
    RandomOverSampler,
)
from imblearn.pipeline import Pipeline, make_pipeline
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from gamo_sampler import GAMO2Pix, GAMOClassifier, GAMOSampler, published

ROWS_PER_UPDATE = 32
# Parameters of GAMOClassifier that M alone has no use for.
OF_THE_GAME = (
    "generator",
    "discriminator",
    "neighborhood",
    "max_sources",
    "max_weight",
    "min_sources",
    "generator_target",
    "discriminator_weight",
    "generated_weight",
    "sampling_strategy",
    "schedule",
    "latent_dim",
    "label_smoothing",
)


@dataclass(frozen=True)
class Settings:
    """What every method of a run is given alike.

    `network` holds the parameters of the network, its optimiser and its loss,
    `rounds` the number of M's updates, `counts` the training rows per label, and
    `extras` the method's own additions from its recipe.
    """

    network: dict
    rounds: int
    counts: dict
    extras: dict = field(default_factory=dict)

    @property
    def seed(self):
        return self.network["random_state"]

    @property
    def image_shape(self):
        return self.network.get("image_shape")

    @property
    def convolutional(self):
        return self.network.get("feature_extractor") is not None

    @property
    def n_neighbors(self):
        """SMOTE's five, or as many as the smallest class has."""
        return min(5, min(self.counts.values()) - 1)


def _without(parameters, name):
    return {key: value for key, value in parameters.items() if key != name}


# Networks -----------------------------------------------------------------


def plain(s, **own):
    """M alone (CN)."""
    length = {"max_iter": s.rounds, "max_rounds": s.rounds}
    parameters = {"generator": None, "batch_size": ROWS_PER_UPDATE}
    extras = without_game(s).extras
    return GAMOClassifier(**s.network | parameters | length | extras | own)


def without_game(s):
    """M's own extras: the game's may be of an over-sampler in front of it."""
    extras = {k: v for k, v in s.extras.items() if k not in OF_THE_GAME}
    return replace(s, extras=extras)


def game(s, **own):
    """M in the game, with as many updates on as many rows as M alone."""
    own = s.extras | own
    # A joint update takes b real and b generated rows; the alternating schedules
    # take two updates a round, of b rows each.
    joint = own.get("schedule", "joint") == "joint"
    rounds = s.rounds if joint else -(-s.rounds // 2)
    parameters = {
        "batch_size": ROWS_PER_UPDATE // 2 if joint else ROWS_PER_UPDATE,
        "max_iter": rounds,
        "max_rounds": rounds,
    }
    turn = s.network.get("rounds_per_epoch")
    if turn and not joint:
        parameters["rounds_per_epoch"] = -(-turn // 2)
    return GAMOClassifier(**s.network | parameters | own)


def as_published(s):
    """The published settings, with the rounds of the protocol."""
    shared = (
        "loss",
        "image_shape",
        "feature_extractor",
        "rounds_per_epoch",
        "random_state",
        "device",
    )
    parameters = {name: s.network[name] for name in shared if name in s.network}
    length = {"max_iter": s.rounds, "max_rounds": s.rounds}
    return GAMOClassifier(**published("mnist") | parameters | length | s.extras)


def resampled(sampler, s):
    """CN on the rows of an over-sampler."""
    network = plain(s)
    if network.logit_adjustment:
        return WithMargin(sampler, network)
    return make_pipeline(sampler, network)


def interpolated(sampler, s):
    """The same, in the feature space of a trained CN where there is an F."""
    if s.convolutional:
        return InFeatureSpace(sampler, plain(s))
    return resampled(sampler, s)


def effective_number(s, beta=0.999):
    """Class weights by the effective number of rows (Cui et al., CVPR 2019)."""
    counts = np.array(list(s.counts.values()))
    weights = (1 - beta) / (1 - beta**counts)
    weights *= len(weights) / weights.sum()
    return plain(s, class_weight=dict(zip(s.counts, weights.tolist(), strict=True)))


def logit_adjust(s, **own):
    return plain(replace(s, extras={"logit_adjustment": 1.0} | s.extras), **own)


def half_batches(s):
    """Logit adjustment with as many real rows in a batch as the game has."""
    return logit_adjust(s, batch_size=game(without_game(s)).batch_size)


def dos(s):
    from gamo_sampler.baselines import DOSClassifier

    length = {"max_iter": s.rounds, "max_rounds": s.rounds}
    network = _without(s.network, "rounds_per_epoch")
    return DOSClassifier(**network | length | s.extras)


# Samplers -----------------------------------------------------------------


def order(s):
    """How many rows to make, and the seed: parameters that over-samplers share.

    As many as make the classes equal, unless `generated_weight` is among the extras:
    then so many times the real rows, each class the same share of what it lacks. The
    game gives its rows that weight instead.
    """
    weight = s.extras.get("generated_weight")
    if weight is None:
        return {"random_state": s.seed}
    if not (isinstance(weight, Real) and weight > 0):
        raise ValueError(
            "generated_weight must be a positive number with an over-sampler, got "
            f"{weight!r}."
        )
    most, n = max(s.counts.values()), sum(s.counts.values())
    share = weight * n / sum(most - count for count in s.counts.values())
    wanted = {i: n_i + round(share * (most - n_i)) for i, n_i in s.counts.items()}
    return {"sampling_strategy": wanted, "random_state": s.seed}


def oversample(s):
    return RandomOverSampler(**order(s))


def smote(s):
    return SMOTE(k_neighbors=s.n_neighbors, **order(s))


def borderline_smote(s):
    return BorderlineSMOTE(k_neighbors=s.n_neighbors, **order(s))


def adasyn(s):
    return ADASYN(n_neighbors=s.n_neighbors, **order(s))


def augment(s, sampler=None):
    """Moved copies, or moved images of another over-sampler."""
    from gamo_sampler.baselines import AugmentationSampler

    return AugmentationSampler(sampler, image_shape=s.image_shape, **order(s))


def cgan(s):
    from gamo_sampler.baselines import CGANSampler

    parameters = order(s) | {"device": s.network["device"]}
    if s.convolutional:
        parameters["architecture"] = "convolutional"
    if s.image_shape:
        parameters["image_shape"] = s.image_shape
    return CGANSampler(max_iter=s.rounds, max_rounds=s.rounds, **parameters)


def images(s):
    """Images of the game: its rows, or those of GAMO2Pix where it learns features."""
    return gamo2pix(s) if s.convolutional else game_sampler(s)


def gamo2pix(s):
    """GAMO2Pix, its decoder of as many minibatches as the game has rounds."""
    if not s.convolutional:
        raise ValueError("gamo2pix needs a protocol with a feature extractor.")
    shared = {"image_shape": s.image_shape, "random_state": s.seed}
    device = s.network["device"]
    return GAMO2Pix(game(s), max_rounds=s.rounds, device=device, **shared)


def game_sampler(s, **own):
    """GAMOSampler with its defaults."""
    shared = {name: s.network[name] for name in ("loss", "device")}
    return GAMOSampler(**shared | order(s) | own)


def published_sampler(s):
    """The published settings, with as many rounds as the plain network has updates."""
    length = {"max_iter": s.rounds, "max_rounds": s.rounds}
    shared = {"image_shape": None} | length
    return game_sampler(s, **_without(published("mnist"), "loss") | shared)


# Estimators ---------------------------------------------------------------


class OrNothing(BaseEstimator):
    """A sampler that leaves the rows alone where it cannot run.

    ADASYN and Borderline-SMOTE raise where no minority row has neighbours of the
    other class. `did_nothing_` says so.
    """

    def __init__(self, sampler):
        self.sampler = sampler

    def fit(self, X, y):
        """Nothing; pipelines ask for it."""
        return self

    def fit_resample(self, X, y):
        self.did_nothing_ = False
        try:
            return clone(self.sampler).fit_resample(X, y)
        except (ValueError, RuntimeError):
            self.did_nothing_ = True
            return X, y


class CategoricalSMOTE(BaseEstimator):
    """SMOTENC, and SMOTEN where all columns are categories, which SMOTENC refuses."""

    def __init__(self, k_neighbors=5, random_state=None):
        self.k_neighbors = k_neighbors
        self.random_state = random_state

    def fit(self, X, y):
        """Nothing; pipelines ask for it."""
        return self

    def fit_resample(self, X, y):
        shared = self.get_params()
        if (X.dtypes == "category").all():
            return SMOTEN(**shared).fit_resample(X, y)
        return SMOTENC(categorical_features="auto", **shared).fit_resample(X, y)


class InFeatureSpace(ClassifierMixin, BaseEstimator):
    """A classifier's F, trained first; a sampler on F(X); a fresh M on those rows."""

    def __init__(self, sampler, estimator):
        self.sampler = sampler
        self.estimator = estimator

    def fit(self, X, y):
        self.features_ = clone(self.estimator).fit(X, y)
        self.sampler_ = clone(self.sampler)
        F_X = self.features_.extract_features(X)
        head = clone(self.estimator)
        head.set_params(feature_extractor=None, image_shape=None)
        self.head_ = fit_with_margin(head, *self.sampler_.fit_resample(F_X, y), y)
        self.classes_ = self.head_.classes_
        return self

    def predict_proba(self, X):
        return self.head_.predict_proba(self.features_.extract_features(X))

    def predict(self, X):
        return self.head_.predict(self.features_.extract_features(X))


class WithMargin(ClassifierMixin, BaseEstimator):
    """A network on the rows of a sampler, with the margin of the rows before.

    That of balanced rows would be the same for all classes. The game's is that of its
    real rows as well.
    """

    def __init__(self, sampler, estimator):
        self.sampler = sampler
        self.estimator = estimator

    def fit(self, X, y):
        self.sampler_ = clone(self.sampler)
        rows = self.sampler_.fit_resample(X, y)
        self.estimator_ = fit_with_margin(clone(self.estimator), *rows, y)
        self.classes_ = self.estimator_.classes_
        return self

    def predict_proba(self, X):
        return self.estimator_.predict_proba(X)

    def predict(self, X):
        return self.estimator_.predict(X)


def fit_with_margin(network, X, y, y_before):
    """Fit the network to the rows, its margin by the labels before there were more.

    The margin counts rows by their weights; by those of the classes, which have no part
    in it, all rows weigh the same in the loss.
    """
    if not network.logit_adjustment:
        return network.fit(X, y)
    if network.class_weight is not None:
        raise ValueError(
            "class_weight must be None with logit_adjustment behind a sampler, got "
            f"{network.class_weight!r}."
        )
    classes, before = np.unique(y_before, return_counts=True)
    share = before / np.unique(y, return_counts=True)[1]
    weights = share[np.searchsorted(classes, y)]
    of_class = dict(zip(classes.tolist(), weights.mean() / share, strict=True))
    return network.set_params(class_weight=of_class).fit(X, y, sample_weight=weights)


class PriorCorrected(ClassifierMixin, BaseEstimator):
    """A classifier whose probabilities are divided by the training frequencies."""

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y):
        self.estimator_ = clone(self.estimator).fit(X, y)
        self.classes_, counts = np.unique(y, return_counts=True)
        self.prior_ = counts / counts.sum()
        return self

    def predict_proba(self, X):
        scores = self.estimator_.predict_proba(X) / self.prior_
        return scores / scores.sum(1, keepdims=True)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(1)]


# Tables of names ----------------------------------------------------------

METHODS: dict[str, Callable] = {
    "cn": plain,
    "oversample": lambda s: resampled(oversample(s), s),
    "smote": lambda s: interpolated(OrNothing(smote(s)), s),
    "augment": lambda s: resampled(augment(s), s),
    "cgan": lambda s: resampled(cgan(s), s),
    "cdcgan": lambda s: resampled(cgan(s), s),  # what it is on convolutional sets
    "dos": dos,
    "cg": lambda s: game(s, generator="unconstrained", discriminator=None),
    "cg_d": lambda s: game(s, generator="unconstrained"),
    "gamo_no_d": lambda s: game(s, discriminator=None),
    "gamo_published": as_published,
    "gamo": game,
    "gamo_sampler": lambda s: interpolated(game_sampler(s), s),
    "gamo2pix": lambda s: resampled(gamo2pix(s), s),
    "gamo_augment": lambda s: resampled(augment(s, images(s)), s),
    "smote_augment": lambda s: resampled(augment(s, smote(s)), s),
    "class_weight": lambda s: plain(s, class_weight="balanced"),
    "effective_number": effective_number,
    "logit_adjust": logit_adjust,
    "logit_adjust_16": half_batches,
    # With the categorical cross-entropy, today's loss, it is logit adjustment by 1.
    "balanced_softmax": lambda s: logit_adjust(s, logit_adjustment=1.0),
    "mixup": lambda s: plain(replace(s, extras=BEST | s.extras)),
    "balanced_sampling": lambda s: resampled(oversample(s), s),
    "threshold": lambda s: PriorCorrected(plain(s)),
    "borderline_smote": lambda s: interpolated(OrNothing(borderline_smote(s)), s),
    "adasyn": lambda s: interpolated(OrNothing(adasyn(s)), s),
}

SAMPLERS: dict[str, Callable] = {
    "none": lambda s: FunctionSampler(),
    "oversample": oversample,
    "smote": lambda s: OrNothing(smote(s)),
    "borderline_smote": lambda s: OrNothing(borderline_smote(s)),
    "adasyn": lambda s: OrNothing(adasyn(s)),
    "cgan": cgan,
    "gamo_no_d": lambda s: game_sampler(s, discriminator=None),
    "gamo_untrained": lambda s: game_sampler(s, max_rounds=1),
    "gamo": game_sampler,
    "gamo_published": published_sampler,
}

MIXED_SAMPLERS: dict[str, Callable] = {
    "none": lambda s: FunctionSampler(validate=False),
    "smotenc": lambda s: CategoricalSMOTE(s.n_neighbors, s.seed),
    "gamo": game_sampler,
    "gamo_block": lambda s: game_sampler(s, categories="block"),
}

# One changed parameter of gamo each.
ABLATION = {
    "gamo": {},
    "full_hull": {"neighborhood": None},
    "neighborhood_6": {"neighborhood": 6},  # SMOTE's five neighbours
    "neighborhood_10": {"neighborhood": 10},
    "target_complement": {"generator_target": "complement"},
    "target_log": {"generator_target": "log"},
    "no_discriminator": {"discriminator": None},
    "discriminator_weight_10": {"discriminator_weight": 10.0},
    "equal_batches": {"generated_weight": "algorithm"},
    "schedule_algorithm": {"schedule": "algorithm"},
    "schedule_per_class": {"schedule": "per_class"},
    "no_label_smoothing": {"label_smoothing": 0.0},
    "unconstrained": {"generator": "unconstrained"},
}

PAPER = (
    "cn",
    "oversample",
    "smote",
    "augment",
    "cgan",
    "dos",
    "cg",
    "cg_d",
    "gamo_no_d",
    "gamo_published",
    "gamo",
)
TODAY = (
    "class_weight",
    "effective_number",
    "logit_adjust",
    "mixup",
    "balanced_sampling",
    "threshold",
    "borderline_smote",
    "adasyn",
)

# The "today" condition gives all methods mixup and averaged weights. Those that score
# higher with the margin on the seeds for choosing get it, and fewer or lighter
# generated rows beside it. CN takes part with nothing added, next to "mixup", which is
# CN with BEST, and "logit_adjust", which has the margin too; DOS, which has no such
# parameters, and the published game stay as they are. Images have the margin where
# features are learned, and as many as make the classes equal.
BEST = {"mixup": 0.2, "weight_averaging": 0.999}
MARGIN = BEST | {"logit_adjustment": 1.0}
FEW_ROWS = MARGIN | {"generated_weight": 0.3}
RECIPES = {
    "cn": {},
    "dos": {},
    "gamo_published": {},
    # Chosen for these three; the others are of their kind.
    "smote": FEW_ROWS,
    "balanced_sampling": FEW_ROWS,
    "gamo": FEW_ROWS,
    "borderline_smote": FEW_ROWS,
    "adasyn": FEW_ROWS,
    "gamo_no_d": FEW_ROWS,
    "cg": FEW_ROWS,
    "cg_d": FEW_ROWS,
    "gamo_sampler": FEW_ROWS,
}
OF_IMAGES = ("augment", "gamo_augment", "smote_augment", "gamo2pix")

CONDITIONS = {
    "paper": PAPER,
    # Balanced sampling is the paper's oversampling under its other name, here with
    # fewer copies; the balanced softmax is logit adjustment: twice the same run would
    # count twice in the ranks.
    "today": tuple(name for name in PAPER if name != "oversample") + TODAY,
    "ablation": tuple(ABLATION),
    "tune": ("cn", "gamo"),
}


def make(method, condition, settings, table=METHODS):
    """The estimator of a method.

    Parameters
    ----------
    method : str
        A name of `table`; in the ablation one of ABLATION; when tuning a name and
        parameters of its network, ``"cn:mixup=0.4,loss='log_loss'"``.
    condition : {"paper", "today", "ablation", "tune"}
        Where extras come from: nowhere, `recipe`, ABLATION, or the name.
    settings : Settings
        What all methods of the run share.
    table : dict, default=METHODS
        METHODS, or SAMPLERS for tables.

    Returns
    -------
    estimator : estimator
        Not fitted.
    """
    name, _, text = method.partition(":")
    extras = {}
    if condition == "today":
        extras = recipe(name, settings)
    if condition == "ablation":
        name, extras = "gamo", ABLATION[name]
    if condition != "tune":
        return table[name](replace(settings, extras=extras))
    return tuned(name, parse_parameters(text), settings, table)


def recipe(name, s):
    """What a method has in today's conditions."""
    if name in OF_IMAGES and s.convolutional:
        return MARGIN
    return RECIPES.get(name, BEST)


def tuned(name, parameters, settings, table):
    """A method with some parameters changed; those it does not take raise."""
    if table is METHODS:
        model = table[name](replace(settings, extras=parameters))
        network = network_of(model)
    else:
        model = table[name](settings)
        network = getattr(model, "sampler", model)
        network.set_params(**parameters)
    found = network.get_params()
    missed = [k for k, v in parameters.items() if k not in found or found[k] != v]

    def changes_nothing(parameter):
        without = replace(settings, extras=_without(parameters, parameter))
        return written(table[name](without)) == written(model)

    # One that is not the network's may be the over-sampler's.
    ignored = [parameter for parameter in missed if changes_nothing(parameter)]
    if ignored:
        raise ValueError(f"{name!r} sets {', '.join(ignored)} by itself.")
    return model


def check_methods(methods, condition, table):
    """Unknown names raise before anything runs."""
    known = ABLATION if condition == "ablation" else table
    for method in methods:
        name, _, text = method.partition(":")
        if name not in known:
            raise ValueError(
                f"Unknown method {name!r} of condition {condition!r}; there are "
                f"{', '.join(known)}."
            )
        if text and condition != "tune":
            raise ValueError(
                f"{method!r} changes parameters, which only --condition tune may."
            )
        parse_parameters(text)


def parse_parameters(text):
    """Python literals by name from "a=1,b='c'"."""
    try:
        # As the arguments of a call, all of them by name.
        call = ast.parse(f"dict({text})", mode="eval").body
        positional = [ast.literal_eval(value) for value in call.args]
        named = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
        return dict(*positional, **named)
    except (SyntaxError, ValueError, TypeError) as error:
        raise ValueError(
            f"{text!r} is not a list of parameters like mixup=0.4,loss='log_loss'."
        ) from error


# What was fitted ----------------------------------------------------------


def m_updates(model):
    """Number of M's updates in the fitted network of a model."""
    parameters = network_of(model).get_params()
    alternating = parameters.get("generator") and parameters["schedule"] != "joint"
    # `plain` and `game` let max_rounds alone end a fit.
    return parameters["max_rounds"] * (2 if alternating else 1)


def network_of(model):
    """The GAMOClassifier or DOSClassifier in a model."""
    while isinstance(model, Pipeline) or hasattr(model, "estimator"):
        model = model[-1] if isinstance(model, Pipeline) else model.estimator
    return model


def written(estimator):
    """An estimator as text on one line, defaults left out."""
    return " ".join(estimator.__repr__(N_CHAR_MAX=10**6).split())


def did_nothing(model):
    """Whether the model's over-sampler left the rows alone."""
    sampler = model[0] if isinstance(model, Pipeline) else model
    sampler = getattr(sampler, "sampler_", sampler)
    return bool(getattr(sampler, "did_nothing_", False))
