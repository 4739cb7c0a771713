"""The U-Net of all methods that restore images, and what conditions it."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUPS = 8
CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}


class UNet(nn.Module):
    """A U-Net on half-resolution features, conditioned on a level and on a context.

    The scan enters by pixel-unshuffle, which halves the resolution and quarters the cost without
    losing a voxel. Its last layer starts at zero.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    channels : sequence of int
        Features at each of the resolutions, multiples of eight.
    dimensions : int
        2 or 3.
    """

    def __init__(self, inputs: int, outputs: int, channels: Sequence[int], *, dimensions: int = 2):
        super().__init__()
        self.dimensions = dimensions
        self.level_features = channels[0]
        convolution = CONVOLUTIONS[dimensions]
        # What fits into one voxel of half the resolution.
        fold = 2**dimensions
        self.context_size = embedding = 4 * channels[0]
        self.embed_level = nn.Sequential(
            nn.Linear(channels[0], embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        self.enter = convolution(fold * inputs, channels[0], 3, padding=1)
        self.encoders = nn.ModuleList()
        self.shrinks = nn.ModuleList()
        width = channels[0]
        for features in channels:
            self.encoders.append(ResidualBlock(width, features, embedding, dimensions))
            width = features
        for features in channels[:-1]:
            self.shrinks.append(convolution(features, features, 3, stride=2, padding=1))
        self.middle = ResidualBlock(width, width, embedding, dimensions)
        self.decoders = nn.ModuleList()
        for features in reversed(channels[:-1]):
            self.decoders.append(ResidualBlock(width + features, features, embedding, dimensions))
            width = features
        last = convolution(width, fold * outputs, 3, padding=1)
        # Start as the identity: an untrained network changes nothing.
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.leave = nn.Sequential(nn.GroupNorm(GROUPS, width), nn.SiLU(), last)

    def forward(self, scan: Tensor, level: Tensor, context: Tensor | None = None) -> Tensor:
        """Transform a scan.

        Parameters
        ----------
        scan : (B, inputs, ...) tensor
            Sides are multiples of 2 to the number of resolutions.
        level : (B,) tensor
            Level of corruption, 0 (the weakest) to 1 (the strongest).
        context : (B, 4 * channels[0]) tensor, optional
            What else is known of the sample.

        Returns
        -------
        (B, outputs, ...) tensor
        """
        condition = self.condition(level)
        if context is not None:
            condition = condition + context
        *skipped, features = self.encode(scan, condition)
        features = self.middle(features, condition)
        for decode in self.decoders:
            skip = skipped.pop()
            features = F.interpolate(features, size=skip.shape[2:], mode="nearest")
            features = decode(torch.cat([features, skip], dim=1), condition)
        return _unfold(self.leave(features), self.dimensions)

    def condition(self, level: Tensor) -> Tensor:
        """Embed (B,) levels of corruption, (B, 4 * channels[0])."""
        return self.embed_level(_sinusoids(level, self.level_features))

    def encode(self, scan: Tensor, condition: Tensor) -> list[Tensor]:
        """Return features at each of the resolutions, the finest first."""
        features = self.enter(_fold(scan, self.dimensions))
        found = []
        for depth, encode in enumerate(self.encoders):
            if depth:
                features = self.shrinks[depth - 1](features)
            features = encode(features, condition)
            found.append(features)
        return found


class RestorationNet(UNet):
    """Restores the middle slice of an axial slab, and marks what was made anomalous in it.

    Beside the slab the network sees the middle slice mirrored at the midline, since most disease is
    one-sided. It gives the healthy slice as a change to the one it got, and the logit that a voxel
    was made anomalous.

    Parameters
    ----------
    slices : int
        Number of neighbouring axial slices in a slab, odd.
    channels : sequence of int
        See :class:`UNet`.
    """

    def __init__(self, slices: int = 5, channels: Sequence[int] = (48, 96, 144, 192)):
        super().__init__(slices + 1, 2, channels)
        self.slices = slices
        self.arguments = {"slices": slices, "channels": list(channels)}

    # Another signature than the network's that it is made of.
    def forward(  # type: ignore[override]
        self, slab: Tensor, mirrored: Tensor, level: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Restore the middle slice.

        Parameters
        ----------
        slab : (B, S, H, W) tensor
            Neighbouring slices, white matter = 1; H and W multiples of 16.
        mirrored : (B, 1, H, W) tensor
            The middle slice flipped at the midline, or zeros.
        level : (B,) tensor
            Level of corruption, 0 (the weakest) to 1 (the strongest).

        Returns
        -------
        healthy : (B, 1, H, W) tensor
        lesion_logit : (B, 1, H, W) tensor
        """
        output = super().forward(torch.cat([slab, mirrored], dim=1), level)
        change, lesion_logit = output.chunk(2, dim=1)
        middle = self.slices // 2
        return slab[:, middle : middle + 1] + change, lesion_logit


class RepaintingNet(UNet):
    """Predicts the healthy slices of a slab, all of them, as a change to the slab it got.

    Parameters
    ----------
    channels : sequence of int
        See :class:`UNet`.
    slices : int
        Slices in a slab: one, or the height of a three-dimensional network.
    inputs : int
        How many images of the slab the network sees; the first is the one it changes.
    dimensions : int
        2 or 3.
    **trained_with
        What else inference has to know, such as the kind of noise; becomes attributes.
    """

    noise: str

    def __init__(
        self,
        channels: Sequence[int],
        *,
        slices: int = 1,
        inputs: int = 1,
        dimensions: int = 2,
        **trained_with: str,
    ):
        super().__init__(inputs, 1, channels, dimensions=dimensions)
        self.slices = slices
        self.arguments: dict[str, object] = {"channels": list(channels), **trained_with}
        if dimensions == 3:
            self.arguments["slices"] = slices
        for name, value in trained_with.items():
            setattr(self, name, value)

    def forward(self, slab: Tensor, level: Tensor, context=None, beside: Sequence[Tensor] = ()):
        """Predict (B, S, H, W) healthy slices from a corrupted `slab` and images `beside` it."""
        images = torch.stack([slab, *beside], dim=1)
        if self.dimensions == 2:
            images = images.flatten(1, 2)
        return slab + super().forward(images, level, context).view_as(slab)


class Covariates(nn.Module):
    """Turns what is known of a person into a context; what is not known has a vector of its own.

    Parameters
    ----------
    names : sequence of str
        Of the covariates.
    size : int
        Of the context.
    """

    def __init__(self, names: Sequence[str], size: int):
        super().__init__()
        self.slope = nn.Parameter(0.1 * torch.randn(len(names), size))
        self.known = nn.Parameter(torch.zeros(len(names), size))
        self.unknown = nn.Parameter(torch.zeros(len(names), size))

    def forward(self, values: Tensor) -> Tensor:
        """Turn (B, names) values, NaN where unknown, into a (B, size) context."""
        known = self.known + self.slope * values.nan_to_num()[..., None]
        return torch.where(values.isnan()[..., None], self.unknown, known).sum(1)


class ResidualBlock(nn.Module):
    """Two convolutions whose features are scaled and shifted by the condition."""

    def __init__(self, width: int, features: int, embedding: int, dimensions: int = 2):
        super().__init__()
        convolution = CONVOLUTIONS[dimensions]
        self.norm1 = nn.GroupNorm(GROUPS, width)
        self.conv1 = convolution(width, features, 3, padding=1)
        self.condition = nn.Linear(embedding, 2 * features)
        self.norm2 = nn.GroupNorm(GROUPS, features)
        self.conv2 = convolution(features, features, 3, padding=1)
        self.skip = convolution(width, features, 1) if width != features else nn.Identity()

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Transform (B, width, ...) `features` given (B, embedding) `condition`."""
        condition = self.condition(condition).view(len(features), -1, *[1] * (features.ndim - 2))
        scale, shift = condition.chunk(2, dim=1)
        change = self.conv1(F.silu(self.norm1(features)))
        change = self.conv2(F.silu(self.norm2(change) * (1 + scale) + shift))
        return self.skip(features) + change


def _sinusoids(level: Tensor, size: int) -> Tensor:
    """Embed levels between 0 and 1 as `size` sines and cosines of growing frequency."""
    frequencies = torch.exp(torch.linspace(0, math.log(1000), size // 2, device=level.device))
    angles = level[:, None].float() * frequencies[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _fold(scan: Tensor, dimensions: int) -> Tensor:
    """Halve the resolution without losing a voxel, by channels for the voxels that become one."""
    if dimensions == 2:
        return F.pixel_unshuffle(scan, 2)
    batch, channels, depth, height, width = scan.shape
    cells = scan.view(batch, channels, depth // 2, 2, height // 2, 2, width // 2, 2)
    return cells.permute(0, 1, 3, 5, 7, 2, 4, 6).flatten(1, 4)


def _unfold(features: Tensor, dimensions: int) -> Tensor:
    """Undo :func:`_fold`."""
    if dimensions == 2:
        return F.pixel_shuffle(features, 2)
    batch, _, depth, height, width = features.shape
    cells = features.view(batch, -1, 2, 2, 2, depth, height, width)
    return cells.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(
        batch, -1, 2 * depth, 2 * height, 2 * width
    )
