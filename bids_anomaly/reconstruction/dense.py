"""Convolutional halves of autoencoders with a dense code between them, from MONAI."""

from collections.abc import Sequence

from monai.networks.nets import Generator, Regressor
from torch import nn

# Instance norm, MONAI's default, would take the contrast of the scan away.
NORM = ("group", {"num_groups": 8})
ACTIVATION = ("leakyrelu", {"negative_slope": 0.2})


def encoder(shape: Sequence[int], code: int, channels: Sequence[int]) -> nn.Module:
    """Return a network from (B, 1, H, W) slices to (B, code), halving them for each of `channels`.

    Parameters
    ----------
    shape : (H, W)
        Multiples of 2 to the number of channels.
    code : int
        Numbers that come out.
    channels : sequence of int
        Features at each resolution, the finest first; multiples of eight.
    """
    return Regressor(
        (1, *shape),
        (code,),
        channels,
        (2,) * len(channels),
        num_res_units=1,
        act=ACTIVATION,
        norm=NORM,
    )


def decoder(shape: Sequence[int], code: int, channels: Sequence[int]) -> nn.Module:
    """Return a network from (B, code) to (B, 1, H, W); parameters as for :func:`encoder`."""
    small = [side // 2 ** len(channels) for side in shape]
    upwards = [*channels[-2::-1], channels[0]]
    return Generator(
        (code,),
        (channels[-1], *small),
        (*upwards, 1),
        (*(2,) * len(channels), 1),
        num_res_units=0,
        act=ACTIVATION,
        norm=NORM,
    )
