"""The command ``bids-anomaly-train``."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from bids_anomaly.cli import values
from bids_anomaly.cli.calibrate import say_each, say_rates
from bids_anomaly.cli.main import report_errors
from bids_anomaly.exceptions import ExitCode, UsageError, some_of
from bids_anomaly.modalities import MODALITIES
from bids_anomaly.reconstruction.methods import NOISES, TRAINED

# From one line about a training to the next, where there is no terminal.
EVERY_S = 30.0


def main(argv: Sequence[str] | None = None) -> int:
    """Train a network on healthy people and write a bundle for each modality."""
    parser = _make_parser()
    arguments = parser.parse_args(argv)
    return report_errors(parser.prog, lambda: _train(arguments))


def _make_parser() -> argparse.ArgumentParser:
    """Return the parser, one call an argument."""
    parser = argparse.ArgumentParser(
        prog="bids-anomaly-train",
        description="Train a method on T1w scans of healthy people, from which other contrasts are "
        "synthesised, and calibrate it on others. OUTPUT gets a bundle METHOD-MODALITY for each "
        "modality. Started again with the same options, it goes on where it stopped. For several "
        "GPUs start it with torchrun. With --labels, lesions that raters have marked are learned "
        "from too.",
    )
    parser.add_argument(
        "derivatives",
        metavar="DERIVATIVES",
        type=values.read_path,
        help="what bids-anomaly --stage preprocess wrote",
    )
    parser.add_argument(
        "output", metavar="OUTPUT", type=values.read_path, help="gets bundles and checkpoints"
    )
    parser.add_argument(
        "--method",
        choices=TRAINED,
        default="restore",
        help="see docs/methods.md (default: restore)",
    )
    parser.add_argument(
        "--noise",
        choices=NOISES,
        help="for methods that learn from noise (default: the method's own)",
    )
    parser.add_argument(
        "--modalities",
        nargs="+",
        choices=MODALITIES,
        default=["T1w"],
        help="contrasts that one network learns together (default: T1w)",
    )
    parser.add_argument(
        "--splits",
        metavar="FILE",
        type=values.read_existing_file,
        help="table with the columns participant_id and split: train, calibration, and dev, on "
        "whom the training is validated (default: drawn at random, written to OUTPUT/splits.tsv)",
    )
    parser.add_argument(
        "--label-maps",
        metavar="FOLDER",
        type=values.read_path,
        help="also train on T1w scans that are drawn from label maps of healthy heads, made by "
        "FreeSurfer or SynthSeg",
    )
    parser.add_argument(
        "--from",
        dest="start",
        metavar="BUNDLE",
        help="start from the weights of a bundle: a folder, or a name such as restore-T1w",
    )
    parser.add_argument(
        "--real-scans",
        action="store_true",
        help="also learn from the real FLAIR and T2w scans of those who are trained on, healthy as "
        "they are: one slab in four",
    )
    parser.add_argument(
        "--labels",
        metavar="MASKS",
        type=values.read_path,
        help="also learn from real scans whose lesions a rater has marked: a derivative dataset of "
        "masks (*_mask.nii.gz, in the space of the scan) of people in DERIVATIVES",
    )
    parser.add_argument(
        "--people",
        metavar="N",
        type=values.read_count,
        help="how many people with lesions learn; thresholds come from the lesion-free voxels of "
        "the others, if they are three or more (default: all but a third)",
    )
    parser.add_argument(
        "--steps", type=values.read_count, default=30_000, help="(default: %(default)s)"
    )
    parser.add_argument(
        "--batch-size",
        type=values.read_count,
        help="slabs a step, over all processes (default: 16; 2 for three-dimensional methods)",
    )
    parser.add_argument(
        "--validate-every",
        metavar="STEPS",
        type=values.read_count,
        default=500,
        help="steps from one validation and checkpoint to the next (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=values.read_whole_number, default=0, help="(default: %(default)s)"
    )
    parser.add_argument(
        "--device",
        type=values.read_device,
        default="auto",
        help="auto, cpu or cuda[:N] (default: %(default)s)",
    )
    parser.add_argument(
        "--preview",
        metavar="FILE.png",
        type=values.read_path,
        help="only draw what training would see, beside real scans, and exit",
    )
    parser.add_argument(
        "--bundle-version", metavar="VERSION", default="0.0.0", help="(default: %(default)s)"
    )
    return parser


def _train(arguments: argparse.Namespace) -> ExitCode:
    from bids_anomaly.running.workfolder import make_folder
    from bids_anomaly.training.distributed import launched_with

    worker, local_rank = launched_with()
    device = _device(arguments.device, local_rank, several=worker.world_size > 1)

    from bids_anomaly.bids.reading import describe_dataset
    from bids_anomaly.cli.learners import (
        controls_of_modalities,
        find_lesions,
        people_of,
        people_of_splits,
        real_scans_of,
    )
    from bids_anomaly.reconstruction.bundle import named_bundle
    from bids_anomaly.training.bundles import train_bundles
    from bids_anomaly.training.data import ONE_IN
    from bids_anomaly.training.people import find_people, write_splits
    from bids_anomaly.training.recipes import RECIPES

    recipe = RECIPES[arguments.method]
    batch_size = arguments.batch_size or recipe.batch_size
    share = worker.share(batch_size)
    derivatives, output = arguments.derivatives, arguments.output
    modalities = sorted(set(arguments.modalities), key=MODALITIES.index)
    start = named_bundle(arguments.start) if arguments.start else None
    if arguments.people and not arguments.labels:
        raise UsageError("--people says how many people of --labels learn. Add --labels.")
    options = {"--labels": arguments.labels, "--real-scans": arguments.real_scans}
    for option in (name for name, given in options.items() if given):
        if not recipe.learns_lesions:
            raise UsageError(
                f"The method {arguments.method} does not learn from lesions, so it cannot take "
                f"{option}. Use --method restore."
            )
        if share % ONE_IN:
            raise UsageError(
                f"With {option} one slab in {ONE_IN} is of a real scan, and {share} a step and "
                f"process cannot be divided so. Use a --batch-size of {ONE_IN}, "
                f"{2 * ONE_IN} or another multiple for each process."
            )
    dataset = describe_dataset(derivatives)
    with_lesions = find_lesions(arguments, modalities)
    learning, held_out = with_lesions.learning, with_lesions.held_out
    splits, t1w, trained_on = people_of_splits(
        arguments, dataset["name"], with_lesions=with_lesions.everybody
    )
    if learning:
        count = len(people_of(learning))
        trained_on += f", and on the lesion masks of {count} others with lesions"
    real = real_scans_of(arguments, modalities, t1w["train"]) if arguments.real_scans else []
    for volumes in real:
        name = MODALITIES[volumes.modality]
        trained_on += f", and on {len(volumes.scans)} real {name} scans of them"
    if arguments.preview:
        usable = set().union(*splits.values())
        shown = {m: find_people(derivatives, modality=m, participants=usable) for m in modalities}
        return _preview(arguments, modalities, t1w["train"], shown)

    make_folder(output)
    controls, whom, left_out = controls_of_modalities(
        arguments, modalities, splits["calibration"], t1w["calibration"], held_out, dataset["name"]
    )

    def write_who() -> None:
        if arguments.splits is None:
            write_splits(output / "splits.tsv", splits)
        if learning:
            named = {"learn": people_of(learning), "held out": people_of(held_out)}
            write_splits(output / "lesions.tsv", named)

    unused = with_lesions.everybody - people_of(learning, held_out) if learning else set()
    if unused:
        _say(
            worker,
            f"With lesions, but without a marked {' or '.join(modalities)} scan: "
            f"{some_of(sorted(unused))}. They take no part.",
        )
    _say(worker, f"Training on {trained_on}, on {device}; calibrating on {whom[modalities[0]]}.")
    if not t1w["dev"]:
        _say(worker, "Nobody is in the split dev, so the training is not validated.")
    with _progress(arguments.steps, worker) as on_step:
        trained = train_bundles(
            arguments.method,
            t1w["train"],
            t1w["dev"],
            controls,
            output,
            steps=arguments.steps,
            batch_size=batch_size,
            seed=arguments.seed,
            device=device,
            start=start,
            noise=arguments.noise,
            interval=arguments.validate_every,
            marked=learning,
            real=real,
            left_out=left_out,
            worker=worker,
            description={
                "version": arguments.bundle_version,
                "licence": dataset["licence"],
                "calibration_data": whom,
                "training": {
                    "data": trained_on,
                    "split": "train",
                    "modalities": modalities,
                    "steps": arguments.steps,
                    "batch_size": batch_size,
                    "seed": arguments.seed,
                    "from": start and start.identity,
                },
            },
            on_claim=write_who,
            on_step=on_step,
            on_control=say_each(sum(map(len, controls.values()))),
        )
    for bundle, scores in trained:
        print(f"Wrote {bundle.name} {bundle.version} to {bundle.folder}.")
        print(f"Calibrated on {whom[bundle.modality]}.")
        say_rates(bundle, scores)
        if held_out.get(bundle.modality):
            before = start if start and start.modality == bundle.modality else None
            _say_held_out(before, bundle, held_out[bundle.modality], device)
    if any("synthesised" in people for people in whom.values()):
        print("Real scans have other rates than synthesised ones: use bids-anomaly-calibrate.")
    return ExitCode.OK


def _say_held_out(start, bundle, marked: Sequence, device: str) -> None:
    """Print how well the lesions of people who were held out are found, before and after."""
    from bids_anomaly.training.marked import auprc_by_person

    after = auprc_by_person(bundle, marked, device=device)
    before = auprc_by_person(start, marked, device=device) if start else {}
    print("AUPRC of the lesions of those held out:")
    for person, value in after.items():
        was = f", before {before[person]:.3f}" if person in before else ""
        print(f"  {person}: {value:.3f}{was}")


def _device(requested: str, local_rank: int, *, several: bool) -> str:
    """Return the device of this process; torchrun gives each its own GPU."""
    from bids_anomaly.running.device import resolve_device

    if several and requested.startswith("cuda:"):
        raise UsageError(
            f"--device {requested} names one GPU for all processes of torchrun. Use --device cuda, "
            "which gives each its own."
        )
    device = resolve_device(requested)
    return resolve_device(f"cuda:{local_rank}") if several and device != "cpu" else device


def _preview(
    arguments: argparse.Namespace, modalities: Sequence[str], people: Sequence, real: Mapping
) -> ExitCode:
    from bids_anomaly.reconstruction.networks import RestorationNet
    from bids_anomaly.training.loading import volumes_of
    from bids_anomaly.training.preview import write_preview

    write_preview(
        arguments.preview,
        volumes_of(people),
        real,
        slices=RestorationNet().slices,
        modalities=modalities,
        seed=arguments.seed,
    )
    print(f"Wrote {arguments.preview}.")
    return ExitCode.OK


def _say(worker, text: str) -> None:
    if worker.writes:
        print(text, flush=True)


@contextmanager
def _progress(steps: int, worker) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """Show a bar on a terminal, and elsewhere a line now and then."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from bids_anomaly.running.console import make_console

    console = make_console()
    if not console.is_terminal:
        yield _lines(steps) if worker.writes else lambda step, losses: None
        return
    with Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
        console=console,
        disable=not worker.writes,
    ) as bar:
        task = bar.add_task("", total=steps)

        def on_step(step: int, losses: Mapping[str, float]) -> None:
            bar.update(task, completed=step, description=_in_words(losses))

        yield on_step


def _lines(
    steps: int, *, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic
) -> Callable[[int, Mapping[str, float]], None]:
    """Return what prints where a training is, with the seconds since it began.

    Parameters
    ----------
    steps : int
        Number of all steps.
    every_s : float
        Seconds from one line to the next, at least; the last step has a line in any case.
    clock : callable
        Gives the time in seconds.
    """
    began = said = clock()

    def on_step(step: int, losses: Mapping[str, float]) -> None:
        nonlocal said
        now = clock()
        if now - said < every_s and step < steps:
            return
        said = now
        text = _in_words(losses)
        print(f"step {step} of {steps}: {now - began:.1f} s" + f"  {text}" * bool(text), flush=True)

    return on_step


def _in_words(losses: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in losses.items())


if __name__ == "__main__":
    sys.exit(main())
