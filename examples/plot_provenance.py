"""
=====================================
Where does a generated row come from?
=====================================

A generated row is a weighted mean of real rows of its class, and the sampler keeps the
weights. So questions that other generators leave open have exact answers: which rows
went into this one, which real rows carry the most, what depends on a row that must go,
and whether a split leaks.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from imblearn.datasets import make_imbalance
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import StratifiedKFold

from gamo_sampler import GAMOSampler
from gamo_sampler.displays import ContributorsDisplay, SourceWeightsDisplay

torch.set_num_threads(1)  # more would gain little with networks this small

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
y = y.map({0: "malignant", 1: "benign"})
counts = {"malignant": 30, "benign": 300}
X, y = make_imbalance(X, y, sampling_strategy=counts, random_state=0)

sampler = GAMOSampler(random_state=0)
X_resampled, y_resampled = sampler.fit_resample(X, y)
print(len(X), "rows,", len(X_resampled) - len(X), "generated ones behind them")

# %%
# One row
# -------
#
# By default a row lies between two real ones. With ``neighborhood=None`` it may be made
# of all rows of its class, as in the paper; most of them have little weight.

row = len(X) + 5
print(sampler.explain(row))
rebuilt = sampler.provenance_[[row - len(X)]] @ X.to_numpy()
print("the weighted mean is the row:", np.allclose(rebuilt, X_resampled.iloc[row]))

hull = GAMOSampler(neighborhood=None, random_state=0)
hull.fit_resample(X, y)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
ContributorsDisplay.from_estimator(sampler, row, ax=axes[0])
ContributorsDisplay.from_estimator(hull, row, ax=axes[1])
axes[0].set_title(f"row {row}, of two sources")
axes[1].set_title(f"row {row}, of the whole class")

# %%
# That is one row; many others are nearer to a copy. Of all generated rows, those with
# more than .95 of their weight on one real row:

for name, fitted in (("two sources", sampler), ("the whole class", hull)):
    print(f"{name:15s} {fitted.audit()['malignant']['near_copies']:.0%} near copies")

# %%
# All rows
# --------
#
# The weights of all generated rows on each real one: a malignant row with a sum of 10
# is ten generated rows' worth of the output. The benign rows have none, as no benign
# row was generated. The plane is that of the first two principal components.

SourceWeightsDisplay.from_estimator(sampler, X, y)

# %%
# A row that must go
# ------------------
#
# A patient takes back consent. The generated rows that depend on that row are known,
# and ``withdraw`` takes them out with it. The networks have still learned from it,
# which only a new fit undoes.

weights = np.asarray(sampler.provenance_.sum(axis=0)).ravel()
heaviest = int(weights.argmax())
print(f"row {heaviest} is worth {weights[heaviest]:.1f} generated rows")
print("generated rows that depend on it:", len(sampler.affected_by([heaviest])))
kept = sampler.withdraw([heaviest])
print("rows left:", len(kept), "of", len(X_resampled))

# %%
# A split that leaks
# ------------------
#
# Whoever resamples first and splits afterwards trains on mixtures of test rows. The
# weights show which rows: those whose sources are not all in the same fold. In a
# pipeline the sampler sees the training rows alone, and there can be none.

sampler.fit_resample(X, y)
folds = StratifiedKFold(5, shuffle=True, random_state=0).split(X, y)
leaking = sampler.check_leakage(folds)
print(f"{len(leaking)} of {len(X_resampled) - len(X)} generated rows leak")

plt.show()
