import pytest
import torch

from bids_anomaly.exceptions import DeviceUnavailableError
from bids_anomaly.reconstruction.batching import (
    CPU_BATCH,
    batch_size_for,
    in_batches,
    places,
    slabs_around,
    stitched,
)

SLABS = torch.arange(23.0).reshape(23, 1)


def device_for(most, error=MemoryError, sizes=None):
    """Return a function that doubles up to `most` slabs at a time, and notes how many it got."""

    def evaluate(slabs):
        if sizes is not None:
            sizes.append(len(slabs))
        if len(slabs) > most:
            raise error("out of memory")
        return 2 * slabs, slabs + 1

    return evaluate


@pytest.mark.parametrize("batch_size", [1, 2, 7, 23, 100])
def test_whatever_the_batch_size_every_slab_comes_back_once_and_in_order(batch_size):
    doubled, raised = in_batches(device_for(100), SLABS, batch_size=batch_size)
    torch.testing.assert_close(doubled, 2 * SLABS)
    torch.testing.assert_close(raised, SLABS + 1)


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
@pytest.mark.parametrize("most", [1, 3, 5])
def test_where_memory_runs_out_the_batch_is_halved_until_it_fits(error, most):
    sizes = []
    doubled, raised = in_batches(device_for(most, error, sizes), SLABS, batch_size=16)
    torch.testing.assert_close(doubled, 2 * SLABS)
    torch.testing.assert_close(raised, SLABS + 1)
    assert sizes[:2] == [16, 8]
    fitting = [size for size in sizes if size <= most]
    assert sum(fitting) == len(SLABS)


def test_a_batch_that_fitted_is_not_evaluated_again():
    seen = []

    def evaluate(slabs):
        if seen and len(slabs) > 2:
            raise MemoryError
        seen.extend(slabs[:, 0].tolist())
        return (slabs,)

    in_batches(evaluate, SLABS, batch_size=8)
    assert seen == SLABS[:, 0].tolist()


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
def test_a_device_too_small_for_one_slab_is_an_error_with_a_way_out(error):
    with pytest.raises(DeviceUnavailableError, match="--device cpu") as raised:
        in_batches(device_for(0, error), SLABS, batch_size=16)
    assert raised.value.exit_code == 69


def test_other_errors_are_not_taken_for_lack_of_memory():
    with pytest.raises(RuntimeError, match="shape"):
        in_batches(device_for(0, lambda _: RuntimeError("shape")), SLABS, batch_size=16)


def test_on_the_cpu_the_batch_does_not_depend_on_the_machine():
    assert batch_size_for("cpu") == CPU_BATCH


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_batch_fits_into_its_memory():
    assert 1 <= batch_size_for("cuda:0") <= 128


def test_several_inputs_are_cut_alike():
    (total,) = in_batches(lambda one, other: (one + other,), SLABS, -SLABS, batch_size=5)
    assert not total.any()


def test_every_slice_is_the_middle_of_its_slab():
    volume = torch.rand(6, 4, 3)
    slabs = slabs_around(volume, 5)
    assert slabs.shape == (6, 5, 4, 3)
    torch.testing.assert_close(slabs[:, 2], volume)
    assert not slabs[0, :2].any()


@pytest.mark.parametrize(("length", "size", "count"), [(80, 32, 4), (96, 60, 2), (32, 32, 1)])
def test_windows_put_together_give_the_whole(length, size, count):
    volume = torch.rand(length, 3)
    windows = places(length, size, count)
    assert len(windows) == count
    parts = [((window, slice(None)), volume[window]) for window in windows]
    torch.testing.assert_close(stitched(parts, volume.shape), volume)
