"""What PaCMAP, PHATE and spectral methods have learned, in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator

import lowdim as ld


@pytest.mark.parametrize(
    "model",
    [
        ld.PaCMAP(num_iters=(10, 10, 10), random_state=0),
        ld.PHATE(random_state=0),
        ld.PHATE(n_landmark=60, random_state=0),
        ld.LaplacianEigenmaps(n_neighbors=120),
        ld.PCA(2),
        ld.IncrementalPCA(2),
        ld.KernelPCA(2, kernel="rbf"),
        ld.KernelPCA(2, kernel="cosine", n_landmarks=50, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.parametrize("sparse", [False, True])
def test_places_of_new_rows_are_the_same(
    blobs, model: BaseEstimator, sparse: bool, tmp_path: Path
) -> None:
    X = np.hstack([blobs[0], np.zeros((300, 120))])
    X[:, 6:] = 0.01 * np.random.default_rng(0).normal(size=(300, 120))
    model.fit(sp.csr_matrix(X) if sparse else X)
    model.save(tmp_path / "model.h5")
    again = ld.load(tmp_path / "model.h5")
    assert type(again) is type(model)
    assert np.array_equal(again.transform(X[:20]), model.transform(X[:20]))
