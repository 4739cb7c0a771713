"""A run can be told by a file, and each run writes the file that repeats it."""

import tomllib
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_anomaly.cli.parser import config_that_repeats, parse_args
from bids_anomaly.exceptions import UsageError
from bids_anomaly.running.device import resolve_device
from bids_anomaly.settings import Settings

MACHINE = {"list_gpus": lambda: (("GPU-a",), ("GPU-b",)), "torch_can_use_gpus": lambda: True}


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name in ("bids", "elsewhere", "prep", "mine"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


@pytest.fixture
def positionals(folders):
    return [str(folders / "bids"), str(folders / "out"), "participant"]


@pytest.fixture
def config(folders):
    """Give a function that writes a configuration and returns the option that reads it."""

    def write(text: str) -> list[str]:
        (folders / "config.toml").write_text(text)
        return ["--config-file", str(folders / "config.toml")]

    return write


def parse(*argv) -> Settings:
    return parse_args(
        [*map(str, argv)], environ={}, resolve_device=partial(resolve_device, **MACHINE)
    )


def test_a_file_says_what_options_say(positionals, config, folders):
    told = config(
        f"""
        participant-label = ["01", "sub-02"]
        exclude_participant_label = ["03,04"]
        healthy-fpr = 0.01
        seed = 3
        mem-mb = 8000
        device = "cuda:1"
        derivatives = ["prep={folders / "prep"}"]
        strict = true
        dry-run = false
        verbose = 2
        """
    )
    assert parse(*positionals, *told) == parse(
        *positionals,
        *("--participant-label", "01", "02", "--exclude-participant-label", "03", "04"),
        *("--healthy-fpr", 0.01, "--seed", 3, "--mem", "8000M", "--device", "cuda:1"),
        *("--derivatives", f"prep={folders / 'prep'}", "--strict", "-vv"),
    )


def test_what_is_written_by_hand_wins(positionals, config):
    told = config('participant-label = ["01", "02"]\nseed = 3\nnthreads = 5\nstage = "preprocess"')
    for argv in (
        [*positionals, "--participant-label", "09", "--seed", 4, "--nprocs", 1, *told],
        [*told, *positionals, "--seed", 4, "--participant-label", "09", "--n-cpus", 1],
    ):
        settings = parse(*argv)
        assert settings.participant_labels == ("09",)
        assert (settings.seed, settings.nprocs, settings.stage) == (4, 1, "preprocess")


def test_folders_and_level_may_stand_in_the_file(positionals, config, folders):
    bids, _, level = positionals
    told = config(f'bids_dir = "{bids}"\noutput-dir = "../out"\nanalysis-level = "{level}"')
    # Free memory differs from one moment to the next.
    asked = ("--mem", "2G")
    assert parse(*told, *asked) == parse(*positionals, *asked)
    (folders / "other").mkdir()
    assert parse(folders / "other", *told).bids_dir == folders / "other"
    with pytest.raises(UsageError, match="lacks output-dir"):
        parse(*config(f'bids-dir = "{bids}"\nanalysis-level = "{level}"'))
    with pytest.raises(UsageError, match="required: OUTPUT_DIR"):
        parse(bids, *config("seed = 3"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("participants = ['01']", "the key 'participants'"),
        ("help = true", "the key 'help'"),
        ("config-file = 'a'", "the key 'config-file'"),
        ("[execution]\nseed = 3", "the key 'execution'"),
        ("participant-label = '01'", 'participant-label as "01", where a list of texts'),
        ("participant-label = [1]", r"participant-label as \[1\], where a list of texts"),
        ("modalities = [['T1w']]", "modalities"),
        ("strict = 'yes'", 'strict as "yes", where true or false'),
        ("strict = 1", "strict as 1"),
        ("seed = true", "seed as true, where a number"),
        ("seed = '3'", 'seed as "3"'),
        ("verbose = true", "verbose as true"),
        ("model = 3", "model as 3, where a text in quotes"),
        ("model = 2026-01-01", "model as"),
        ("seed = 1.5", "--seed.*'1.5'"),
        ("healthy-fpr = 0.7", "--healthy-fpr.*between 0 and 0.5"),
        ("stage = 'train'", "--stage.*preprocess"),
        ("analysis-level = 'group'", "lacks bids-dir"),
        ("mem = 16000", "--mem.*16000M"),
        ("seed = ", "is not TOML"),
        ("seed = 3\nseed = 4", "is not TOML"),
    ],
)
def test_a_wrong_file_is_refused_in_a_sentence_that_names_file_and_key(
    text, complaint, positionals, config, folders
):
    with pytest.raises(UsageError, match=complaint) as caught:
        parse(*positionals, *config(text))
    assert caught.value.exit_code == 2
    assert str(folders / "config.toml") in str(caught.value)
    if "TOML" not in complaint:
        assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(positionals, folders):
    with pytest.raises(UsageError, match=r"--config-file.*no file .*/absent"):
        parse(*positionals, "--config-file", folders / "absent")
    (folders / "latin").write_bytes(b'model = "\xe4"')
    with pytest.raises(UsageError, match="latin is not TOML"):
        parse(*positionals, "--config-file", folders / "latin")


def test_the_file_of_a_run_gives_the_same_settings_from_anywhere(
    positionals, config, folders, monkeypatch
):
    (folders / "elsewhere" / "my model").mkdir()
    filters = folders / 'filter "1"\\.json'
    filters.write_text("{}")
    for argv in (
        positionals,
        [
            *positionals,
            *("--participant-label", "01", "02", "--exclude-participant-label", "3"),
            *("--session-label", "a", "--bids-filter-file", filters, "--modalities", "T1w"),
            *("--model", "my model", "--steps", 7, "--device", "cuda:1", "--batch-size", 2),
            *("-d", "a=../prep", "b=../mine", "--output-spaces", "native", "--seed", 3),
            *("--healthy-fpr", 1e-5, "--min-lesion-volume", 0.1, "--mem", "7.3G"),
            *("--nprocs", 3, "--omp-nthreads", 2, "-w", "../work", "--strict", "-vv"),
            *("--stop-on-first-crash", "--skip-bids-validation", "--bids-database-dir", "db"),
            *("--primary", "T1w", "--tfce", "--stage", "reconstruct", "--use-plugin", filters),
        ],
    ):
        settings = parse(*argv)
        told = config(config_that_repeats(settings))
        monkeypatch.chdir(folders)
        again = parse(*told)
        monkeypatch.chdir(folders / "elsewhere")
        assert again.model == (
            str(folders / "elsewhere" / "my model") if "--model" in argv else settings.model
        )
        assert {**vars(again), "model": None} == {**vars(settings), "model": None}


@given(name=st.text(st.characters(exclude_categories=["Cs"])).filter(lambda s: "=" not in s))
def test_any_text_survives_the_file(name):
    settings = Settings(
        bids_dir=Path("/bids") / name,
        output_dir=Path("/out"),
        analysis_level="group",
        controls=f"group={name}",
    )
    read = tomllib.loads(config_that_repeats(settings))
    assert read["controls"] == f"group={name}"
    assert read["bids-dir"] == str(settings.bids_dir)


@pytest.mark.parametrize("level", ["participant", "group"])
def test_every_setting_is_in_the_file(level):
    settings = Settings(
        bids_dir=Path("/bids"),
        output_dir=Path("/out"),
        analysis_level=level,
        participant_labels=("01",),
    )
    written = tomllib.loads(config_that_repeats(settings))
    without_default = {"bids-filter-file", "steps", "batch-size", "use-plugin", "primary"}
    without_default |= {"bids-database-dir", "controls", "fs-subjects-dir", "lesion-roi"}
    assert len(written) == len(vars(settings)) - len(without_default)
    assert without_default.isdisjoint(written)
