"""Fits that processes share, for torchrun: each process writes what came of them.

Usage: torchrun --nproc-per-node 2 -m tests.shared_fits FOLDER
"""

import json
import os
import sys
from contextlib import chdir, redirect_stdout
from datetime import timedelta
from io import StringIO
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from imblearn.datasets import make_imbalance
from joblib import parallel_config
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score

from gamo_sampler import GAMO2Pix, GAMOClassifier, GAMOSampler, _distributed

from .pages import snippet

# With a small epsilon Adam's first step is the gradient's sign, even where the gradient
# is nothing but float32's last bits, which the order of the sums decides.
SMALL = {"epsilon": 1e-3, "latent_dim": 10, "random_state": 0, "device": "cpu"}


def table():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [60, 14, 9])
    return rng.normal(size=(83, 6)) + y[:, None], y


def weighted():
    X, y = table()
    return X, y, {"sample_weight": np.random.default_rng(1).integers(0, 4, len(y))}


def grouped():
    X, y = table()
    return X, y, {"groups": np.arange(len(y)) % 3}


def images():
    X, y = load_digits(n_class=3, return_X_y=True)
    X, y = make_imbalance(X, y, sampling_strategy={0: 40, 1: 20, 2: 12}, random_state=0)
    return X.reshape(-1, 8, 8), y


def group_normed(n_in, n_out):
    """A network of a user's own, without batch statistics."""
    return torch.nn.Sequential(
        torch.nn.Linear(n_in, 16),
        torch.nn.GroupNorm(4, 16),
        torch.nn.Tanh(),
        torch.nn.Linear(16, n_out),
    )


def batch_normed(n_in, n_out):
    return torch.nn.Sequential(torch.nn.BatchNorm1d(n_in), torch.nn.Linear(n_in, n_out))


FITS = {
    "sampler": (GAMOSampler(max_rounds=12, **SMALL), table),
    # A batch of 7 rows is 3 and 4.
    "uneven": (GAMOSampler(max_rounds=12, batch_size=7, **SMALL), table),
    # Per class one row is drawn: the first process has none.
    "none": (
        GAMOSampler(
            neighborhood=None,
            schedule="per_class",
            batch_size=3,
            max_rounds=6,
            **SMALL,
        ),
        table,
    ),
    "neighbors": (
        GAMOSampler(neighborhood=4, schedule="algorithm", max_rounds=6, **SMALL),
        table,
    ),
    "grouped": (GAMOSampler(neighborhood=4, max_rounds=6, **SMALL), grouped),
    "features": (
        GAMOSampler(feature_extractor="conv", max_rounds=6, **SMALL),
        images,
    ),
    "unconstrained": (
        GAMOSampler(generator="unconstrained", max_rounds=6, **SMALL),
        table,
    ),
    "hull": (
        GAMOClassifier(
            neighborhood=None,
            classifier=group_normed,
            discriminator=None,
            max_rounds=12,
            **SMALL,
        ),
        table,
    ),
    "images": (
        GAMOClassifier(
            feature_extractor="conv",
            loss="log_loss",
            mixup=0.3,
            class_weight="balanced",
            weight_averaging=0.9,
            batch_size=9,
            max_iter=2,
            **SMALL,
        ),
        images,
    ),
    "stopped": (
        GAMOClassifier(
            early_stopping=True,
            n_iter_no_change=2,
            validation_fraction=0.3,
            rounds_per_epoch=2,
            learning_rate=0.05,
            feature_extractor="conv",
            max_iter=12,
            **SMALL,
        ),
        table,
    ),
    "weighted": (
        GAMOClassifier(
            early_stopping=True,
            feature_extractor="conv",
            class_weight="balanced",
            mixup=0.3,
            batch_size=9,
            max_iter=2,
            **SMALL,
        ),
        weighted,
    ),
    "plain": (GAMOClassifier(generator=None, max_iter=3, **SMALL), table),
}


def outcome(estimator, data):
    """Everything that a fit leaves behind, as arrays by name."""
    X, y, *given = data()
    given = dict(*given)
    if isinstance(estimator, GAMOSampler):
        X_resampled, y_resampled = estimator.fit_resample(X, y, **given)
        found = {"X": X_resampled, "y": y_resampled}
    else:
        found = {"probabilities": estimator.fit(X, y, **given).predict_proba(X)}
    for name, network in estimator._networks().items():
        found |= {f"{name}.{k}": v.numpy() for k, v in network.state_dict().items()}
    for name in estimator.history_[0]:
        found[f"history.{name}"] = [record[name] for record in estimator.history_]
    return found


DIFFERENT = {
    "learning_rate": (1e-3, 2e-3),
    "batch_size": (32, 33),
    "max_rounds": ("auto", 9),
    "sampling_strategy": ("auto", {1: 30}),
    "classifier": (group_normed, batch_normed),
}


def refusal(estimator, *data):
    try:
        estimator.fit(*data)
    except ValueError as error:
        return str(error)
    return "accepted"


def what_else(rank):
    """Fits of which it counts how they begin and end."""
    X, y = table()
    classifier = GAMOClassifier(max_iter=1, **SMALL)
    normed = clone(classifier).set_params(classifier=batch_normed)
    failing = clone(FITS["hull"][0]).set_params(learning_rate=1e30)
    fresh = clone(classifier).set_params(random_state=None, verbose=rank).fit(X, y)
    found = {
        "statistics": refusal(normed, X, y),
        "rows": refusal(classifier, X + rank, y),
        "labels": refusal(classifier, X, np.roll(y, rank)),
        "weights": refusal(classifier, X, y, 1 + rank * y),
        "seed": refusal(clone(classifier).set_params(random_state=rank), X, y),
        "failure": refusal(failing, X, y),
        "further": further_fits(),
        "fresh": fresh.predict_proba(X).tolist(),
    }
    found["ends"] = [
        (model.n_iter_, model.n_rounds_)
        for model in (
            ended(callbacks=[lambda view: rank == 1 and view.epoch == 2]),
            ended(max_time=[None, 1e-9][rank]),
        )
    ]
    for name, values in DIFFERENT.items():
        own = clone(classifier).set_params(**{name: values[rank]})
        found[name] = refusal(own, X, y)
    for n_jobs in (1, 2):
        with parallel_config("threading", n_jobs=n_jobs):
            found[f"search of {n_jobs}"] = cross_validated()
    return found | {"group": dist.is_initialized()}


def further_fits():
    """Probabilities after fits that go on from others."""
    X, y = table()
    model = GAMOClassifier(max_iter=2, warm_start=True, **SMALL).fit(X, y).fit(X, y)
    model.partial_fit(X[::2], y[::2]).partial_fit(X[1::2], y[1::2])
    return model.predict_proba(X).tolist()


def ended(**parameters):
    """A fit of five epochs that something ends in one process."""
    model = GAMOClassifier(max_iter=5, rounds_per_epoch=3, **SMALL)
    return model.set_params(**parameters).fit(*table())


def cross_validated():
    """Scores, and whether each fit had a group."""
    in_group = []

    def classifier(n_in, n_out):
        in_group.append(dist.is_initialized())
        return group_normed(n_in, n_out)

    model = GAMOClassifier(classifier=classifier, max_iter=1, **SMALL)
    scores = cross_val_score(model, *table(), cv=2, scoring="neg_log_loss")
    return scores.tolist(), in_group


def pictures():
    """Images by GAMO2Pix, whose game is shared and whose decoder is not."""
    X, y = images()
    game = GAMOClassifier(feature_extractor="conv", max_rounds=4, **SMALL)
    settings = {"max_rounds": 4, "random_state": 0, "device": "cpu"}
    return GAMO2Pix(game, **settings).fit_resample(X / 16, y)[0]


def gone_on_with(path):
    """A fit in two parts, and what the second one prints."""
    estimator, data = FITS["images"]
    fit = clone(estimator).set_params(checkpoint=path)
    outcome(clone(fit).set_params(max_iter=1), data)
    with redirect_stdout(StringIO()) as out:
        found = outcome(fit.set_params(resume=True, verbose=2), data)
    return found, out.getvalue()


def lonely_refusal():
    """Of a fit to which the other process does not come; no fit can follow it."""
    _distributed.LONGEST_WAIT = timedelta(seconds=1)
    try:
        GAMOClassifier(max_iter=1, **SMALL).fit(*table())
    except TimeoutError as error:
        return str(error)


def run_the_page_s_script():
    """In the current folder, the first process's own part of it too."""
    namespace = {}
    exec(snippet("doc/large.rst", "# train.py"), namespace)
    exec(snippet("doc/large.rst", "# alone"), namespace)


def main(folder):
    rank = int(os.environ["RANK"])
    torch.set_num_threads(1)
    for name, (estimator, data) in FITS.items():
        np.savez(folder / f"{name}.{rank}.npz", **outcome(estimator, data))
    found = what_else(rank)
    np.save(folder / f"pictures.{rank}.npy", pictures())
    gone_on, found["printed"] = gone_on_with(folder / "training")
    np.savez(folder / f"gone_on.{rank}.npz", **gone_on)
    dist.init_process_group("gloo")
    np.savez(folder / f"own.{rank}.npz", **outcome(*FITS["sampler"]))
    found["own group"] = dist.is_initialized()
    dist.destroy_process_group()
    with chdir(folder):
        run_the_page_s_script()
    if rank == 0:
        found["alone"] = lonely_refusal()
    (folder / f"what_else.{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
