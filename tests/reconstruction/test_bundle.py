import hashlib
import json
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bids_anomaly.exceptions import ModelUnavailableError
from bids_anomaly.reconstruction.bundle import (
    DEFAULT_FAMILY,
    FALLBACK_FAMILY,
    PACKAGED,
    Bundle,
    choose_bundles,
    load_bundle,
    named_bundle,
    packaged_bundles,
)
from bids_anomaly.reconstruction.methods import METHODS
from bids_anomaly.reconstruction.registry import load_network
from bids_anomaly.scoring.calibration import load_calibration
from bids_anomaly.scoring.score import RULES

BUNDLES = packaged_bundles()


@pytest.fixture
def bundle(tmp_path):
    """A copy of the smallest bundle with weights, to be damaged."""
    return shutil.copytree(PACKAGED / "restore-T1w", tmp_path / "my model")


def change(folder, **entries):
    description = json.loads((folder / "bundle.json").read_text())
    description.update(entries)
    kept = {key: value for key, value in description.items() if value is not None}
    (folder / "bundle.json").write_text(json.dumps(kept))


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.name)
def test_a_packaged_bundle_is_whole_and_small(bundle):
    assert bundle.name == f"{bundle.method}-{bundle.modality}" == bundle.folder.name
    assert bundle.method in METHODS
    assert bundle.description["score"]["rule"] in RULES
    assert bundle.description["licence"]
    assert all(size % 16 == 0 for size in bundle.grid.shape)
    assert bundle.grid.description == bundle.description["grid"]
    assert load_calibration(bundle.calibration).people > 0
    assert sum(path.stat().st_size for path in bundle.folder.iterdir()) < 15 * 2**20


def test_all_packaged_bundles_together_stay_small():
    assert sum(path.stat().st_size for path in PACKAGED.rglob("*") if path.is_file()) < 60e6


def test_the_fallback_exists_for_every_modality_that_has_a_bundle():
    without_weights = {b.modality for b in BUNDLES if b.method == FALLBACK_FAMILY}
    assert {b.modality for b in BUNDLES} == without_weights
    assert DEFAULT_FAMILY in {b.method for b in BUNDLES}


def test_a_bundle_is_read_as_it_is_written(bundle):
    change(bundle, name="mine", version="7", modality="FLAIR")
    loaded = load_bundle(bundle)
    assert (loaded.name, loaded.version, loaded.modality) == ("mine", "7", "FLAIR")
    assert loaded.weights == bundle / "model.safetensors"
    assert loaded.grid.shape == (80, 96, 80)


@pytest.mark.parametrize("key", ["name", "version", "method", "modality", "grid", "score"])
def test_a_bundle_that_does_not_say_what_it_is_is_refused(bundle, key):
    change(bundle, **{key: None})
    with pytest.raises(ModelUnavailableError, match=f"my model does not say its {key}"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"method": "dream"}, "the method 'dream', which this version does not know"),
        ({"score": {"rule": "guess", "smoothing_mm": 1}}, "the rule of scores 'guess'"),
        ({"normalisation": "z-scored"}, "the normalisation 'z-scored'"),
        (
            {"grid": {"template": "MNI305", "shape": [4, 4, 4], "origin": [0, 0, 0], "spacing": 2}},
            "the template 'MNI305'",
        ),
        ({"score": {"rule": "own_score"}}, "does not say its score.smoothing_mm"),
        ({"grid": {"template": "T", "shape": [1, 1, 1], "spacing": 2}}, "say its grid.origin"),
        ({"grid": [80, 96, 80]}, "does not say its grid"),
        ({"network": None}, "does not say its network"),
        ({"levels": []}, "does not say its levels"),
    ],
)
def test_a_description_that_lacks_a_part_or_says_the_unknown_is_refused(bundle, entry, said):
    change(bundle, **entry)
    with pytest.raises(ModelUnavailableError, match=re.escape(said)):
        load_bundle(bundle)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half an archive", None])
def test_a_calibration_that_cannot_be_read_is_noticed(bundle, content):
    path = bundle / "calibration.npz"
    path.write_bytes(path.read_bytes()[:500] if content is None else content)
    with pytest.raises(ModelUnavailableError, match=r"my model cannot be read .*calibration\.npz"):
        load_bundle(bundle)


@pytest.mark.parametrize("network", [{"slices": 5, "channels": [8, 16]}, {"width": 3}])
def test_weights_of_another_network_than_the_described_are_refused(bundle, network):
    change(bundle, network=network)
    with pytest.raises(ModelUnavailableError, match="do not fit the network"):
        load_network(load_bundle(bundle))


def test_damaged_weights_are_noticed(bundle):
    content = bytearray((bundle / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (bundle / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelUnavailableError, match="my model are damaged") as error:
        load_bundle(bundle)
    assert error.value.exit_code == 69


@pytest.mark.parametrize("name", ["model.safetensors", "bundle.json", "calibration.npz"])
def test_a_missing_file_of_a_bundle_is_named(bundle, name):
    (bundle / name).unlink()
    with pytest.raises(ModelUnavailableError, match=f"my model cannot be read .*{name}"):
        load_bundle(bundle)


@pytest.mark.parametrize("text", ["{", "", "[1, 2]", '"restore"'])
def test_a_description_that_is_no_description_is_refused(bundle, text):
    (bundle / "bundle.json").write_text(text)
    with pytest.raises(ModelUnavailableError, match="my model"):
        load_bundle(bundle)


def test_weights_that_the_description_does_not_vouch_for_are_not_used(bundle):
    change(bundle, sha256=None)
    assert load_bundle(bundle).weights is None


def test_bundles_of_one_network_share_its_weights(bundle, tmp_path):
    other = shutil.copytree(bundle, tmp_path / "other")
    (other / "model.safetensors").unlink()
    change(other, weights=f"../{bundle.name}/model.safetensors")
    assert load_bundle(other).weights == load_bundle(bundle).weights
    (bundle / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailableError, match=r"other cannot be read .*model\.safetensors"):
        load_bundle(other)


@pytest.mark.parametrize(
    ("name", "asked", "taken"),
    [
        ("restore-T1w", 8, 8),
        ("anoddpm-T1w", None, 10),
        ("anoddpm-T1w", 400, 250),
        ("cadd-T1w", None, 3),
        ("guided-T1w", 1, 1),
        ("pddpm-T1w", 8, None),
        ("threshold-T1w", 8, None),
    ],
)
def test_a_bundle_knows_in_how_many_steps_it_reconstructs(name, asked, taken):
    assert named_bundle(name).steps_taken(asked) == taken


def test_a_bundle_of_restore_takes_a_step_for_each_of_its_levels(bundle):
    change(bundle, levels=[0.5, 0.3, 0.1])
    assert load_bundle(bundle).steps_taken(None) == 3


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.name)
def test_only_the_default_and_the_threshold_are_packaged_to_find_disease(bundle):
    is_release = bundle.method in (DEFAULT_FAMILY, FALLBACK_FAMILY)
    assert bundle.status == ("release" if is_release else "comparison")


def test_a_bundle_from_elsewhere_is_for_what_it_says(tmp_path):
    own = shutil.copytree(named_bundle("anoddpm-T1w").folder, tmp_path / "anoddpm-T1w")
    assert load_bundle(own).status == "release"
    change(own, status="comparison")
    assert load_bundle(own).status == "comparison"


def test_the_calibration_says_the_number_of_steps_where_nobody_asks_for_another(bundle):
    change(bundle, steps=5)
    calibrated = load_bundle(bundle)
    assert (calibrated.steps_taken(None), calibrated.steps_taken(2)) == (5, 2)


@pytest.mark.parametrize("name", ["model.safetensors", "bundle.json", "calibration.npz"])
def test_the_digest_changes_with_every_file(bundle, name):
    loaded = load_bundle(bundle)
    before = loaded.digest
    assert before == load_bundle(bundle).digest
    (bundle / name).write_bytes((bundle / name).read_bytes() + b" ")
    assert Bundle(bundle, loaded.description).digest != before


def test_a_family_gives_the_bundle_of_each_modality_and_the_threshold_where_it_has_none():
    modalities = ("FLAIR", "T1w", "T2w", "PDw")
    chosen = choose_bundles("restore", modalities)
    by_name = {bundle.name for bundle in BUNDLES}
    for modality, bundle in chosen.items():
        assert bundle.modality == modality
        family = "restore" if f"restore-{modality}" in by_name else "threshold"
        assert bundle.method == family
    assert set(chosen) == {"FLAIR", "T1w", "T2w"}


def test_only_the_modalities_asked_for_are_chosen():
    assert list(choose_bundles("threshold", ("T2w",))) == ["T2w"]


def test_a_folder_is_a_model_too(bundle, monkeypatch):
    change(bundle, name="mine", modality="FLAIR")
    chosen = choose_bundles(str(bundle), ("FLAIR", "T2w"))
    assert chosen["FLAIR"].name == "mine"
    assert chosen["T2w"].name == f"{load_bundle(bundle).method}-T2w"
    monkeypatch.chdir(bundle.parent)
    relative = choose_bundles("my model", ("FLAIR",))["FLAIR"]
    assert relative.folder == bundle


def test_a_folder_of_bundles_is_a_model_for_each_of_their_modalities(bundle, tmp_path):
    both = tmp_path / "both"
    for modality in ("T1w", "FLAIR"):
        shutil.copytree(bundle, both / modality)
        change(both / modality, name=f"mine-{modality}", modality=modality)
    chosen = choose_bundles(str(both), ("T1w", "FLAIR"))
    assert [chosen[key].name for key in ("T1w", "FLAIR")] == ["mine-T1w", "mine-FLAIR"]


@pytest.mark.parametrize("model", ["foo", "/nowhere", "."])
def test_an_unknown_model_is_refused_with_the_families_there_are(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelUnavailableError, match=r"Got '.*Known families: .*restore"):
        choose_bundles(model, ("T1w",))


@pytest.fixture(scope="module")
def parts():
    """The description of a whole bundle, and what damage puts in the place of its parts."""
    return json.loads((PACKAGED / "restore-T1w" / "bundle.json").read_text())


ODD = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner)),
    max_leaves=5,
)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), odd=ODD)
def test_a_description_with_anything_in_it_is_refused_or_used_whole(data, odd, bundle, parts):
    description = json.loads(json.dumps(parts))
    part = data.draw(st.sampled_from(["", "grid", "score"]))
    place = description[part] if part else description
    place[data.draw(st.sampled_from(sorted(place)))] = odd
    (bundle / "bundle.json").write_text(json.dumps(description))
    loaded = loaded_or_complaint(bundle)
    if isinstance(loaded, str):
        assert "my model" in loaded
        return
    # What a run reads before it computes anything.
    assert len(loaded.grid.shape) == 3
    assert loaded.identity
    assert loaded.named(None)
    assert isinstance(loaded.calibrated_on, str)
    assert loaded.status


@pytest.mark.parametrize(
    "entry",
    [
        {"levels": 3},
        {"levels": ["x"]},
        {"views": "axial"},
        {"views": ["oblique"]},
        {"steps": "4"},
        {"steps": [4]},
        {"name": ["x"]},
        {"method": ["restore"]},
        {"sha256": 7},
        {"calibration": []},
        {"training": "x"},
        {"grid": {"template": 1, "shape": [4, 4, 4], "origin": [0, 0, 0], "spacing": 2}},
        {"grid": {"template": "T", "shape": [4, 4.5, 4], "origin": [0, 0, 0], "spacing": 2}},
        {"grid": {"template": "T", "shape": "444", "origin": [0, 0, 0], "spacing": 2}},
        {"grid": {"template": "T", "shape": [4, 4, 4], "origin": [0, 0], "spacing": 2}},
        {"grid": {"template": "T", "shape": [4, 4, 4], "origin": [0, 0, 0], "spacing": 0}},
    ],
)
def test_a_part_of_the_wrong_kind_is_named(bundle, entry):
    change(bundle, **entry)
    (part,) = entry
    with pytest.raises(ModelUnavailableError, match=f"cannot be its {part}"):
        load_bundle(bundle)


def loaded_or_complaint(folder):
    try:
        return load_bundle(folder)
    except ModelUnavailableError as error:
        return str(error)


@pytest.mark.parametrize("text", ["[" * 100_000, "\ufeff{}", '{"name": 1'], ids=range(3))
def test_a_description_that_no_parser_takes_is_refused(bundle, text):
    (bundle / "bundle.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelUnavailableError, match="my model"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", ["bundle.json", "calibration.npz", "model.safetensors"])
def test_a_bundle_of_which_any_byte_changed_is_refused_or_as_it_was(bundle, name):
    whole = (bundle / name).read_bytes()
    before = load_calibration(bundle / "calibration.npz")
    random = np.random.default_rng(0)
    for place in random.integers(0, len(whole), 12):
        content = bytearray(whole)
        content[place] ^= 255
        (bundle / name).write_bytes(content)
        loaded = loaded_or_complaint(bundle)
        if isinstance(loaded, str):
            assert "my model" in loaded
        elif name == "calibration.npz":  # a byte that no reader looks at
            np.testing.assert_array_equal(load_calibration(loaded.calibration).score, before.score)
        else:
            assert name == "bundle.json"


def executed(path):
    Path(path).write_text("executed")


class Attack:
    """What runs code where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return executed, (str(self.path),)


@pytest.mark.parametrize("name", ["calibration.npz", "model.safetensors"])
def test_a_pickle_in_the_place_of_a_file_is_never_executed(bundle, name, tmp_path):
    trace = tmp_path / "trace"
    attack = pickle.dumps(Attack(trace))
    (bundle / name).write_bytes(attack)
    change(bundle, sha256=hashlib.sha256((bundle / "model.safetensors").read_bytes()).hexdigest())
    with pytest.raises(ModelUnavailableError, match="my model"):
        load_network(load_bundle(bundle))
    if name == "calibration.npz":
        np.savez(bundle / name, score=np.array([Attack(trace)], dtype=object), exceedance=[0.5])
        with pytest.raises(ModelUnavailableError, match="my model"):
            load_bundle(bundle)
    assert not trace.exists()
    pickle.loads(attack)
    assert trace.exists()  # so that the attack is one


@pytest.mark.parametrize(
    "wrong",
    [
        {"score": [0.0, 1.0], "exceedance": [0.1, 0.2]},
        {"score": [1.0, 0.0], "exceedance": [0.2, 0.1]},
        {"score": [0.0, np.nan], "exceedance": [0.2, 0.1]},
        {"score": [0.0, 1.0], "exceedance": [1.0, 0.1]},
        {"score": [0.0], "exceedance": [0.1]},
        {"score": [[0.0, 1.0]], "exceedance": [[0.2, 0.1]]},
        {"score": [0.0, 1.0, 2.0], "exceedance": [0.2, 0.1]},
    ],
)
def test_a_calibration_that_cannot_be_one_is_refused(bundle, wrong):
    np.savez(bundle / "calibration.npz", people=3, **wrong)
    with pytest.raises(ModelUnavailableError, match=r"calibration\.npz is damaged"):
        load_bundle(bundle)
