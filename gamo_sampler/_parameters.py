"""Parameters of both estimators, and what they may be."""

import os
from collections.abc import Mapping
from numbers import Integral, Real

import torch
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import Interval, StrOptions

from ._game import SCHEDULES
from ._losses import CRITERIA, DECEPTIONS


class ParametersMixin:
    """The parameters of a game, for `GAMOClassifier` and `GAMOSampler`."""

    _parameter_constraints: dict = {
        "loss": [StrOptions(set(CRITERIA))],
        "generator": [StrOptions({"convex", "unconstrained"}), callable, None],
        "discriminator": [StrOptions({"auto"}), callable, None],
        "classifier": [StrOptions({"auto"}), callable],
        "feature_extractor": [StrOptions({"conv"}), callable, None],
        "image_shape": ["array-like", None],
        "neighborhood": [
            StrOptions({"class"}),
            Interval(Integral, 2, None, closed="left"),
            None,
        ],
        "max_sources": [Interval(Integral, 1, None, closed="left"), None],
        "max_weight": [Interval(Real, 0, 1, closed="right")],
        "min_sources": [Interval(Real, 1, None, closed="left")],
        "generator_target": [StrOptions(set(DECEPTIONS))],
        "discriminator_weight": [Interval(Real, 0, None, closed="left")],
        "generated_weight": [
            StrOptions({"objective", "algorithm"}),
            Interval(Real, 0, None, closed="left"),
        ],
        "class_weight": [StrOptions({"balanced"}), Mapping, None],
        "logit_adjustment": [Interval(Real, 0, None, closed="left")],
        "mixup": [Interval(Real, 0, None, closed="left")],
        "weight_averaging": [Interval(Real, 0, 1, closed="left")],
        "sampling_strategy": [
            Interval(Real, 0, 1, closed="right"),
            StrOptions({"auto", "minority", "not minority", "not majority", "all"}),
            Mapping,
            callable,
        ],
        "schedule": [StrOptions(set(SCHEDULES))],
        "latent_dim": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": [StrOptions({"auto"}), "array-like"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "max_rounds": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "rounds_per_epoch": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "callbacks": [list, tuple, None],
        "checkpoint": [str, os.PathLike, None],
        "checkpoint_interval": [Interval(Integral, 1, None, closed="left")],
        "resume": ["boolean"],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "device": [str, torch.device],
        "warm_start": ["boolean"],
    }

    def __init__(
        self,
        *,
        loss="least_squares",
        generator="convex",
        discriminator="auto",
        classifier="auto",
        feature_extractor=None,
        image_shape=None,
        neighborhood="class",
        max_sources=None,
        max_weight=1.0,
        min_sources=1.0,
        generator_target="squared",
        discriminator_weight=1.0,
        generated_weight="objective",
        class_weight=None,
        logit_adjustment=0.0,
        mixup=0.0,
        weight_averaging=0.0,
        sampling_strategy="auto",
        schedule="joint",
        latent_dim=100,
        hidden_layer_sizes="auto",
        max_iter=100,
        max_rounds="auto",
        max_time=None,
        rounds_per_epoch=None,
        batch_size=32,
        learning_rate=1e-3,
        beta_1=0.5,
        beta_2=0.999,
        epsilon=1e-7,
        label_smoothing=0.1,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        scoring=None,
        callbacks=None,
        checkpoint=None,
        checkpoint_interval=10,
        resume=False,
        verbose=0,
        random_state=None,
        device="auto",
        warm_start=False,
    ) -> None:
        self.loss = loss
        self.generator = generator
        self.discriminator = discriminator
        self.classifier = classifier
        self.feature_extractor = feature_extractor
        self.image_shape = image_shape
        self.neighborhood = neighborhood
        self.max_sources = max_sources
        self.max_weight = max_weight
        self.min_sources = min_sources
        self.generator_target = generator_target
        self.discriminator_weight = discriminator_weight
        self.generated_weight = generated_weight
        self.class_weight = class_weight
        self.logit_adjustment = logit_adjustment
        self.mixup = mixup
        self.weight_averaging = weight_averaging
        self.sampling_strategy = sampling_strategy
        self.schedule = schedule
        self.latent_dim = latent_dim
        self.hidden_layer_sizes = hidden_layer_sizes
        self.max_iter = max_iter
        self.max_rounds = max_rounds
        self.max_time = max_time
        self.rounds_per_epoch = rounds_per_epoch
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.label_smoothing = label_smoothing
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.scoring = scoring
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.checkpoint_interval = checkpoint_interval
        self.resume = resume
        self.verbose = verbose
        self.random_state = random_state
        self.device = device
        self.warm_start = warm_start
