from hypothesis import given
from hypothesis import strategies as st

from bids_anomaly.bids.outputs import OUTPUTS
from bids_anomaly.modalities import (
    MODALITIES,
    PRIMARY_ORDER,
    in_usual_order,
    modality_of,
    primary_modality,
)

SUFFIXES = st.sampled_from([*MODALITIES, "PDw", "T2star", "CT", "UNIT1"])


@given(
    there=st.sets(st.sampled_from(MODALITIES), min_size=1),
    asked_for=st.none() | st.sampled_from(MODALITIES),
)
def test_what_was_asked_for_leads_where_it_is_there_and_else_the_first_in_order(there, asked_for):
    leads = primary_modality(there, asked_for)

    assert leads in there
    if asked_for in there:
        assert leads == asked_for
    else:
        assert not there & set(PRIMARY_ORDER[: PRIMARY_ORDER.index(leads)])


def test_every_modality_has_its_place_in_the_order():
    assert sorted(PRIMARY_ORDER) == sorted(MODALITIES)


@given(suffixes=st.lists(SUFFIXES))
def test_the_usual_order_keeps_each_once_and_puts_those_with_a_row_first(suffixes):
    ordered = in_usual_order(suffixes)

    assert sorted(ordered) == sorted(set(suffixes))
    places = [MODALITIES.index(one) if one in MODALITIES else len(MODALITIES) for one in ordered]
    assert places == sorted(places)


@given(suffix=SUFFIXES)
def test_any_suffix_is_a_modality(suffix):
    known = modality_of(suffix)

    assert known.suffix == suffix
    assert bool(known.good) == (suffix in MODALITIES)


@given(name=st.sampled_from(sorted(OUTPUTS)), modality=SUFFIXES)
def test_the_modality_of_an_output_is_read_back_from_its_name(name, modality):
    entities, suffix = OUTPUTS[name].named(modality)
    of_session = OUTPUTS[name].named("") == (entities, suffix)

    read_back = OUTPUTS[name].modality_in({"sub": "01", **entities}, suffix)

    assert read_back == ("" if of_session else modality)
