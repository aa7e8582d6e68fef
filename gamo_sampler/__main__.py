"""``python -m gamo_sampler``: the game against SMOTE and against doing nothing.

Or, with the name of one as the first argument, the commands of ``_cli``.
"""

import argparse
import sys
import time
import zipfile

import numpy as np
import torch
from imblearn.datasets import make_imbalance
from imblearn.metrics import geometric_mean_score
from imblearn.over_sampling import SMOTE
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.multiclass import check_classification_targets

from . import GAMOClassifier, _cli
from ._images import as_rows

KEYS = ("x_train", "y_train", "x_test", "y_test")
DIGITS_COUNTS = (120, 100, 80, 60, 45, 35, 25, 18, 12, 8)
DIGITS_ROUNDS = 3_000
FILE_ROUNDS = 12_000
SEED = 0


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in _cli.COMMANDS:
        return _cli.main(argv)
    parser = argparse.ArgumentParser(
        prog="python -m gamo_sampler",
        description="Train a plain classifier network (CN), SMOTE + CN and GAMO on "
        "imbalanced data and print their recalls side by side. Without arguments: on "
        "scikit-learn's digits, made long-tailed.",
        epilog=f"For tables there are {' and '.join(_cli.COMMANDS)}: "
        "python -m gamo_sampler resample --help.",
    )
    parser.add_argument(
        "--data",
        metavar="FILE.npz",
        help=f"arrays {', '.join(KEYS)}; rows (n, features) or images",
    )
    parser.add_argument(
        "--counts",
        metavar="N,N,...",
        type=parse_counts,
        help="training rows to keep of each class, in ascending order of label",
    )
    arguments = parser.parse_args(argv)
    try:
        data = load_file(arguments.data) if arguments.data else load_long_digits()
        counts = arguments.counts or (None if arguments.data else DIGITS_COUNTS)
        check(*data)
        data = data if counts is None else keep(data, counts)
    except (OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        parser.error(str(error))
    compare(*data, max_rounds=FILE_ROUNDS if arguments.data else DIGITS_ROUNDS)


def parse_counts(text):
    try:
        counts = [int(n) for n in text.split(",")]
        if min(counts) < 1:
            raise ValueError
        return counts
    except ValueError:
        message = f"{text!r} is not a list of positive integers such as 400,200,100"
        raise argparse.ArgumentTypeError(message) from None


def load_long_digits():
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X.reshape(-1, 8, 8), y, test_size=0.3, stratify=y, random_state=SEED
    )
    return X_train, y_train, X_test, y_test


def load_file(path):
    if not zipfile.is_zipfile(path):
        # Opened so that a file that is not there says so by itself.
        with open(path):
            raise ValueError(f"{path} is not an .npz file.")
    with np.load(path) as arrays:
        missing = [key for key in KEYS if key not in arrays]
        if missing:
            raise ValueError(f"{path} has no array {', '.join(missing)}.")
        return [arrays[key] for key in KEYS]


def check(X_train, y_train, X_test, y_test):
    """Find what is wrong before anything is trained."""
    if X_train.shape[1:] != X_test.shape[1:] or X_train.ndim < 2:
        raise ValueError(
            "x_train and x_test must be rows or images of one shape, got "
            f"{X_train.shape} and {X_test.shape}."
        )
    for part, X, y in (("train", X_train, y_train), ("test", X_test, y_test)):
        if y.ndim != 1:
            raise ValueError(f"y_{part} must be one-dimensional, got {y.shape}.")
        if X.dtype.kind in "mM":
            raise ValueError(f"x_{part} holds dates ({X.dtype}), not numbers.")
        rows, _ = as_rows(X, None)
        check_array(rows, input_name=f"x_{part}")
        check_consistent_length(X, y)
    check_classification_targets(y_train)
    if set(y_train.tolist()) != set(y_test.tolist()) or len(set(y_test.tolist())) < 2:
        raise ValueError(
            "y_train and y_test must hold the same labels, two or more, got "
            f"{np.unique(y_train).tolist()} and {np.unique(y_test).tolist()}."
        )


def keep(data, counts):
    """Draw `counts` training rows of each class, without replacement."""
    X_train, y_train, *test = data
    labels = np.unique(y_train)
    if len(labels) != len(counts):
        raise ValueError(
            f"--counts has {len(counts)} numbers, but there are {len(labels)} classes."
        )
    wanted = dict(zip(labels, counts, strict=True))
    rows = np.arange(len(y_train))[:, None]
    rows, y_train = make_imbalance(
        rows, y_train, sampling_strategy=wanted, random_state=SEED
    )
    return X_train[rows[:, 0]], y_train, *test


def smote(X, y):
    """SMOTE on flattened rows, in the shape of X."""
    # In floats: imblearn subtracts rows in their dtype, and uint8 wraps around.
    rows = X.reshape(len(X), -1).astype(np.result_type(X.dtype, np.float32))
    neighbors = min(5, np.unique(y, return_counts=True)[1].min() - 1)
    sampler = SMOTE(k_neighbors=neighbors, random_state=SEED)
    rows, y = sampler.fit_resample(rows, y)
    return rows.reshape(-1, *X.shape[1:]), y


def compare(X_train, y_train, X_test, y_test, max_rounds):
    """Train the three contenders and print the table."""
    length = {"max_iter": max_rounds, "max_rounds": max_rounds, "random_state": SEED}
    plain = GAMOClassifier(generator=None, verbose=1, **length)
    game = GAMOClassifier(verbose=1, **length)
    contenders = {"CN": (plain, None), "SMOTE+CN": (plain, smote), "GAMO": (game, None)}
    labels, n_train = np.unique(y_train, return_counts=True)
    if n_train.min() < 2:
        print("SMOTE+CN is left out: SMOTE needs 2 rows of every class.")
        del contenders["SMOTE+CN"]
    print(
        f"{len(y_train)} training rows in {len(labels)} classes of {n_train.max()} to "
        f"{n_train.min()}, {len(y_test)} test rows.",
        flush=True,
    )
    columns = {
        name: evaluate(name, *contender, X_train, y_train, X_test, y_test, labels)
        for name, contender in contenders.items()
    }
    print_table(labels, n_train, columns)
    print(
        f"""
recall  share of a class's test rows that is found
ACSA    mean recall of the classes (sklearn balanced_accuracy_score)
GM      geometric mean of the recalls (imblearn geometric_mean_score)
s       seconds of training, SMOTE included
CN          GAMOClassifier(generator=None): the classifier network alone
SMOTE+CN    the same network on rows balanced by imblearn's SMOTE, in the input space
GAMO        GAMOClassifier(): the same network in the game, default settings
Each takes {max_rounds} updates of the classifier, with 32 real (or SMOTE's) rows per
update; GAMO's updates see 32 generated rows on top. Random state {SEED}: one draw, one
run each, so differences of .01 mean nothing."""
    )


def evaluate(name, model, resample, X_train, y_train, X_test, y_test, labels):
    """Train one contender; its column of the table."""
    print(f"\n{name}", flush=True)
    start = time.perf_counter()
    if resample is not None:
        X_train, y_train = resample(X_train, y_train)
    model.fit(X_train, y_train)
    seconds = time.perf_counter() - start
    y_found = model.predict(X_test)
    recalls = recall_score(y_test, y_found, labels=labels, average=None)
    return [
        *(f"{recall:.3f}" for recall in recalls),
        f"{balanced_accuracy_score(y_test, y_found):.3f}",
        f"{geometric_mean_score(y_test, y_found):.3f}",
        f"{seconds:.1f}",
    ]


def print_table(labels, n_train, columns):
    rows = [("recall of", "training rows", *columns)]
    names = [*(f"class {label}" for label in labels), "ACSA", "GM", "s"]
    rows += zip(names, [*map(str, n_train), "", "", ""], *columns.values(), strict=True)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for first, *rest in rows:
        cells = [cell.rjust(w) for cell, w in zip(rest, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]))


if __name__ == "__main__":
    # Networks this small gain little from more threads, and lose a lot on a busy
    # machine; and once M is sure, gradients too small for a normal float cost a
    # CPU several times the time. The library leaves both settings to its caller.
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    main()
