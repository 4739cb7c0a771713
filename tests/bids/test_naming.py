from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_anomaly.bids.naming import (
    ENTITY_ORDER,
    anat_folder,
    file_name,
    output_path,
    sidecar_path,
    transform_path,
)
from bids_anomaly.bids.outputs import OUTPUTS

LABEL = st.text("abcXYZ019", min_size=1, max_size=6)
OUT = Path("/out")


@given(entities=st.dictionaries(st.sampled_from(ENTITY_ORDER), LABEL), random=st.randoms())
def test_entities_stand_in_the_order_of_bids_whatever_order_they_came_in(entities, random):
    keys = list(entities)
    random.shuffle(keys)
    name = file_name({key: entities[key] for key in keys}, "T1w")
    *pairs, suffix = name.removesuffix(".nii.gz").split("_")
    assert suffix == "T1w"
    assert dict(pair.split("-") for pair in pairs) == entities
    order = [ENTITY_ORDER.index(pair.split("-")[0]) for pair in pairs]
    assert order == sorted(order)


def test_every_entity_of_an_anatomical_scan_has_its_place():
    from bidsschematools.schema import load_schema

    schema = load_schema()
    used = {entity for rule in schema.rules.files.raw.anat.values() for entity in rule.entities}
    places = [schema.objects.entities[key].name for key in schema.rules.entities if key in used]
    assert "task" in places
    assert [key for key in ENTITY_ORDER if key in places] == places


def test_an_entity_without_a_place_is_refused_by_name():
    with pytest.raises(ValueError, match="bar, foo"):
        file_name({"sub": "01", "foo": "1", "bar": "2"}, "T1w")


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ("preproc", "sub-01_run-2_desc-preproc_FLAIR.nii.gz"),
        ("pseudohealthy", "sub-01_run-2_desc-pseudohealthy_FLAIR.nii.gz"),
        ("residual", "sub-01_run-2_desc-residual_FLAIR.nii.gz"),
        ("zscore", "sub-01_run-2_desc-zscore_FLAIR.nii.gz"),
        ("spread", "sub-01_run-2_desc-spread_FLAIR.nii.gz"),
        ("brain", "sub-01_run-2_desc-brainFLAIR_mask.nii.gz"),
        ("probability", "sub-01_run-2_label-lesion_desc-anomalyFLAIR_probseg.nii.gz"),
        ("anomaly", "sub-01_run-2_label-lesion_desc-anomalyFLAIR_mask.nii.gz"),
        ("lesions", "sub-01_run-2_desc-lesionsFLAIR_dseg.nii.gz"),
        ("atlas", "sub-01_run-2_atlas-DLMUSE_desc-regionsFLAIR_dseg.nii.gz"),
    ],
)
def test_outputs_have_the_names_that_the_documentation_gives(output, name):
    scan = {"sub": "01", "run": "2"}
    assert output_path(OUT, output, scan, modality="FLAIR") == OUT / "sub-01/anat" / name


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_output_keeps_the_entities_of_its_scan_and_says_its_space(output):
    scan = {"run": "1", "acq": "ax", "ses": "b", "sub": "01", "rec": "x"}
    path = output_path(OUT, output, scan, modality="T2w", space="MNI")
    assert path.parent == OUT / "sub-01/ses-b/anat"
    assert path.name.startswith("sub-01_ses-b_acq-ax_rec-x_run-1_space-MNI_")
    assert path.name.endswith(".nii.gz")
    assert "{" not in path.name


def test_no_two_outputs_share_a_name():
    scan = {"sub": "01"}
    names = [
        output_path(OUT, output, scan, modality=modality, space=space)
        for output in OUTPUTS
        for modality in ("T1w", "FLAIR")
        for space in (None, "MNI")
        if not (output == "quality" and modality == "FLAIR")  # once a session
    ]
    assert len(set(names)) == len(names)


def test_a_transform_says_where_it_leads():
    path = transform_path(
        OUT, {"sub": "01", "ses": "1"}, origin="T1w", target="MNI", extension=".h5"
    )
    expected = "sub-01/ses-1/anat/sub-01_ses-1_from-T1w_to-MNI_mode-image_xfm.h5"
    assert path == OUT / expected


@pytest.mark.parametrize(
    ("space", "name"),
    [
        ("MNI152NLin2009cAsym:res-2", "space-MNI152NLin2009cAsym_res-2_desc-zscore_T1w"),
        ("MNI152NLin2009aSym", "space-MNI152NLin2009aSym_desc-zscore_T1w"),
        (None, "desc-zscore_T1w"),
    ],
)
def test_a_space_with_several_resolutions_says_which(space, name):
    path = output_path(OUT, "zscore", {"sub": "01"}, modality="T1w", space=space)
    assert path.name == f"sub-01_{name}.nii.gz"


def test_the_sidecar_lies_beside_its_image():
    image = output_path(OUT, "residual", {"sub": "01"}, modality="T1w")
    assert sidecar_path(image) == OUT / "sub-01/anat/sub-01_desc-residual_T1w.json"


def test_sessions_have_folders_of_their_own():
    assert anat_folder(OUT, {"sub": "01"}) == OUT / "sub-01/anat"
    assert anat_folder(OUT, {"sub": "01", "ses": "2"}) == OUT / "sub-01/ses-2/anat"
