"""``--dry-run`` says what would be done, and does nothing."""


def test_a_dry_run_prints_the_steps_if_asked_to_say_more_and_writes_nothing(
    two_scans, command, tmp_path
):
    out, work = tmp_path / "out", tmp_path / "work"
    finished = command(two_scans, out, "participant", "--dry-run", "-v", "-w", work)
    assert finished.code == 0, finished.stderr
    plan, steps = finished.stdout.split("Steps of ")
    assert f"  {two_scans}/sub-01/anat/sub-01_T1w.nii.gz: restore-T1w" in plan
    lines = steps.splitlines()
    assert lines[0] == "sub-01"
    assert any(line.startswith("  extract brain (preprocess sub-01_T1w)  <- ") for line in lines)
    for step in ("reorient", "extract brain", "reconstruct", "register deformable", "write report"):
        assert any(line.startswith(f"  {step}") for line in lines), step
    order = [line.split("  <- ")[0].strip() for line in lines]
    for line in lines[1:]:
        step, _, waits = line.strip().partition("  <- ")
        for before in filter(None, waits.split(", ")):
            assert order.index(before) < order.index(step)
    assert not out.exists()
    assert not work.exists()
    assert sorted(path.name for path in two_scans.iterdir()) == [
        "README", "dataset_description.json", "participants.tsv", "sub-01",
    ]  # fmt: skip


def test_a_dry_run_makes_no_database_and_reads_one_that_is_there(two_scans, command, tmp_path):
    from bids_anomaly.bids.query import find_sessions

    database, out = tmp_path / "database", tmp_path / "out"
    arguments = (two_scans, out, "participant", "--dry-run", "--bids-database-dir", database)
    without = command(*arguments, "--skip-bids-validation")
    assert without.code == 0, without.stderr
    assert not database.exists()
    find_sessions(two_scans, database_dir=database)
    before = sorted(database.rglob("*"))
    with_database = command(*arguments, "--skip-bids-validation")
    assert sorted(with_database.stdout.splitlines()) == sorted(without.stdout.splitlines())
    assert sorted(database.rglob("*")) == before


def test_a_dry_run_names_scans_that_were_not_fetched(write_dataset, command, tmp_path):
    bids = write_dataset(tmp_path / "bids", {})
    link, pointer = (bids / "sub-01" / "anat" / f"sub-01_{name}.nii.gz" for name in ("T1w", "T2w"))
    link.parent.mkdir(parents=True)
    link.symlink_to("../../.git/annex/objects/XX/content.nii.gz")
    pointer.write_text("/annex/objects/MD5E-s9--0.nii.gz\n")
    (bids / "participants.tsv").write_text("participant_id\nsub-01\n")
    finished = command(bids, tmp_path / "out", "participant", "--dry-run", "-w", tmp_path / "work")
    assert finished.code == 0, finished.stderr
    for path in (link, pointer):
        assert f'"datalad get {path}"' in finished.stderr
