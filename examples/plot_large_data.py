"""
=================================
More rows than memory should hold
=================================

A balanced data set need not exist in memory at once. Here it is written to disk block
by block, from a table in a file; then partition by partition, from Parquet to Parquet;
and in the end it is not written at all: minibatches get new rows as they are drawn.

The table is small, so that this page is quick. The calls are those for a large one.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.datasets import make_classification
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import recall_score
from torch.utils.data import DataLoader

from gamo_sampler import GAMOSampler
from gamo_sampler.data import BalancedDataset, resample_parquet

torch.set_num_threads(1)  # more would gain little with networks this small

X, y = make_classification(
    40_000, 20, n_informative=8, weights=[0.97], class_sep=0.8, random_state=0
)
X = X.astype(np.float32)
X_test, y_test = X[30_000:], y[30_000:]
X, y = X[:30_000], y[:30_000]
# Windows keeps files that are mapped: there it is cleaned up as far as it can be.
folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
path = Path(folder.name)

# %%
# From a file, in blocks
# ----------------------
#
# A ``numpy.memmap`` stays on disk: training reads the rows of its minibatches, and
# ``iter_resample`` gives the result in blocks. A learner that takes blocks, such as one
# with ``partial_fit``, never needs more than one of them. The real rows come first,
# then the generated ones of each class, so blocks are collected here and shuffled.

np.save(path / "rows.npy", X)
on_disk = np.load(path / "rows.npy", mmap_mode="r")
sampler = GAMOSampler(random_state=0)
sizes = []
balanced = np.lib.format.open_memmap(
    path / "balanced.npy", "w+", X.dtype, (2 * np.bincount(y).max(), X.shape[1])
)
labels = np.empty(len(balanced), dtype=y.dtype)
for rows, own in sampler.iter_resample(on_disk, y, chunk_size=8192):
    first = sum(sizes)
    balanced[first : first + len(rows)] = rows
    labels[first : first + len(rows)] = own
    sizes.append(len(rows))
print(len(X), "rows became", sum(sizes), "in blocks of at most", max(sizes))

# %%
# The learner then reads the file in any order: as many minibatches of 256 rows drawn at
# random from the rows as they were, and from the balanced ones.


def learned(rows, own):
    model = SGDClassifier(loss="log_loss", random_state=0)
    rng = np.random.default_rng(0)
    for _ in range(200):
        batch = np.sort(rng.choice(len(own), 256, replace=False))  # as in the file
        model.partial_fit(rows[batch], own[batch], classes=[0, 1])
    return recall_score(y_test, model.predict(X_test), average=None)


recalls = {"as it is": learned(on_disk, y), "balanced": learned(balanced, labels)}

# %%
# From Parquet to Parquet
# -----------------------
#
# A folder of files in, a folder of files out: the real ones as they are, and one more
# of generated rows.

source = path / "source"
source.mkdir()
frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])]).assign(target=y)
for i, part in enumerate(np.array_split(np.arange(len(frame)), 3)):
    frame.iloc[part].to_parquet(source / f"part-{i}.parquet", index=False)
counts = resample_parquet(
    source, path / "target", label="target", sampler=GAMOSampler(random_state=0)
)
print(counts)
print(sorted(file.name for file in (path / "target").iterdir()))

# %%
# Nothing written at all
# ----------------------
#
# For a torch training loop of your own: minibatches of real rows and of generated ones,
# which are new in each pass.

dataset = BalancedDataset(sampler, on_disk, y, batch_size=256, random_state=0)
seen = np.zeros(2, dtype=int)
generator = torch.Generator().manual_seed(0)  # a loader draws a seed for each pass
for _, own in DataLoader(dataset, batch_size=None, generator=generator):
    seen += np.bincount(own.numpy(), minlength=2)
print("labels seen in one epoch:", seen)

# %%
# What balancing did
# ------------------
#
# The two learners from above. As over-sampling does in general, it moved the threshold:
# more of the minority is found, and less of the majority.

figure, ax = plt.subplots(figsize=(5, 3.4), layout="constrained")
positions = np.arange(2)
for i, (name, found) in enumerate(recalls.items()):
    color = ("tab:blue", "tab:orange")[i]
    bars = ax.bar(positions + 0.4 * i, found, 0.38, color=color, label=name)
    ax.bar_label(bars, fmt="%.2f")
ax.set_xticks(positions + 0.2, ["majority", "minority"])
ax.set(ylabel="recall on test rows", ylim=(0, 1.4), yticks=np.linspace(0, 1, 6))
ax.legend(title="200 minibatches", loc="upper center", ncols=2)

folder.cleanup()
plt.show()
