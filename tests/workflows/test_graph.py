"""What runs after what, for every kind of session; nothing is run here."""

import copy
import itertools
from dataclasses import replace
from functools import cache
from pathlib import Path

import networkx
import pytest
from nipype.interfaces.base import isdefined
from nipype.pipeline.engine.utils import generate_expanded_graph

from bids_anomaly.bids.scans import GivenBrain, Prepared, Scan, Segmentation, Session
from bids_anomaly.cli.graph import build_workflow
from bids_anomaly.reconstruction.bundle import choose_bundles
from bids_anomaly.settings import Settings
from bids_anomaly.workflows.participant import session_wf_name

MODALITIES = ("T1w", "FLAIR", "T2w")
TEMPLATE = "MNI152NLin2009aSym"
SUBSETS = [subset for size in (1, 2, 3) for subset in itertools.combinations(MODALITIES, size)]
SPACES = [("native",), (TEMPLATE,), ("native", TEMPLATE)]
OTHER = ("native", TEMPLATE, "MNI152NLin6Asym:res-1", "MNI152NLin6Asym:res-2")


@cache
def bundles_of(model):
    return choose_bundles(model, MODALITIES)


def session_of(modalities, *, participant="01", session=None, runs=(None,)) -> Session:
    """Make a session with a scan of each modality and run."""
    scans = []
    for modality, run in itertools.product(modalities, runs):
        entities = {"sub": participant}
        if session:
            entities["ses"] = session
        if run:
            entities["run"] = run
        name = "_".join(f"{key}-{label}" for key, label in entities.items())
        path = Path("/data") / f"sub-{participant}" / "anat" / f"{name}_{modality}.nii.gz"
        scans.append(Scan(path, entities, modality))
    return Session(participant, session, tuple(scans))


@pytest.fixture
def build(tmp_path):
    """Give a function that builds the graph of a run as it is executed."""

    def build(*sessions, model="restore", **options):
        settings = Settings(
            bids_dir=Path("/data"),
            output_dir=tmp_path / "out",
            work_dir=tmp_path / "work",
            analysis_level="participant",
            omp_nthreads=4,
            **options,
        )
        workflow = build_workflow(settings, sessions, bundles_of(model))
        return workflow._create_flat_graph()

    return build


def assert_sound(graph) -> None:
    """Check that names are unique and that every mandatory input is set or will be."""
    names = [node.fullname for node in graph.nodes]
    assert len(set(names)) == len(names)
    # Without the nodes that only hand files on, an input that nothing arrives at is seen.
    expanded = generate_expanded_graph(copy.deepcopy(graph))
    for node in expanded.nodes:
        arriving = {
            target
            for _, _, data in expanded.in_edges(node, data=True)
            for _, target in data["connect"]
        }
        for name in node.inputs.traits(mandatory=True):
            assert name in arriving or isdefined(getattr(node.inputs, name)), (
                f"nothing arrives at {name} of {node.fullname}"
            )


def interfaces(graph) -> list[str]:
    return [type(node.interface).__name__ for node in graph.nodes]


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
@pytest.mark.parametrize("stage", ["all", "reconstruct", "preprocess"])
@pytest.mark.parametrize("modalities", SUBSETS, ids="+".join)
def test_every_step_gets_what_it_needs(modalities, stage, device, build):
    graph = build(session_of(modalities), stage=stage, device=device)
    assert_sound(graph)
    made = interfaces(graph)
    assert made.count("Reorient") == len(modalities)
    assert made.count("RegisterToTemplate") == 1
    assert made.count("RegisterToReference") == len(modalities) - 1


@pytest.mark.parametrize("spaces", SPACES, ids="+".join)
@pytest.mark.parametrize("runs", [(None,), ("01", "02")], ids=["one run", "two runs"])
@pytest.mark.parametrize("session", [None, "1"])
def test_sessions_runs_and_spaces_combine(session, runs, spaces, build):
    scans = session_of(("T1w", "FLAIR"), session=session, runs=runs)
    graph = build(scans, output_spaces=spaces)
    assert_sound(graph)
    made = interfaces(graph)
    assert made.count("WriteScanMaps") == len(scans.scans) * len(spaces)
    assert made.count("WriteTransforms") == (TEMPLATE in spaces)
    assert made.count("WriteFindings") == len(scans.scans)
    assert made.count("WriteQuality") == made.count("WriteReport") == 1


@pytest.mark.parametrize("spaces", SPACES, ids="+".join)
def test_what_is_written_of_a_scan_in_a_space_was_found_once(spaces, build):
    graph = build(session_of(MODALITIES), output_spaces=spaces)
    # Lesions and regions are those of the native grid, whatever spaces are asked for.
    assert interfaces(graph).count("FindAnomalies") == len(MODALITIES) * len({"native", *spaces})


def test_a_template_with_two_resolutions_has_its_transforms_once(
    build, write_template, ours_from_other, tmp_path, monkeypatch
):
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path))
    write_template(tmp_path, "MNI152NLin6Asym", ours_from_other, 1, 2)
    graph = build(session_of(("T1w", "FLAIR")), output_spaces=OTHER)
    assert_sound(graph)
    assert interfaces(graph).count("WriteScanMaps") == 2 * len(OTHER)
    writers = [node for node in graph.nodes if type(node.interface).__name__ == "WriteTransforms"]
    assert sorted(node.inputs.space for node in writers) == [TEMPLATE, "MNI152NLin6Asym"]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("stage", ["all", "preprocess"])
def test_no_scan_reaches_a_model_or_the_output_before_its_quality_is_known(stage, strict, build):
    graph = build(session_of(("T1w", "FLAIR")), stage=stage, strict=strict)
    assert_sound(graph)
    gates = [node for node in graph.nodes if type(node.interface).__name__ == "RequireQuality"]
    assert [gate.inputs.strict for gate in gates] == [strict, strict]
    behind = {after for gate in gates for after in networkx.descendants(graph, gate)}
    made = {type(node.interface).__name__ for node in behind}
    assert ("WriteModelGrid" if stage == "preprocess" else "WriteScanMaps") in made
    assert interfaces(graph).count("WriteQuality") == 1


def prepared_session(modalities, *, transforms: bool) -> Session:
    """Make a session whose T1w scan was prepared by another pipeline."""
    anat = Path("/prep/sub-01/anat")
    files = [anat / f"sub-01_{way}_mode-image_xfm.h5" for way in ("there", "back")]
    prepared = Prepared(
        "fmriprep",
        Path("/prep"),
        "fMRIPrep 23.2.0",
        anat / "sub-01_desc-brain_mask.nii.gz",
        *(files if transforms else ()),
    )
    image = anat / "sub-01_desc-preproc_T1w.nii.gz"
    raw = session_of(modalities).scans
    return Session("01", None, (Scan(image, {"sub": "01"}, "T1w", prepared), *raw))


@pytest.mark.parametrize("stage", ["all", "preprocess"])
@pytest.mark.parametrize("transforms", [False, True])
@pytest.mark.parametrize("modalities", [(), ("FLAIR", "T2w")], ids=["T1w alone", "all"])
def test_what_is_prepared_is_not_done_again(modalities, transforms, stage, build):
    graph = build(prepared_session(modalities, transforms=transforms), stage=stage)
    assert_sound(graph)
    made = interfaces(graph)
    assert made.count("ReadBrain") == made.count("RegisterToTemplate") == 1
    # The others are raw, and registered to the prepared scan.
    for step in ("ExtractBrain", "CorrectBias", "RegisterToReference"):
        assert made.count(step) == len(modalities)
    if stage == "all":
        assert made.count("ReadDeformation") == transforms
        assert made.count("RegisterDeformable") == (not transforms)


@pytest.mark.parametrize("stage", ["all", "preprocess"])
@pytest.mark.parametrize(
    ("brain", "reader"),
    [
        (GivenBrain(Path("/masks/brain.nii.gz"), "a file"), "ReadBrain"),
        (Segmentation(Path("/fs/aseg.mgz"), "FreeSurfer", 0, None), "ReadSegmentation"),
        (
            Segmentation(Path("/fs/aseg.mgz"), "FreeSurfer", 0, Path("/fs/orig.mgz")),
            "ReadSegmentation",
        ),
    ],
)
def test_a_brain_that_was_found_before_is_read_and_all_else_is_done(brain, reader, stage, build):
    first, *others = session_of(("T1w", "FLAIR")).scans
    graph = build(Session("01", None, (replace(first, brain=brain), *others)), stage=stage)
    assert_sound(graph)
    made = interfaces(graph)
    assert made.count(reader) == made.count("ExtractBrain") == 1
    assert made.count("CorrectBias") == 2
    (node,) = [node for node in graph.nodes if type(node.interface).__name__ == reader]
    assert node.inputs.in_file == str(brain.path)


@pytest.mark.slow
@pytest.mark.parametrize("runs", [(None,), ("01", "02")], ids=["one run", "two runs"])
@pytest.mark.parametrize("session", [None, "1"])
@pytest.mark.parametrize("modalities", SUBSETS, ids="+".join)
def test_all_options_combine(modalities, session, runs, build):
    scans = session_of(modalities, session=session, runs=runs)
    for device in ("cpu", "cuda:0"):
        assert_sound(build(scans, stage="preprocess", device=device))
        for spaces, model in itertools.product(SPACES, ("restore", "threshold")):
            assert_sound(build(scans, output_spaces=spaces, model=model, device=device))


@pytest.mark.parametrize("option", [{"steps": 2}, {"batch_size": 3}], ids=str)
def test_an_option_of_the_network_reaches_every_reconstruction(option, build):
    graph = build(session_of(MODALITIES), **option)
    nodes = [node for node in graph.nodes if type(node.interface).__name__ == "Reconstruct"]
    assert len(nodes) == len(MODALITIES)
    for node in nodes:
        assert {name: getattr(node.inputs, name) for name in option} == option


@pytest.mark.parametrize(
    ("model", "asked", "said"), [("anoddpm", None, 10), ("anoddpm", 5, 5), ("ae", 5, None)]
)
def test_the_steps_of_a_reconstruction_are_said_beside_its_maps(model, asked, said, build):
    nodes = build(session_of(("T1w", "FLAIR")), steps=asked, model=model).nodes
    writers = [node for node in nodes if type(node.interface).__name__ == "WriteScanMaps"]
    assert {node.inputs.model.get("Steps") for node in writers} == {said}
    (report,) = [node for node in nodes if type(node.interface).__name__ == "WriteReport"]
    assert report.inputs.steps == asked


@pytest.mark.parametrize("method", ["deepbet", "hd-bet", "template", "none"])
def test_every_brain_is_found_as_was_asked_for(method, build):
    graph = build(session_of(MODALITIES), brain_extraction=method)
    nodes = [node for node in graph.nodes if type(node.interface).__name__ == "ExtractBrain"]
    assert [node.inputs.method for node in nodes] == [method] * len(MODALITIES)


@pytest.mark.parametrize("modalities", SUBSETS, ids="+".join)
def test_a_model_without_an_image_needs_none(modalities, build):
    assert_sound(build(session_of(modalities), model="threshold"))


def test_preprocessing_alone_reconstructs_nothing(build):
    made = interfaces(build(session_of(MODALITIES), stage="preprocess"))
    assert made.count("WriteModelGrid") == len(MODALITIES)
    assert not {"Reconstruct", "Score", "WriteScanMaps", "WriteReport"} & set(made)


def test_the_stages_share_their_steps(build):
    """Else the second job of a cluster would do the work of the first again."""
    graphs = [build(session_of(MODALITIES), stage=stage) for stage in ("preprocess", "reconstruct")]
    shared = [
        {
            node.fullname: node.inputs.get_hashval(hash_method="content")[1]
            for node in graph.nodes
            if "preprocess_" in node.fullname and not graph.in_edges(node)
        }
        for graph in graphs
    ]
    assert shared[0]
    assert shared[0] == shared[1]


@pytest.mark.parametrize("stage", ["all", "preprocess"])
def test_gpu_steps_take_one_slot_and_are_named_so_on_a_gpu_alone(stage, build):
    for node in build(session_of(MODALITIES), stage=stage, device="cpu").nodes:
        assert not node.is_gpu_node(), node.fullname
    on_gpu = build(session_of(MODALITIES), stage=stage, device="cuda:0")
    gpu_nodes = [node for node in on_gpu.nodes if node.is_gpu_node()]
    assert all(node.n_procs == 1 for node in gpu_nodes)
    wanted = {"ExtractBrain"} if stage == "preprocess" else {"ExtractBrain", "Reconstruct"}
    assert {type(node.interface).__name__ for node in gpu_nodes} == wanted


@pytest.mark.parametrize(
    ("method", "on_gpu"),
    [("deepbet", True), ("hd-bet", True), ("template", False), ("none", False)],
)
def test_a_brain_is_found_on_the_gpu_by_networks_alone(method, on_gpu, build):
    graph = build(session_of(MODALITIES), device="cuda:0", brain_extraction=method)
    nodes = [node for node in graph.nodes if type(node.interface).__name__ == "ExtractBrain"]
    assert [node.is_gpu_node() for node in nodes] == [on_gpu] * len(MODALITIES)
    assert [node.n_procs for node in nodes] == [1 if on_gpu else 4] * len(MODALITIES)


def test_a_model_without_weights_needs_no_gpu(build):
    graph = build(session_of(("FLAIR",)), device="cuda:0", model="threshold")
    for node in graph.nodes:
        if type(node.interface).__name__ == "Reconstruct":
            assert node.inputs.device == "cpu"
            assert not node.is_gpu_node()


def test_the_device_does_not_change_what_is_computed(build):
    """Else a run could not go on after moving between a CPU and a GPU."""
    digests = [
        {
            node.fullname: node.inputs.get_hashval(hash_method="content")[1]
            for node in build(session_of(("T1w",)), device=device).nodes
        }
        for device in ("cpu", "cuda:0")
    ]
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("modalities", "asked_for", "leads"),
    [
        (MODALITIES, None, "sub-01_run-01_FLAIR"),
        (("T1w", "T2w"), None, "sub-01_run-01_T1w"),
        (("T2w",), None, "sub-01_run-01_T2w"),
        (MODALITIES, "T2w", "sub-01_run-01_T2w"),
        (("T1w", "T2w"), "FLAIR", "sub-01_run-01_T1w"),
    ],
)
def test_the_first_scan_of_the_primary_modality_leads(modalities, asked_for, leads, build):
    graph = build(session_of(modalities, runs=("01", "02")), primary=asked_for)
    (report,) = [node for node in graph.nodes if type(node.interface).__name__ == "WriteReport"]
    assert report.inputs.primary == leads


def test_what_leads_changes_the_report_alone(build):
    """Else all maps would be written again for another choice."""
    changed = [
        {
            type(node.interface).__name__: node.inputs.get_hashval(hash_method="content")[1]
            for node in build(session_of(MODALITIES), primary=primary).nodes
        }
        for primary in (None, "T1w")
    ]
    assert {name for name in changed[0] if changed[0][name] != changed[1][name]} == {"WriteReport"}


def test_sessions_do_not_wait_for_each_other(build):
    people = [
        session_of(("T1w", "FLAIR"), participant=participant, session=session)
        for participant in ("01", "02")
        for session in ("1", "2")
    ]
    graph = build(*people)
    assert_sound(graph)
    workflows = {node.fullname.split(".")[1] for node in graph.nodes}
    assert workflows == {session_wf_name(session) for session in people}
    for before, after in graph.edges:
        assert before.fullname.split(".")[1] == after.fullname.split(".")[1]


def test_the_first_scan_is_the_reference_of_the_others(build):
    graph = build(session_of(("FLAIR", "T2w")))
    register = {
        type(node.interface).__name__: node.fullname
        for node in graph.nodes
        if type(node.interface).__name__.startswith("RegisterTo")
    }
    assert "FLAIR" in register["RegisterToTemplate"]
    assert "T2w" in register["RegisterToReference"]
