"""How f-AnoGAN is trained: critic and generator in turn, then the encoder."""

import torch
from torch import Generator, Tensor, autograd

from bids_anomaly.reconstruction.fanogan import AdversarialNet
from bids_anomaly.synthesis.draws import Draws, per_sample
from bids_anomaly.training.data import Healthy
from bids_anomaly.training.losses import weighted_l1

# Of all steps; the encoder has the rest.
ADVERSARIAL_SHARE = 0.6
# As Gulrajani et al. 2017.
CRITIC_STEPS = 5
GRADIENT_WEIGHT = 10.0
# Of differences in features of the critic, as Schlegl et al. 2019.
FEATURE_WEIGHT = 1.0
OPTIMISER = {"lr": 2e-4, "betas": (0.0, 0.9)}


def adversarial(
    network: AdversarialNet, batch: Healthy, *, generator: Generator, step: int, steps: int
) -> dict[str, Tensor]:
    """Train the part of the network whose turn it is; the losses of the others are 0."""
    if step >= ADVERSARIAL_SHARE * steps:
        turn, learn = "encoder", _encode
    elif step % (CRITIC_STEPS + 1) == CRITIC_STEPS:
        turn, learn = "generator", _generate
    else:
        turn, learn = "critic", _criticise
    for name, part in network.named_children():
        part.requires_grad_(name == turn)
    losses = {name: batch.scan.new_zeros(()) for name, _ in network.named_children()}
    # The penalty is a gradient of a gradient, too fine for bfloat16.
    with torch.autocast(batch.scan.device.type, enabled=False):
        return {**losses, turn: learn(network, batch, generator)}


def _drawn(network: AdversarialNet, count: int, generator: Generator) -> Tensor:
    code = torch.randn(count, network.code, device=generator.device, generator=generator)
    return network.generator(code)


def _criticise(network: AdversarialNet, batch: Healthy, generator: Generator) -> Tensor:
    real = batch.scan
    false = _drawn(network, len(real), generator)
    mix = per_sample(Draws(len(real), real.device, generator).uniform(0, 1))
    between = (real + mix * (false - real)).requires_grad_()
    (slope,) = autograd.grad(network.critic(between).sum(), between, create_graph=True)
    penalty = (slope.square().sum((1, 2, 3)).sqrt() - 1).square().mean()
    distance = network.critic(real).mean() - network.critic(false).mean()
    return GRADIENT_WEIGHT * penalty - distance


def _generate(network: AdversarialNet, batch: Healthy, generator: Generator) -> Tensor:
    return -network.critic(_drawn(network, len(batch.scan), generator)).mean()


def _encode(network: AdversarialNet, batch: Healthy, generator: Generator) -> Tensor:
    again = network.generator(network.encoder(batch.scan))
    features = [network.critic.net(image) for image in (again, batch.scan)]
    difference = (features[0] - features[1]).square().mean()
    return weighted_l1(again, batch.scan, batch.brain) + FEATURE_WEIGHT * difference
