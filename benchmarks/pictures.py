"""Generated images beside real ones: GAMO2pix, the conditional GAN, SMOTE, copies.

``python -m benchmarks.pictures fashion_mnist --data-home DATA --seeds 0-2 --out FILE``
balances the long-tailed training images with each method and writes a row of JSON with

- the distances between a class's generated images (1,000 at most) and its official
  test images, in the features of a judge: a network of its own kind, trained on all
  official training images with balanced class weights. Means over the nine classes
  that are generated;
- ``novelty``: the mean distance from a generated image to its nearest training image
  of the class, over that of a test image. 0 are copies;
- ACSA and GM on the test images of the plain network, trained on the balanced images;
  not for the variants of GAMO2pix.

The game and the networks of every method have the protocol's length: GAMO2pix trains
the game, which its variants share, and a decoder of as many minibatches, the GAN one
generator and one discriminator. ``seconds`` leave the game out. A picture of the first
seed's images, a line per class, stands beside the rows. Runs that are in the file are
not done again.
"""

import argparse
import sys
import time
from itertools import pairwise

import numpy as np
import torch
from sklearn.base import clone
from threadpoolctl import threadpool_limits
from torch import nn

from gamo_sampler import GAMOClassifier, datasets
from gamo_sampler.metrics import (
    coverage,
    frechet_distance,
    kernel_distance,
    nearest_real_distance,
    precision_recall,
)

from . import methods, protocols, report, rows
from .__main__ import parse_seeds

N_COMPARED = 1000
N_SHOWN = 10
# Epochs in which the judge gets no better on a part of its training images.
JUDGE_EPOCHS = {"mnist": 3, "fashion_mnist": 3, "cifar10": 10, "svhn": 3}


# Methods --------------------------------------------------------------------


def gamo2pix(s, game, **parameters):
    """GAMO2Pix on the fitted game."""
    given = {"classifier": game, "prefit": True}
    return methods.gamo2pix(s).set_params(**given | parameters)


METHODS = {
    "gamo2pix": gamo2pix,
    "gamo2pix_per_class": lambda s, game: gamo2pix(s, game, decoder="per_class"),
    "gamo2pix_no_detail": lambda s, game: gamo2pix(s, game, detail=0.0),
    # As published: a decoder per class, whose images are taken as they are.
    "gamo2pix_published": lambda s, game: gamo2pix(
        s, game, decoder="per_class", detail=0.0
    ),
    "cdcgan": lambda s, game: methods.cgan(s),
    "smote": lambda s, game: methods.smote(s),
    "oversample": lambda s, game: methods.oversample(s),
}
# Those on whose images the plain network is trained.
DOWNSTREAM = ("gamo2pix", "cdcgan", "smote", "oversample")


# The judge --------------------------------------------------------------------


def convolutions(image_shape, n_out):
    """Three convolutions with batch normalisation, and the means of 64 channels.

    Few features, as a distance of laws in many is biased where images are few.
    """
    widths = image_shape[0], 32, 64, 64
    layers = []
    for n_in, n in pairwise(widths):
        layers += [nn.Conv2d(n_in, n, 3, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(n), nn.ReLU(), nn.MaxPool2d(2)]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return network.to(memory_format=torch.channels_last)


def train_judge(name, data_home, device, n_rounds=None):
    """A plain network on all official training images, the same for every seed."""
    data = datasets.fetch_long_tailed(
        name, counts="all", random_state=0, data_home=data_home
    )
    judge = GAMOClassifier(
        generator=None,
        feature_extractor=convolutions,
        loss="log_loss",
        class_weight="balanced",
        batch_size=64,
        max_iter=JUDGE_EPOCHS[name],
        max_rounds=n_rounds,
        random_state=0,
        device=device,
    ).fit(data.X_train, data.y_train)
    accuracy = judge.score(data.X_test, data.y_test)
    print(f"judge of {name}: accuracy {accuracy:.3f}", flush=True)
    return judge, accuracy


# One run ----------------------------------------------------------------------


def run(job, judge, game):
    """The row of one method, and its generated images by class."""
    data = protocols.load(job.protocol, job.seed, job.data_home)
    settings = protocols.split_settings(job, data)
    sampler = METHODS[job.method](settings, game)
    start = time.perf_counter()
    X, y = sampler.fit_resample(data.X_train, data.y_train)
    seconds = time.perf_counter() - start
    new, labels = X[len(data.X_train) :], y[len(data.X_train) :]
    images = {i: new[labels == i][:N_COMPARED] for i in np.unique(labels)}
    downstream = {}
    if job.method in DOWNSTREAM:
        network = methods.plain(settings).fit(X, y)
        downstream = protocols.scores(network, data)
    row = job.row(
        "M",
        protocols.describe(sampler),
        **quality(images, data, judge),
        **downstream,
        n_test=len(data.y_test),
        seconds=seconds,
    )
    return row, images


def quality(images, data, judge):
    """The measures by class, in the judge's features, and their means."""
    by_class = [measures(of_class(data, i), images[i], judge) for i in images]
    means = {k: float(np.mean([m[k] for m in by_class])) for k in by_class[0]}
    return means | {"frechet_by_class": [m["frechet"] for m in by_class]}


def of_class(data, i):
    return data.X_train[data.y_train == i], data.X_test[data.y_test == i]


def measures(real, generated, judge):
    seen, unseen, made = map(judge.extract_features, (*real, generated))
    precision, recall = precision_recall(unseen, made)
    novelty = [nearest_real_distance(seen, other).mean() for other in (made, unseen)]
    return {
        "frechet": frechet_distance(unseen, made),
        "kernel": kernel_distance(unseen, made),
        "precision": precision,
        "generative_recall": recall,
        "coverage": coverage(unseen, made),
        "novelty": novelty[0] / novelty[1],
    }


def draw(images, image_shape, path):
    """A line of images per class."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(N_SHOWN * 0.6, len(images) * 0.6))
    axes = figure.subplots(len(images), N_SHOWN, squeeze=False)
    for line, of_one in zip(axes, images.values(), strict=True):
        for ax, flat in zip(line, of_one, strict=False):
            image = np.moveaxis(flat.reshape(image_shape), 0, -1)
            ax.imshow(image.squeeze() / 255, cmap="gray", vmin=0, vmax=1)
    for ax in axes.flat:
        ax.axis("off")
    figure.subplots_adjust(0, 0, 1, 1, 0.05, 0.05)
    figure.savefig(path, dpi=100)


# Command line -----------------------------------------------------------------


def main(arguments=None):
    a = parse(arguments)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    writer = rows.Writer(a.out)
    judge = None
    for seed in a.seeds:
        jobs = [
            protocols.Job(
                a.protocol,
                report.PICTURES,
                "least_squares",
                name,
                seed,
                data_home=a.data_home,
                device=a.device,
                rounds=a.rounds,
            )
            for name in a.methods
        ]
        jobs = [job for job in jobs if not writer.keys.issuperset(job.keys())]
        if not jobs:
            continue
        with threadpool_limits(1):
            judge = judge or train_judge(a.protocol, a.data_home, a.device, a.rounds)
            run_seed(jobs, *judge, writer, draws=seed == a.seeds[0])
    return 0


def run_seed(jobs, judge, accuracy, writer, draws):
    """All methods on one draw; those of GAMO2pix share their game."""
    game = None
    for job in jobs:
        if job.method.startswith("gamo") and game is None:
            game = fit_game(job)
        row, images = run(job, judge, game)
        writer.add(row | {"judge_accuracy": accuracy})
        print(
            f"{job.protocol} {job.method} seed {job.seed}: Fréchet {row['frechet']:.2f}"
            f", ACSA {row.get('acsa', np.nan):.3f}",
            flush=True,
        )
        if draws:
            shape = protocols.load(job.protocol, job.seed, job.data_home).image_shape
            path = writer.path.with_name(f"{writer.path.stem}_{job.method}.png")
            draw(images, shape, path)


def fit_game(job):
    data = protocols.load(job.protocol, job.seed, job.data_home)
    model = clone(methods.game(protocols.split_settings(job, data)))
    return model.fit(data.X_train, data.y_train)


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures")
    parser.add_argument("protocol", choices=sorted(JUDGE_EPOCHS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=parse_seeds, default="0-2")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--data-home")
    parser.add_argument("--rounds", type=int, help="smoke tests only")
    parser.add_argument("--out", required=True)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
