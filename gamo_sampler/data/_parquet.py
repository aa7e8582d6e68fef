"""Parquet files resampled row group by row group."""

import os
import shutil
from numbers import Integral
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from sklearn.utils import check_scalar

from .._frames import fill
from .._lazy import ChunkedRows
from .._sampler import GAMOSampler
from .._typing import StrPath


def resample_parquet(
    source: StrPath,
    target: StrPath,
    *,
    label: str,
    sampler: GAMOSampler | None = None,
    chunk_size: int = 65536,
) -> dict[str, dict[Any, int]]:
    """Write a balanced copy of a Parquet dataset that need not fit in memory.

    The sampler trains on minibatches of the files. In memory are the labels, the rows
    of the classes that are generated, and one row group at a time.

    Parameters
    ----------
    source : str or path
        A Parquet file, or a folder of them, ``*.parquet``, with the same columns.
        Folders in it are not read, nor are values in their names, ``label=5``; nor are
        files whose names start with "_" or ".", which readers leave out. All columns
        but the label have to be numbers, without missing values.
    target : str or path
        A new folder, readable as one dataset: the files of `source` as they are, and
        behind them in the order of their names one of generated rows, with the same
        columns in the same types, compressed alike; integers are rounded. It appears
        when it is complete.
    label : str
        The name of the column of labels.
    sampler : GAMOSampler, default=None
        What generates the rows, without a `feature_extractor`; it is fitted, and can
        `sample` more of them afterwards. None is ``GAMOSampler()``.
    chunk_size : int, default=65536
        Number of generated rows that are written at a time, as a row group.

    Returns
    -------
    counts : dict
        Rows by label, ``{"before": {...}, "after": {...}}``; dates are numpy scalars,
        as in `sampling_strategy_`.

    Raises
    ------
    FileExistsError
        If there is a `target` already.
    FileNotFoundError
        If there is no Parquet file at `source`.
    ImportError
        Without pyarrow: ``pip install "gamo_sampler[large]"``.
    TypeError
        If a column beside the label holds no numbers.
    ValueError
        If there is no column of that name or no other one, if files have different
        columns, if labels are missing, if values are missing or infinite (where no
        class is generated only labels are read), if the columns hold the index of a
        frame, or if readers would leave out a single file for its name.

    See Also
    --------
    gamo_sampler.GAMOSampler.iter_resample : The same for arrays.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import pandas as pd
    >>> from sklearn.datasets import load_iris
    >>> from gamo_sampler import GAMOSampler
    >>> from gamo_sampler.data import resample_parquet
    >>> folder = TemporaryDirectory()
    >>> source = Path(folder.name, "iris.parquet")
    >>> target = Path(folder.name, "balanced")
    >>> load_iris(as_frame=True).frame[:110].to_parquet(source)  # 50, 50 and 10 rows
    >>> sampler = GAMOSampler(random_state=0)
    >>> counts = resample_parquet(source, target, label="target", sampler=sampler)
    >>> counts["after"]
    {0: 50, 1: 50, 2: 50}
    >>> pd.read_parquet(target).shape
    (150, 5)
    >>> folder.cleanup()
    """
    check_scalar(chunk_size, "chunk_size", Integral, min_val=1)
    sampler = _checked(GAMOSampler() if sampler is None else sampler)
    target = Path(target).absolute()
    if target.exists():
        raise FileExistsError(f"{target} exists; resample_parquet overwrites nothing.")
    files = _files(Path(source))
    schema = _schema(files, label)
    y = _labels(files, label)
    features = [name for name in schema.names if name != label]
    with TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
        sampler._learn(ParquetRows(files, features), y)
        whole = Path(folder) / target.name
        whole.mkdir()
        for file in files:
            shutil.copyfile(file, whole / file.name)
        new = whole / f"{files[-1].stem}_generated.parquet"
        _write(new, sampler._new_blocks(chunk_size), schema, label, _codec(files))
        os.rename(whole, target)
    return _counts(y, sampler.sampling_strategy_)


class ParquetRows(ChunkedRows):
    """Rows of Parquet files by index, as one type for all columns.

    Parameters
    ----------
    files : list of path
        With the same columns.
    columns : list of str
        Those to read, all of them numbers.
    """

    def __init__(self, files, columns):
        parquet = import_parquet()
        metadata = [parquet.read_metadata(file) for file in files]
        groups = [
            (file, m, i)
            for file, m in zip(files, metadata, strict=True)
            for i in range(m.num_row_groups)
        ]
        sizes = [m.row_group(i).num_rows for _, m, i in groups]
        edges = np.cumsum([0, *sizes])
        schema = parquet.read_schema(files[0])
        types = [schema.field(name).type.to_pandas_dtype() for name in columns]
        dtype = np.result_type(*types)

        def load(rows):
            first, last = edges.searchsorted([rows.start, rows.stop])
            out = np.empty((rows.stop - rows.start, len(columns)), dtype)
            for start, group in zip(edges[first:last], groups[first:last], strict=True):
                _read(group, columns, out[start - rows.start :])
            return out

        super().__init__((edges[-1], len(columns)), dtype, edges, load, columns)


def import_parquet():
    """pyarrow.parquet, or what to install."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            'Parquet files are read by pyarrow: pip install "gamo_sampler[large]".'
        ) from error
    return pyarrow.parquet


def _read(group, columns, out):
    """The columns of a row group into the first rows of `out`."""
    path, metadata, i = group
    with import_parquet().ParquetFile(path, metadata=metadata) as file:
        table = file.read_row_group(i, columns=columns)
    for j, name in enumerate(columns):
        column = table.column(name)
        if column.null_count:
            raise ValueError(f"{path} has missing values in column {name!r}.")
        out[: len(column), j] = column.to_numpy()


def _checked(sampler):
    if not isinstance(sampler, GAMOSampler):
        raise TypeError(
            f"sampler must be a GAMOSampler, got a {type(sampler).__name__}."
        )
    if sampler.feature_extractor is not None:
        raise ValueError(
            "sampler has a feature_extractor, so that its rows are features, not those "
            "of the columns; it has to be None."
        )
    for name, needed in (("categorical_features", "auto"), ("missing", "error")):
        given = getattr(sampler, name)
        if not isinstance(given, str) or given != needed:
            raise ValueError(
                f"Files are read as plain numbers, but the sampler has {name}={given!r}"
                f"; it has to be {needed!r}."
            )
    return sampler


def _files(source):
    if source.is_file():
        if _is_hidden(source):
            raise ValueError(
                f"Readers of the target would leave {source.name} out, as its name "
                "starts with '_' or '.'; rename it."
            )
        return [source]
    files = [file for file in sorted(source.glob("*.parquet")) if file.is_file()]
    files = [file for file in files if not _is_hidden(file)]
    if not files:
        raise FileNotFoundError(
            f"{source} is neither a Parquet file nor a folder with *.parquet files."
        )
    return files


def _is_hidden(file):
    return file.name.startswith(("_", "."))


def _schema(files, label):
    """The schema that all files have, once it is checked."""
    parquet = import_parquet()
    schema = parquet.read_schema(files[0])
    for file in files[1:]:
        if not parquet.read_schema(file).equals(schema):
            raise ValueError(f"{file} has other columns, or types, than {files[0]}.")
    if label not in schema.names:
        raise ValueError(f"No column is called {label!r}: there are {schema.names}.")
    if len(set(schema.names)) < len(schema.names):
        raise ValueError(f"Columns must have different names, got {schema.names}.")
    features = [field for field in schema if field.name != label]
    if not features:
        raise ValueError(f"There is no column but {label!r}: no numbers to mix.")
    wrong = {f.name: str(f.type) for f in features if not _is_number(f.type)}
    if wrong:
        raise TypeError(
            f"Only numbers can be mixed, but these columns have other types: {wrong}. "
            "Encode them as numbers, or leave them out."
        )
    indices = (schema.pandas_metadata or {}).get("index_columns", [])
    indices = [name for name in indices if name in schema.names]
    if indices:
        raise ValueError(
            f"Columns {indices} hold the index of a frame, which cannot be mixed; "
            "write the files with index=False, or reset the index."
        )
    return schema


def _is_number(kind):
    import pyarrow.types as types

    return types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)


def _labels(files, label):
    """The column of labels as an array; equal strings are one object."""
    parquet = import_parquet()
    # Else a folder called label=5 would be read as such a column.
    table = parquet.read_table(files, columns=[label], partitioning=None)
    column = table.column(0)
    if column.null_count:
        raise ValueError(
            f"Column {label!r} has {column.null_count} missing values; every row needs "
            "a label."
        )
    codes = column.dictionary_encode().unify_dictionaries().combine_chunks()
    return codes.dictionary.to_numpy(zero_copy_only=False)[codes.indices.to_numpy()]


def _codec(files):
    """How the first rows are compressed, as ParquetWriter takes it."""
    metadata = map(import_parquet().read_metadata, files)
    first = next(m.row_group(0) for m in metadata if m.num_row_groups)
    codec = first.column(0).compression
    return "NONE" if codec == "UNCOMPRESSED" else codec


def _write(path, blocks, schema, label, codec):
    """Generated blocks as one Parquet file of that schema."""
    import pyarrow as pa

    position = schema.get_field_index(label)
    # A dictionary of values that hardly repeat would add half their size.
    repeat = [field.name for field in schema if not pa.types.is_floating(field.type)]
    settings = {"use_dictionary": repeat, "compression": codec}
    with import_parquet().ParquetWriter(path, schema, **settings) as writer:
        for X, y in blocks:
            arrays = [
                pa.array(values, type=field.type)
                for field, values in _columns(X, y, schema, position)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _columns(X, y, schema, position):
    """(field, values) in the order of the schema, in which the label has a position."""
    values = list(X.T)
    values.insert(position, None)
    for i, field in enumerate(schema):
        if i == position:
            yield field, y
        else:
            like = np.empty(0, field.type.to_pandas_dtype())
            yield field, fill(like, np.ascontiguousarray(values[i]))


def _counts(y, generated):
    labels, before = np.unique(y, return_counts=True)
    after = before + [generated.get(label, 0) for label in labels]
    # `tolist` makes integers of instants.
    keys = labels if labels.dtype.kind in "mM" else labels.tolist()
    return {
        when: dict(zip(keys, counts.tolist(), strict=True))
        for when, counts in (("before", before), ("after", after))
    }
