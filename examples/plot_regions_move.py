"""
=======================================
Decision regions while the game goes on
=======================================

Two moons, one of them with 30 rows where the other has 300. A callback keeps the
classifier's regions after some epochs, of a network that learns alone and of one that
plays against the generator, and the recalls after each.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from imblearn.datasets import make_imbalance
from sklearn.datasets import make_moons
from sklearn.metrics import recall_score

from gamo_sampler import GAMOClassifier
from gamo_sampler.displays import TrainingHistoryDisplay

torch.set_num_threads(1)  # more would gain little with networks this small

X, y = make_moons(2000, noise=0.25, random_state=0)
X_test, y_test = X[1000:], y[1000:]
X, y = make_imbalance(
    X[:1000], y[:1000], sampling_strategy={0: 300, 1: 30}, random_state=0
)

# %%
# A callback is a function that is called after each epoch with a view of it. It can
# predict with the classifier as it stands, and it would end training by returning
# True. This one keeps the probabilities of the small moon on a grid, and the recalls on
# test rows.

DRAWN = (1, 5, 20, 100)
x1, x2 = np.meshgrid(np.linspace(-1.8, 2.8, 120), np.linspace(-1.5, 2.0, 120))
grid = np.column_stack([x1.ravel(), x2.ravel()])
seen, recalls = {}, []


def look(view):
    predicted = view.classes[view.predict_proba(X_test).argmax(axis=1)]
    recalls.append(recall_score(y_test, predicted, average=None))
    if view.epoch in DRAWN:
        seen[view.epoch] = view.predict_proba(grid)[:, 1].reshape(x1.shape)


def fit(**changes):
    """A game of 100 epochs; the same M alone where there is no generator."""
    seen.clear()
    recalls.clear()
    length = {"max_iter": 100, "max_rounds": None}
    model = GAMOClassifier(callbacks=[look], random_state=0, **length, **changes)
    model.fit(X, y)
    return model, dict(seen), np.array(recalls)


game, regions, recalls_of_game = fit()
alone, regions_alone, recalls_alone = fit(generator=None)

# %%
# In the upper line the network learns alone. After a first epoch, in which it has
# hardly left its random weights, it gives the small moon up for some epochs, and finds
# it again slowly. In the lower line it plays the game, with rows of the generator for
# those that the small moon lacks, which the last panel shows: the small moon has its
# region from the beginning, at first with much of the large one in it.

figure, axes = plt.subplots(
    2, len(DRAWN), figsize=(11, 5.4), sharex=True, sharey=True, layout="constrained"
)
for line, (name, found) in zip(
    axes, {"alone": regions_alone, "game": regions}.items(), strict=True
):
    for ax, epoch in zip(line, DRAWN, strict=True):
        ax.contourf(x1, x2, found[epoch], levels=[0, 0.5, 1], cmap="cividis", alpha=0.4)
        ax.scatter(*X[y == 0].T, c="tab:blue", s=4, label="large moon")
        small = {"c": "black", "s": 12, "marker": "x", "linewidth": 1, "zorder": 3}
        ax.scatter(*X[y == 1].T, label="small moon", **small)
        ax.set_title(f"{name}, epoch {epoch}")
        ax.set(xticks=[], yticks=[])
figure.supxlabel("first column")
figure.supylabel("second column")
generated, _ = game.sample({1: 270}, random_state=0)
orange = {"c": "tab:orange", "s": 10, "marker": "+", "linewidth": 0.7}
axes[1, -1].scatter(*generated.T, label="generated for the small moon", **orange)
handles, labels = axes[1, -1].get_legend_handles_labels()
figure.legend(handles, labels, loc="outside upper center", ncols=3, markerscale=2)

# %%
# The recalls of both moons on test rows, epoch by epoch. What the small moon gains
# costs the large one some of its rows.

figure, ax = plt.subplots(layout="constrained")
epochs = np.arange(1, 101)
for name, found, style in (
    ("alone", recalls_alone, "--"),
    ("game", recalls_of_game, "-"),
):
    ax.plot(epochs, found[:, 0], style, c="tab:blue", label=f"large moon, {name}")
    ax.plot(epochs, found[:, 1], style, c="black", label=f"small moon, {name}")
ax.set(xlabel="epoch", ylabel="recall on test rows", ylim=(0, 1.02))
ax.legend()
given_up = epochs[recalls_alone[:, 1] == 0]
print(f"alone, no row of the small moon in epochs {given_up[0]} to {given_up[-1]}")

# %%
# A part of that comes without any generated row: the network alone, told to decide as
# if the moons were equally frequent, which moves its threshold. The game is ahead of it
# here, in one run on one draw of the moons.

moved = recall_score(y_test, alone.predict(X_test, prior="uniform"), average=None)
for name, found in (
    ("alone", recalls_alone[-1]),
    ("alone, threshold moved", moved),
    ("game", recalls_of_game[-1]),
):
    print(f"{name:22s} recalls {found.round(2)}, mean {found.mean():.3f}")

# %%
# The players' losses, and how the game stood, are kept as well.

TrainingHistoryDisplay.from_estimator(game)
plt.show()
