"""Cost of one round at MNIST's published sizes, as ratios within one run.

``python -m benchmarks.step`` times, on one thread and on all threads,

(a) a round of the plain classifier network,
(b) a round of the game on the full hull, ``neighborhood=None``,
(c) a round of the game with the default ``neighborhood="class"``,
(d) the plain transcription of the "per_class" schedule (tests/transcription.py),
(e) and (f) the package's "algorithm" and "per_class" schedules on the full hull,

with batches of 32, 784 features and 5,000 minority rows in nine classes, the share of
(b) and (c) that is spent in products of matrices, by torch's profiler, whose own time
counts as the rest, and the peak memory of (b), in a process of its own (Linux only).
The rows are noise: cost does not depend on their values. (b) and (c) take one step of G
per round, (e) two, (d) and (f) eighteen.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from gamo_sampler import published
from tests.test_game import make_game_of
from tests.transcription import PlainGame

COUNTS = [4000, 2000, 1000, 750, 500, 350, 200, 100, 60, 40]
N_FEATURES = 784
PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm")
PUBLISHED = published("mnist") | {"image_shape": None}


def rows():
    y = np.repeat(np.arange(len(COUNTS)), COUNTS)
    X = np.random.default_rng(0).normal(size=(len(y), N_FEATURES))
    return X.astype(np.float32), y


def played(schedule, **parameters):
    """A function that plays n rounds of the game."""
    game = make_game_of(*rows(), **PUBLISHED | {"schedule": schedule} | parameters)

    def play(n_rounds):
        for index in game.batches(n_rounds):
            game.play(game.draw_round(index))

    return play


def transcribed():
    """A function that plays n rounds of the published loop as it reads."""
    game = make_game_of(*rows(), **PUBLISHED | {"schedule": "per_class"})
    plain = PlainGame(game, "least_squares", "complement", 2e-4, (0.5, 0.999), 1e-7)

    def play(n_rounds):
        for index in game.batches(n_rounds):
            plain.per_class(game.draw_round(index))

    return play


def contenders():
    return {
        "(a) plain CN": played("joint", generator=None),
        "(b) game, full hull": played("joint"),
        "(c) game, default neighborhood": played("joint", neighborhood="class"),
        "(d) plain transcription, per_class": transcribed(),
        "(e) game, schedule=algorithm": played("algorithm"),
        "(f) game, schedule=per_class": played("per_class"),
    }


def time_rounds(n_threads, n_repeats, n_rounds):
    """Median milliseconds per round; the contenders take turns in every repeat."""
    torch.set_num_threads(n_threads)
    plays = contenders()
    seconds = {name: [] for name in plays}
    for _ in range(n_repeats + 1):
        for name, play in plays.items():
            start = time.perf_counter()
            play(n_rounds)
            seconds[name].append((time.perf_counter() - start) / n_rounds)
    # The first repeat warms up.
    return {name: 1000 * statistics.median(s[1:]) for name, s in seconds.items()}


def matrix_share(play, n_rounds):
    """Share of a round's time that is spent in products of matrices."""
    torch.set_num_threads(1)
    play(n_rounds)  # warms up
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler:
        play(n_rounds)
    times = {e.key: e.self_cpu_time_total for e in profiler.key_averages()}
    return sum(times.get(name, 0) for name in PRODUCTS) / sum(times.values())


def report(n_threads, times):
    a, b, c, d, *_ = times.values()
    print(f"\n{n_threads} thread(s)")
    for name, ms in times.items():
        print(f"{name:36s} {ms:8.3f} ms  {ms / a:6.2f} x (a)")
    print(f"(d) / (b): {d / b:.2f}   (c) / (a): {c / a:.2f}")


def peak_memory():
    """Greatest resident set in MiB: after the imports, and after 100 rounds of (b)."""
    command = [sys.executable, "-m", "benchmarks.step", "--memory"]
    output = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(output.stdout)


def measure_memory():
    before = peak_resident_set()
    torch.set_num_threads(1)
    played("joint")(100)
    print(json.dumps({"imports": before, "peak": peak_resident_set()}))


def peak_resident_set():
    # getrusage's ru_maxrss would carry over from the parent process.
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        measure_memory()
        sys.exit()
    for n_threads in sorted({1, torch.get_num_threads()}):
        report(n_threads, time_rounds(n_threads, arguments.repeats, arguments.rounds))
    for name, play in contenders().items():
        if name.startswith(("(b)", "(c)")):
            share = matrix_share(play, arguments.rounds)
            print(f"products of matrices in {name}: {share:.0%}")
    memory = peak_memory()
    print(
        f"\npeak memory of (b): {memory['peak']:.0f} MiB, of which imports "
        f"{memory['imports']:.0f} MiB"
    )
