"""z-scores and masks of two output folders do not differ; of the first, each has to be there."""

import sys
from pathlib import Path

import nibabel as nib
import numpy as np

first, second = map(Path, sys.argv[1:])
paths = [*first.rglob("*_desc-anomaly*_mask.nii.gz"), *first.rglob("*_desc-zscore_*.nii.gz")]
assert len(paths) >= 4, paths
for path in paths:
    a, b = (np.asanyarray(nib.load(p).dataobj) for p in (path, second / path.relative_to(first)))
    print(path.name, np.abs(a.astype(float) - b).max())
    assert np.allclose(a, b, atol=1e-3), path
