"""Average the weights of a bundle and of one that was trained on from it (Wortsman et al. 2022).

What the second has learned anew is kept in part, and what it has forgotten comes back in part
("Robust fine-tuning of zero-shot models", arXiv 2109.01903)::

    python benchmarks/average_weights.py restore-FLAIR FOLDER/restore-FLAIR 0.3 OUTPUT

OUTPUT has the description and the calibration of the first, so calibrate it (``docs/models.md``).
"""

import argparse
from pathlib import Path

from safetensors.torch import load_file
from shared.candidates import write_candidate

from bids_anomaly.reconstruction.bundle import named_bundle


def main() -> None:
    """Write the averaged bundle."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", help="bundle, packaged or a folder")
    parser.add_argument("second", help="bundle that was trained with --from the first")
    parser.add_argument("share", type=float, help="of the second, from 0 to 1")
    parser.add_argument("output", type=Path, help="new folder")
    arguments = parser.parse_args()
    average(arguments.first, arguments.second, arguments.share, arguments.output)


def average(first: str, second: str, share: float, output: Path) -> None:
    """Write the bundle whose weights are (1 - share) of the first plus share of the second."""
    old, new = named_bundle(first), named_bundle(second)
    if new.description["network"] != old.description["network"]:
        raise SystemExit(f"{first} and {second} have different networks.")
    before, after = load_file(old.weights), load_file(new.weights)
    weights = {name: before[name].float().lerp(after[name].float(), share) for name in before}
    training = {
        **new.description["training"],
        "averaged_with": old.identity,
        "share_of_this_training": share,
    }
    write_candidate(old.folder, output, weights, training)


if __name__ == "__main__":
    main()
