"""Networks that map a corrupted slice to the healthy one."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUPS = 8


class RestorationNet(nn.Module):
    """A U-Net on half-resolution features that restores the middle slice of an axial slab.

    The scan enters by pixel-unshuffle, which halves the resolution and quarters the cost without
    losing a voxel. Beside the slab the network sees the middle slice mirrored at the midline, since
    most disease is one-sided. It gives the healthy slice as a change to the one it got, and the
    logit that a voxel was made anomalous.

    Parameters
    ----------
    slices : int
        Number of neighbouring axial slices in a slab, odd.
    channels : tuple of int
        Features at each of the resolutions, multiples of eight.
    """

    def __init__(self, slices: int = 5, channels: tuple[int, ...] = (48, 96, 144, 192)):
        super().__init__()
        self.slices = slices
        self.channels = tuple(channels)
        embedding = 4 * channels[0]
        self.embed_level = nn.Sequential(
            nn.Linear(channels[0], embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        self.enter = nn.Conv2d(4 * (slices + 1), channels[0], 3, padding=1)
        self.encoders = nn.ModuleList()
        self.shrinks = nn.ModuleList()
        width = channels[0]
        for features in channels:
            self.encoders.append(ResidualBlock(width, features, embedding))
            width = features
        for features in channels[:-1]:
            self.shrinks.append(nn.Conv2d(features, features, 3, stride=2, padding=1))
        self.middle = ResidualBlock(width, width, embedding)
        self.decoders = nn.ModuleList()
        for features in reversed(channels[:-1]):
            self.decoders.append(ResidualBlock(width + features, features, embedding))
            width = features
        self.leave = nn.Sequential(
            nn.GroupNorm(GROUPS, width), nn.SiLU(), nn.Conv2d(width, 8, 3, padding=1)
        )
        # Start as the identity: an untrained network returns the scan.
        nn.init.zeros_(self.leave[-1].weight)
        nn.init.zeros_(self.leave[-1].bias)

    def forward(self, slab: Tensor, mirrored: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Restore the middle slice.

        Parameters
        ----------
        slab : (B, S, H, W) tensor
            Neighbouring slices, white matter = 1; H and W multiples of 16.
        mirrored : (B, 1, H, W) tensor
            The middle slice flipped at the midline, or zeros.
        level : (B,) tensor
            Level of corruption, 0 (healthy) to 1.

        Returns
        -------
        healthy : (B, 1, H, W) tensor
        lesion_logit : (B, 1, H, W) tensor
        """
        features = self.enter(F.pixel_unshuffle(torch.cat([slab, mirrored], dim=1), 2))
        condition = self.embed_level(_sinusoids(level, self.embed_level[0].in_features))
        skipped = []
        for depth, encode in enumerate(self.encoders):
            features = encode(features, condition)
            if depth < len(self.shrinks):
                skipped.append(features)
                features = self.shrinks[depth](features)
        features = self.middle(features, condition)
        for decode in self.decoders:
            skip = skipped.pop()
            features = F.interpolate(features, size=skip.shape[-2:], mode="nearest")
            features = decode(torch.cat([features, skip], dim=1), condition)
        change, lesion_logit = F.pixel_shuffle(self.leave(features), 2).chunk(2, dim=1)
        middle = self.slices // 2
        return slab[:, middle : middle + 1] + change, lesion_logit


class ResidualBlock(nn.Module):
    """Two convolutions whose features are scaled and shifted by the level of corruption."""

    def __init__(self, width: int, features: int, embedding: int):
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, width)
        self.conv1 = nn.Conv2d(width, features, 3, padding=1)
        self.condition = nn.Linear(embedding, 2 * features)
        self.norm2 = nn.GroupNorm(GROUPS, features)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)
        self.skip = nn.Conv2d(width, features, 1) if width != features else nn.Identity()

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Transform (B, width, H, W) `features` given (B, embedding) `condition`."""
        scale, shift = self.condition(condition)[..., None, None].chunk(2, dim=1)
        change = self.conv1(F.silu(self.norm1(features)))
        change = self.conv2(F.silu(self.norm2(change) * (1 + scale) + shift))
        return self.skip(features) + change


def _sinusoids(level: Tensor, size: int) -> Tensor:
    """Embed levels between 0 and 1 as `size` sines and cosines of growing frequency."""
    frequencies = torch.exp(torch.linspace(0, math.log(1000), size // 2, device=level.device))
    angles = level[:, None].float() * frequencies[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)
