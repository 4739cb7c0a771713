#!/usr/bin/env bash
# A real SLURM, a real Apptainer, the scripts of singularity/slurm, and four people of whom one is broken.
#
# make cluster-test makes the SIF and starts this; an ordinary user runs it, not root. From the environment:
# SIF, BIDS_ANOMALY (the command as installed without container, for Nipype's SLURM plugin; default:
# .venv/bin/bids-anomaly). Takes ten minutes on two cores.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/containers/checks.sh
source tests/containers/checks.sh
# shellcheck source=tests/containers/slurm.sh
source tests/containers/slurm.sh

PATH=$PATH:/usr/sbin:/sbin
sif=$(realpath "${SIF:-bids-anomaly.sif}")
command=$(realpath "${BIDS_ANOMALY:-.venv/bin/bids-anomaly}")
for program in munged slurmctld slurmd sbatch squeue scontrol; do
    need "$program" "apt-get install munge slurmctld slurmd slurm-client"
done
need apptainer "https://apptainer.org/docs/admin/main/installation.html"
need "$command" "make test installs it; name another one with BIDS_ANOMALY"
[ -f "$sif" ] || need "$sif" "make the image, then this: make bids-anomaly.sif"
[ "$(id -u)" -ne 0 ] || need "an ordinary user" "root may do what users may not; use su"
# Not nproc, which gives OMP_NUM_THREADS where that is set.
SLURM_TEST_CPUS=$(getconf _NPROCESSORS_ONLN)
[ "$SLURM_TEST_CPUS" -ge 2 ] || need "a second CPU" "each task of the array asks for two"
stop_if_missing

SLURM_TEST_MB=$(awk '/^MemTotal/ {print int($2 / 1024 * 0.8)}' /proc/meminfo)
folder=$(mktemp -d)
trap 'stop_slurm "$folder/slurm"; sleep 1; chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
mkdir "$folder/slurm" "$folder/logs"
start_slurm "$folder/slurm" || exit 1
export SBATCH_OUTPUT="$folder/logs/%A_%a.log"

in_sif() { apptainer exec --bind "$folder" "$sif" "$@"; }

# submit ARGUMENTS...: submit.sh, and the numbers that it prints: how many people, and the job arrays.
submit() {
    singularity/slurm/submit.sh "$@" | tee "$folder/submitted"
}

newest_log() {
    # shellcheck disable=SC2012  # names are ours
    ls -t "$1"/logs/*/"$2".log | head -n 1
}

# What each person has to have, and the dataset as a whole.
whole() {
    local out=$1 person
    for person in demo01 demo02 demo03; do
        ls "$out/sub-$person.html" \
            "$out/sub-$person/anat/sub-${person}_label-lesion_desc-anomalyT1w_mask.nii.gz" || return
    done
    cmp "$bids/participants.tsv" "$out/participants.tsv" || return
    [ "$(find "$out" -name '*.tmp*' -o -name '.*-*' | wc -l)" -eq 0 ] || return
    in_sif bids-validator-deno --ignoreWarnings "$out"
}

# same_maps A B: z-scores and masks of two runs do not differ.
same_maps() {
    in_sif python3 - "$@" <tests/containers/same_maps.py
}

echo "-- four people, one of them broken"
bids=$folder/bids
check "they are made in the container" in_sif python3 - "$bids" <tests/containers/four_people.py
chmod -R a-w "$bids"

echo "-- the image"
check "the test of the SIF passes" apptainer test "$sif"
check "its help says how to run it" says 'apptainer run' apptainer run-help "$sif"
# shellcheck disable=SC2016  # for the shell inside
check "Python modules of the host stay outside" env PYTHONPATH="$folder/logs" \
    apptainer exec "$sif" sh -c '[ -z "${PYTHONPATH:-}" ]'

echo "-- job array, one participant a task"
check "it is submitted" submit "$sif" "$bids" "$folder/out" "$folder/work" --nprocs 1
mapfile -t numbers < <(grep --only-matching '[0-9]*' "$folder/submitted")
array=${numbers[1]}
check "all tasks end" wait_for_jobs 1800
check "three succeed, the broken one fails with 65" \
    says '^COMPLETED:0 COMPLETED:0 COMPLETED:0 FAILED:65$' outcomes "$array"
check "its log says what is wrong" says 'sub-demo04: .* failed: ' cat "$folder/logs/${array}_4.log"
check "the files of the others and of the dataset are whole" whole "$folder/out"

echo "-- two dependent arrays: preprocessing, then the part with the GPU (on the CPU here)"
check "they are submitted" submit --two-stage "$sif" "$bids" "$folder/out2" "$folder/work2" \
    --nprocs 1 --device cpu
mapfile -t numbers < <(grep --only-matching '[0-9]*' "$folder/submitted")
first=${numbers[1]} second=${numbers[2]}
check "all tasks end" wait_for_jobs 1800
check "preprocessing: three succeed, the broken one fails with 65" \
    says '^COMPLETED:0 COMPLETED:0 COMPLETED:0 FAILED:65$' outcomes "$first"
check "then: three succeed, the broken one is cancelled without a start" \
    says '^COMPLETED:0 COMPLETED:0 COMPLETED:0 CANCELLED:0$' outcomes "$second"
check "the scheduler gave them a GPU" says 'gres.gpu' scontrol show job "${second}_1"
check "preprocessing was not done again" \
    says 'conform .*: done before' cat "$(newest_log "$folder/out2" sub-demo01)"
check "the files are whole" whole "$folder/out2"
check "and the same as those of a single job" same_maps "$folder/out" "$folder/out2"

echo "-- Nipype's SLURM plugin, each step a job"
cat >"$folder/plugin.yml" <<END
plugin: SLURM
plugin_args: {sbatch_args: "--time=10", max_jobs: 8}
END
check "one participant succeeds" env -u LOGNAME "$command" "$bids" "$folder/out3" participant --participant-label demo02 \
    -w "$folder/work3" --use-plugin "$folder/plugin.yml" --nprocs 1
check "its steps were jobs" says 'extract_brain' squeue --noheader --states=all --format=%j
check "the broken participant fails with 65" exits 65 "$command" "$bids" "$folder/out3" participant \
    --participant-label demo04 -w "$folder/work3" --use-plugin "$folder/plugin.yml" --nprocs 1
check "and the maps are those of the array" same_maps "$folder/out3" "$folder/out"

conclude
