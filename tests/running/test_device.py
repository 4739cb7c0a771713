import subprocess
import sys

import pytest

from bids_anomaly.exceptions import DeviceUnavailableError, UsageError
from bids_anomaly.running.device import list_gpus, only_gpu, resolve_device, visible_gpus

GPUS = (("GPU-aa11",), ("GPU-ab22",), ("GPU-cc33", "MIG-dd44", "MIG-ee55"))
LISTING = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aa11)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-ab22)
GPU 2: NVIDIA A100-SXM4-40GB (UUID: GPU-cc33)
  MIG 3g.20gb     Device  0: (UUID: MIG-dd44)
  MIG 3g.20gb     Device  1: (UUID: MIG-ee55)
"""


def resolve(requested, gpus=GPUS, cuda=True, **environ):
    return resolve_device(
        requested, environ=environ, list_gpus=lambda: gpus, torch_can_use_gpus=lambda: cuda
    )


def test_auto_takes_the_first_gpu_or_the_cpu():
    assert resolve("auto") == "cuda:0"
    assert resolve("auto", gpus=()) == "cpu"
    assert resolve("auto", CUDA_VISIBLE_DEVICES="-1") == "cpu"
    assert resolve("auto", cuda=False) == "cpu"


def test_the_cpu_is_taken_without_looking_for_gpus():
    def fail():
        raise AssertionError

    assert resolve_device("cpu", list_gpus=fail, torch_can_use_gpus=fail) == "cpu"


def test_a_named_gpu_is_taken():
    assert resolve("cuda") == "cuda:0"
    assert resolve("cuda:2") == "cuda:2"


def test_gpus_are_counted_within_the_visible_ones():
    assert resolve("cuda:1", CUDA_VISIBLE_DEVICES="2,0") == "cuda:1"
    with pytest.raises(DeviceUnavailableError, match=r"visible: cuda:0;.*'2' hides others"):
        resolve("cuda:2", CUDA_VISIBLE_DEVICES="2")


@pytest.mark.parametrize("gpus", [(), GPUS[:1]])
def test_a_missing_gpu_is_an_error_with_the_ways_out(gpus):
    with pytest.raises(DeviceUnavailableError) as caught:
        resolve("cuda:1", gpus=gpus)

    message = str(caught.value)
    assert caught.value.exit_code == 69
    assert message.startswith("--device cuda:1 asks for a GPU that this process cannot see")
    assert f"(visible: {'cuda:0' if gpus else 'none'})" in message
    for way_out in ("docker run --gpus all", "apptainer run --nv", "--device cpu"):
        assert way_out in message


def test_a_torch_without_cuda_is_an_error_for_a_named_gpu():
    with pytest.raises(DeviceUnavailableError, match="torch was built without CUDA"):
        resolve("cuda", cuda=False)


@pytest.mark.parametrize("requested", ["gpu", "cuda:", "cuda:-1", "cuda0", "", "CPU"])
def test_another_form_is_refused(requested):
    with pytest.raises(UsageError, match="cuda:N"):
        resolve(requested)


@pytest.mark.parametrize(
    ("variable", "visible"),
    [
        (None, ("GPU-aa11", "GPU-ab22", "GPU-cc33")),
        ("", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("1", ("GPU-ab22",)),
        (" 1, 0 ", ("GPU-ab22", "GPU-aa11")),
        ("1,7,0", ("GPU-ab22",)),
        ("0,-1,1", ("GPU-aa11",)),
        ("0,0", ()),
        ("GPU-ab22", ("GPU-ab22",)),
        ("GPU-ab", ("GPU-ab22",)),
        ("GPU-a", ()),
        ("MIG-ee55", ("MIG-ee55",)),
        ("GPU-zz", ()),
    ],
)
def test_cuda_visible_devices_hides_as_cuda_does(variable, visible):
    assert visible_gpus(GPUS, variable) == visible


@pytest.mark.parametrize(
    ("device", "variable", "alone"),
    [
        ("cuda:0", None, "GPU-aa11"),
        ("cuda:1", None, "GPU-ab22"),
        ("cuda:1", "2,0", "GPU-aa11"),
        ("cuda:1", "GPU-cc33, GPU-ab22", "GPU-ab22"),
        ("cuda:0", "MIG-ee55", "MIG-ee55"),
    ],
)
def test_a_chosen_gpu_is_the_only_one_that_steps_see(device, variable, alone):
    environ = {} if variable is None else {"CUDA_VISIBLE_DEVICES": variable}
    assert visible_gpus(GPUS, only_gpu(device, environ=environ)) == (alone,)


def test_gpus_and_their_slices_are_listed():
    assert list_gpus((sys.executable, "-c", f"print({LISTING!r})")) == GPUS


@pytest.mark.parametrize(
    "command", [("no-such-command",), (sys.executable, "-c", "print('NVIDIA-SMI failed'); exit(9)")]
)
def test_without_a_working_driver_there_are_no_gpus(command):
    assert list_gpus(command) == ()


def test_devices_are_resolved_without_importing_torch():
    code = (
        "import sys; from bids_anomaly.running.device import resolve_device, torch_can_use_gpus;"
        "resolve_device('auto'); torch_can_use_gpus(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_the_installed_torch_is_judged_as_it_judges_itself():
    code = (
        "import torch; from bids_anomaly.running.device import torch_can_use_gpus;"
        "assert torch_can_use_gpus() == torch.backends.cuda.is_built()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
