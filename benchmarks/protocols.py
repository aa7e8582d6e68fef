"""Protocols: their data, their settings and length, and one run of one method."""

import csv
import hashlib
import math
import platform
import time
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from imblearn.datasets import fetch_datasets
from imblearn.metrics import geometric_mean_score
from imblearn.pipeline import make_pipeline
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.preprocessing import label_binarize
from sklearn.utils import Bunch, _safe_indexing
from threadpoolctl import threadpool_limits

import gamo_sampler

from . import methods, mixed, rows, toy

LONG_TAILED = ("mnist", "fashion_mnist", "cifar10", "svhn")
FOLDERS = ("celeba", "lsun", "sun397")
IMAGES = LONG_TAILED + FOLDERS
TABULAR = ("tabular", "mixed")
PROTOCOLS = (*IMAGES, *TABULAR, "toy")

# The same for every method of a protocol.
SETTINGS = {
    "mnist": {"hidden_layer_sizes": (256, 128), "learning_rate": 2e-4},
    "toy": {"hidden_layer_sizes": (64, 32), "learning_rate": 1e-3},
} | {
    name: {"feature_extractor": "conv", "learning_rate": 1e-3}
    for name in IMAGES
    if name != "mnist"
}
FULL_EPOCHS = 89  # 25,098 updates on the 9,000 rows of MNIST
SHORT_EPOCHS = 20
TOY_ROUNDS = 3000
TABLE_ROUNDS = 3000
N_FOLDS = 5
TUNING_SEEDS_FROM = 100
PACKAGES = ("gamo_sampler", "torch", "scikit-learn", "imbalanced-learn", "numpy")


@dataclass(frozen=True)
class Job:
    """One run of one method; `rounds` shortens it to a smoke test."""

    protocol: str
    condition: str
    loss: str
    method: str
    seed: int
    data_home: str | None = None
    device: str = "auto"
    rounds: int | None = None

    def keys(self):
        """The keys of the rows that the run gives."""
        learners = learners_of(self.protocol) or ("M",)
        run = (self.protocol, self.condition, self.loss, self.method)
        return [(*run, learner, self.seed) for learner in learners]

    def row(self, learner, params, **values):
        """A row of results."""
        run = (self.protocol, self.condition, self.loss, self.method)
        key = dict(zip(rows.KEY, (*run, learner, self.seed), strict=True))
        if self.rounds is not None:
            params = params | {"smoke": {"rounds": self.rounds}}
        return key | {"params": params} | values | {"versions": versions()}


def versions():
    return {name: version(name) for name in PACKAGES} | {
        "python": platform.python_version(),
        "source": source_digest(),
    }


@cache
def source_digest():
    """Of the package's modules: rows of one version need not be of one code."""
    package = Path(gamo_sampler.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def table_of(protocol):
    """The methods by name that a protocol knows."""
    if protocol == "toy":
        return {name: methods.METHODS[name] for name in toy.PANELS}
    tables = {"tabular": methods.SAMPLERS, "mixed": methods.MIXED_SAMPLERS}
    return tables.get(protocol.split("/")[0], methods.METHODS)


def default_methods(protocol, condition):
    if protocol.split("/")[0] in (*TABULAR, "toy"):
        return tuple(table_of(protocol))
    return methods.CONDITIONS[condition]


def check_protocol(protocol, condition, seeds):
    name = protocol.split("/")[0]
    if name not in PROTOCOLS:
        raise ValueError(
            f"Unknown protocol {protocol!r}; there are {', '.join(PROTOCOLS)}, "
            "tabular/NAME and mixed/NAME."
        )
    if name in (*TABULAR, "toy") and condition not in ("paper", "tune"):
        raise ValueError(
            f"{protocol} has the conditions paper and tune, got {condition!r}."
        )
    if condition == "tune" and min(seeds) < TUNING_SEEDS_FROM:
        raise ValueError(
            f"--condition tune takes seeds of {TUNING_SEEDS_FROM} and up, got "
            f"{min(seeds)}: the others are for reporting."
        )


def protocol_keys(protocol, size, full, data_home):
    """The keys under which rows of a protocol stand: one, or one per table."""
    if protocol == "tabular":
        return [f"tabular/{name}" for name in table_names(data_home)]
    if protocol == "mixed":
        return [f"mixed/{name}" for name in mixed.TABLES]
    if protocol in ("celeba", "lsun"):
        protocol = f"{protocol}-{size}"
    shortened = protocol.split("-")[0] in IMAGES and protocol != "mnist"
    return [f"{protocol}-full" if full and shortened else protocol]


def run(job):
    """The rows of one job."""
    # Small networks run faster on one thread, and gradients that vanish are slow.
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    with threadpool_limits(1):
        if learners_of(job.protocol):
            return run_table(job)
        return [run_split(job)]


# A training and a test set ------------------------------------------------


def run_split(job):
    data = load(job.protocol, job.seed, job.data_home)
    if job.condition == "tune" or job.seed >= TUNING_SEEDS_FROM:
        data = validation_split(data, job.seed)
    model = methods.make(job.method, job.condition, split_settings(job, data))
    start = time.perf_counter()
    model.fit(data.X_train, data.y_train)
    seconds = time.perf_counter() - start
    return job.row(
        "M",
        describe(model),
        **scores(model, data),
        m_updates=methods.m_updates(model),
        n_test=len(data.y_test),
        seconds=seconds,
    )


def load(protocol, seed, data_home):
    """Bunch of flat float rows, labels, and `image_shape`."""
    name, *variants = protocol.split("-")
    if name == "toy":
        return toy.make_toy(seed)
    from gamo_sampler import datasets

    if name in LONG_TAILED:
        data = datasets.fetch_long_tailed(name, random_state=seed, data_home=data_home)
    else:
        sizes = {"size": variants[0]} if name != "sun397" else {}
        read = getattr(datasets, f"load_{name}")
        data = read(Path(data_home or ".") / name, random_state=seed, **sizes)
    X_train, image_shape = flat(data.X_train)
    X_test, _ = flat(data.X_test)
    return Bunch(
        X_train=X_train,
        y_train=data.y_train,
        X_test=X_test,
        y_test=data.y_test,
        image_shape=image_shape,
    )


def flat(images):
    """Float rows in (channels, height, width) order, and that shape.

    Floats, because SMOTE's differences of bytes wrap around.
    """
    if images.ndim == 3:
        images = images[..., None]
    images = np.moveaxis(images, -1, 1)
    return images.reshape(len(images), -1).astype(np.float32), images.shape[1:]


def validation_split(data, seed):
    """A fifth of the training rows in place of the test rows, which stay unseen."""
    X_train, X_test, y_train, y_test = train_test_split(
        data.X_train,
        data.y_train,
        test_size=0.2,
        stratify=data.y_train,
        random_state=seed,
    )
    return Bunch(
        X_train=X_train,
        y_train=y_train,
        X_test=X_test,
        y_test=y_test,
        image_shape=data.image_shape,
    )


def split_settings(job, data):
    name, *variants = job.protocol.split("-")
    shared = {"loss": job.loss, "random_state": job.seed, "device": job.device}
    epochs = FULL_EPOCHS if name == "mnist" or "full" in variants else SHORT_EPOCHS
    rounds = epochs * math.ceil(len(data.y_train) / methods.ROWS_PER_UPDATE)
    if name == "toy":
        rounds = TOY_ROUNDS
    network = SETTINGS[name] | shared | {"image_shape": data.image_shape}
    if network.get("feature_extractor"):  # turns of F and M, as many for every method
        network["rounds_per_epoch"] = -(-(job.rounds or rounds) // epochs)
    return methods.Settings(
        network=network,
        rounds=job.rounds or rounds,
        counts=class_counts(data.y_train),
    )


def class_counts(y):
    labels, counts = np.unique(y, return_counts=True)
    return dict(zip(labels.tolist(), counts.tolist(), strict=True))


def describe(model):
    """What an estimator was run with: those of its parameters that are no defaults."""
    params = {"estimator": methods.written(model)}
    return params | {"did_nothing": True} if methods.did_nothing(model) else params


# Scores -------------------------------------------------------------------


def scores(model, data):
    """ACSA, GM and recalls on the test rows, ACSA and GM on the training rows."""
    found = model.predict(data.X_test)
    recall = recall_score(data.y_test, found, average=None)
    in_training = model.predict(data.X_train)
    return {
        "acsa": float(balanced_accuracy_score(data.y_test, found)),
        "gm": float(geometric_mean_score(data.y_test, found)),
        "recall": recall.tolist(),
        "train_acsa": float(balanced_accuracy_score(data.y_train, in_training)),
        "train_gm": float(geometric_mean_score(data.y_train, in_training)),
    }


def probability_scores(model, data):
    """Scores of the probabilities; of more than two classes the classes' mean."""
    p = model.predict_proba(data.X_test)
    if p.shape[1] == 2:
        y, p = data.y_test == model.classes_[1], p[:, 1]
    else:
        y = label_binarize(data.y_test, classes=model.classes_)
    return {
        "roc_auc": float(roc_auc_score(y, p)),
        "average_precision": float(average_precision_score(y, p)),
        "brier": float(np.mean([brier_score_loss(*pair) for pair in columns(y, p)])),
    }


def columns(y, p):
    return zip(np.atleast_2d(y.T), np.atleast_2d(p.T), strict=True)


# Tables -------------------------------------------------------------------


def table_names(data_home):
    """Tables in the folder, or those that imbalanced-learn fetches."""
    folder = Path(data_home or ".") / "tabular"
    if folder.is_dir():
        return sorted(path.stem for path in folder.glob("*.npz"))
    return sorted(fetch_datasets(data_home=data_home))


def load_table(name, data_home):
    """X, y and the family of sets that share rows."""
    folder = Path(data_home or ".") / "tabular"
    if not folder.is_dir():
        data = fetch_datasets(data_home=data_home, filter_data=(name,))[name]
        return data.data, data.target, name
    with np.load(folder / f"{name}.npz") as arrays:
        X, y = arrays["X"], arrays["y"]
    with (folder / "index.csv").open() as file:
        families = {row["name"]: row["family"] for row in csv.DictReader(file)}
    return X, y, families[name]


def logistic(settings):
    return LogisticRegression(max_iter=1000)


def forest(settings):
    return RandomForestClassifier(n_jobs=1, random_state=settings.seed)


def boosting(settings):
    return HistGradientBoostingClassifier(random_state=settings.seed)


LEARNERS = {
    "cn": methods.plain,
    "logistic": logistic,
    "forest": forest,
    "boosting": boosting,
}


def learners_of(protocol):
    """The learners of a protocol of tables, none of another one."""
    names = {"tabular": tuple(LEARNERS), "mixed": ("cn", "boosting")}
    return names.get(protocol.split("/")[0], ())


def run_table(job):
    """One sampler on one table: a row per learner, means over the folds."""
    kind, name = job.protocol.split("/", 1)
    X, y, family = load_table(name, job.data_home)
    if kind == "mixed":
        X = mixed.put_together(X)
    n_folds = min(N_FOLDS, min(class_counts(y).values()))
    splits = StratifiedKFold(n_folds, shuffle=True, random_state=job.seed)
    folds = [run_fold(job, X, y, *split) for split in splits.split(X, y)]
    return [
        table_row(job, learner, family, len(y), folds)
        for learner in learners_of(job.protocol)
    ]


def run_fold(job, X, y, train, test):
    """Scores and learner per name, the sampler as text, whether it did nothing."""
    settings = methods.Settings(
        {"loss": job.loss, "random_state": job.seed, "device": job.device},
        job.rounds or TABLE_ROUNDS,
        class_counts(y[train]),
    )
    samplers = table_of(job.protocol)
    sampler = methods.make(job.method, job.condition, settings, samplers)
    if job.rounds is not None and "max_rounds" in sampler.get_params():
        sampler.set_params(max_rounds=job.rounds)
    scale, encode = mixed.preparation(X)
    balance = make_pipeline(scale, sampler)
    start = time.perf_counter()
    X_resampled, y_resampled = balance.fit_resample(_safe_indexing(X, train), y[train])
    seconds = time.perf_counter() - start
    X_train, X_test = (
        scale.transform(_safe_indexing(X, rows)) for rows in (train, test)
    )
    encode.fit(X_train)
    resampled = encode.transform(X_resampled), y_resampled
    data = Bunch(
        X_train=encode.transform(X_train),
        y_train=y[train],
        X_test=encode.transform(X_test),
        y_test=y[test],
    )
    by_learner = {
        name: learn(LEARNERS[name](settings), resampled, data, seconds)
        for name in learners_of(job.protocol)
    }
    return by_learner, methods.written(sampler), methods.did_nothing(sampler)


def learn(learner, resampled, data, seconds):
    """Train on the resampled rows; scores, description, seconds in all."""
    start = time.perf_counter()
    learner.fit(*resampled)
    seconds += time.perf_counter() - start
    values = scores(learner, data) | probability_scores(learner, data)
    return values | {"seconds": seconds}, learner


def table_row(job, learner, family, n_test, folds):
    fitted = [by_learner[learner][1] for by_learner, _, _ in folds]
    values = [by_learner[learner][0] for by_learner, _, _ in folds]
    params = {
        "sampler": folds[0][1],
        "learner": methods.written(fitted[0]),
        "family": family,
        "folds_without_rows": sum(nothing for _, _, nothing in folds),
    }
    means = {
        name: np.mean([value[name] for value in values], axis=0).tolist()
        for name in values[0]
    }
    updates = methods.m_updates(fitted[0]) if learner == "cn" else None
    return job.row(learner, params, **means, m_updates=updates, n_test=n_test)
