"""Write a demonstration dataset of four people, the last of whom has a broken scan."""

import shutil
import sys
from pathlib import Path

from bids_anomaly.demo.dataset import write_demo_dataset

bids = Path(sys.argv[1])
write_demo_dataset(bids)
write_demo_dataset(bids.with_name("more"), seed=1)
for old, new in (("sub-demo01", "sub-demo03"), ("sub-demo02", "sub-demo04")):
    for path in bids.with_name("more").glob(f"{old}/anat/*"):
        target = bids / new / "anat" / path.name.replace(old, new)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
with (bids / "participants.tsv").open("a") as table:
    table.write("sub-demo03\thealthy\nsub-demo04\tstroke\n")
scan = bids / "sub-demo04" / "anat" / "sub-demo04_T1w.nii.gz"
scan.write_bytes(scan.read_bytes()[: scan.stat().st_size // 2])
