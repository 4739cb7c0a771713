"""How people change: a Gaussian process with a deep kernel, learned from everybody.

The only module of trajectories that imports torch and GPyTorch.
"""

from collections.abc import Sequence
from typing import NamedTuple

import gpytorch
import numpy as np
import torch
from scipy.optimize import minimize
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from bids_anomaly.trajectories.courses import Course

HIDDEN, FEATURES = 16, 2
STEPS = 40
# Of the weights of the network, half their inverse variance. With few people the kernel is hardly
# deep; with 0.5 it learned single people by heart (simulations of 60, seeds 1 and 2).
PRIOR = 5.0
# Time and memory grow with the cube and the square of the sessions; more people are drawn by lot.
MOST_SESSIONS = 1500
# People whose outlook is computed together.
TOGETHER = 40


class Outlook(NamedTuple):
    """What the population lets expect of one person, given the first session alone.

    Attributes
    ----------
    mean : (T,) array
        Value at each time.
    covariance : (T, T) array
        Of the person's true values about it.
    level : float
        Variance of how much a person lies above or below it at all later times alike.
    noise : float
        Variance of one measurement.
    """

    mean: np.ndarray
    covariance: np.ndarray
    level: float
    noise: float


class _OwnCourse(gpytorch.kernels.Kernel):
    """Covariance of later sessions of one person: an own level and an own rate.

    Without it sessions of one person would count as those of many. Columns of the input: who, and
    years.
    """

    def __init__(self) -> None:
        super().__init__()
        for name, start in (("level", -1.0), ("rate", -1.0)):
            self.register_parameter(f"log_{name}", torch.nn.Parameter(torch.tensor(start)))

    def forward(self, x1, x2, diag=False, **_):
        if diag:
            return torch.exp(self.log_level) + torch.exp(self.log_rate) * x1[..., 1] * x2[..., 1]
        same = x1[..., :, None, 0] == x2[..., None, :, 0]
        years = x1[..., :, None, 1] * x2[..., None, :, 1]
        return same * (torch.exp(self.log_level) + torch.exp(self.log_rate) * years)


class _Process(gpytorch.models.ExactGP):
    """Change since the first session, of who, years, and what is known of the person."""

    def __init__(self, inputs, changes, likelihood) -> None:
        super().__init__(inputs, changes, likelihood)
        known = inputs.shape[1] - 2
        self.mean = gpytorch.means.LinearMean(known)
        self.network = torch.nn.Sequential(
            torch.nn.Linear(known, HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, FEATURES)
        )
        self.shared = gpytorch.kernels.ScaleKernel(
            gpytorch.kernels.RBFKernel(active_dims=tuple(range(FEATURES)))
        )
        self.own = _OwnCourse()
        self.own.active_dims = torch.tensor([FEATURES, FEATURES + 1])

    def forward(self, inputs):
        who_and_when, known = inputs[:, :2], inputs[:, 2:]
        features = torch.cat([self.network(known), who_and_when], dim=1)
        covariance = self.shared(features) + self.own(features)
        return gpytorch.distributions.MultivariateNormal(self.mean(known), covariance)


class Population:
    """Learned from courses of at least two sessions; says what to expect of others.

    The change since the first session is a Gaussian process of years since then, age at it, sex,
    and the first value: a mean linear in them, a kernel on what a small network makes of them (deep
    kernel learning, Wilson et al. 2016), and for each person an own level and rate. After the
    population model of Tassopoulou et al. 2025 (arXiv 2504.08840), which has no own level and rate.

    Parameters
    ----------
    courses : sequence of Course
        People with one session teach nothing, and are passed over.
    seed : int
        Of the network, and of the lot that is drawn where there are many.
    """

    def __init__(self, courses: Sequence[Course], *, seed: int = 0) -> None:
        courses = _at_most(courses, seed)
        self._first = _Scale([course.values[0] for course in courses])
        self._age = _Scale([course.age for course in courses])
        years = np.concatenate([course.years[1:] for course in courses])
        changes = np.concatenate([course.values[1:] - course.values[0] for course in courses])
        self._years, self._change = _Scale(years), _Scale(changes)
        inputs = torch.cat(
            [self._inputs(course, course.years[1:], who) for who, course in enumerate(courses)]
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            likelihood = gpytorch.likelihoods.GaussianLikelihood().double()
            likelihood.noise = 0.1
            targets = torch.as_tensor(self._change(changes))
            self._process = _Process(inputs, targets, likelihood).double()
            _learn(self._process, likelihood, inputs, targets)
        self._process.eval()
        scale = self._change.spread**2
        self._noise = float(likelihood.noise.detach()) * scale
        self._level = float(torch.exp(self._process.own.log_level.detach())) * scale

    def outlooks(self, courses: Sequence[Course], years: Sequence[np.ndarray]) -> list[Outlook]:
        """Say what to expect of people, given their first session, age and sex.

        Parameters
        ----------
        courses : sequence of Course
            Only their first values count. None is taken for somebody who was learned from.
        years : sequence of (T,) arrays
            For each person, when; since the first session.
        """
        found: list[Outlook] = []
        for start in range(0, len(courses), TOGETHER):
            part = slice(start, start + TOGETHER)
            found += self._outlooks(courses[part], years[part])
        return found

    def _outlooks(self, courses, years) -> list[Outlook]:
        inputs = torch.cat(
            [
                self._inputs(c, when, -1 - who)
                for who, (c, when) in enumerate(zip(courses, years, strict=True))
            ]
        )
        with torch.no_grad(), gpytorch.settings.debug(False):
            expected = self._process(inputs)
            mean, covariance = expected.mean.numpy(), expected.covariance_matrix.numpy()
        found, end = [], 0
        for course, when in zip(courses, years, strict=True):
            part = slice(end, end + len(when))
            end += len(when)
            found.append(
                Outlook(
                    course.values[0] + self._change.back(mean[part]),
                    covariance[part, part] * self._change.spread**2,
                    self._level,
                    self._noise,
                )
            )
        return found

    def _inputs(self, course: Course, years: np.ndarray, who: int) -> torch.Tensor:
        """Return a row a time: who, years, and what is known, each about 1 in size."""
        known = (self._age(course.age), course.sex, self._first(course.values[0]))
        rows = [[who, year / self._years.spread, self._years(year), *known] for year in years]
        return torch.as_tensor(np.array(rows, dtype=float).reshape(-1, 6))


class _Scale:
    """Brings numbers to a mean of 0 and a spread of 1."""

    def __init__(self, values) -> None:
        self.mean = float(np.mean(values))
        self.spread = float(np.std(values)) or 1.0

    def __call__(self, values):
        return (values - self.mean) / self.spread

    def back(self, values):
        return values * self.spread + self.mean


def _learn(process: _Process, likelihood, inputs, targets) -> None:
    """Find the most probable parameters, given that weights of the network are around 0."""
    process.train()
    likelihood_of = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, process)
    parameters = list(process.parameters())

    def loss(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        vector_to_parameters(torch.as_tensor(numbers), parameters)
        process.zero_grad()
        weights = sum((one**2).sum() for one in process.network.parameters())
        value = PRIOR * weights / len(targets) - likelihood_of(process(inputs), targets)
        value.backward()
        gradient = torch.cat([one.grad.ravel() for one in parameters])
        return value.detach().item(), gradient.numpy()

    # Cholesky at any size: conjugate gradients would depend on the machine.
    with gpytorch.settings.fast_computations(False, False, False):
        start = parameters_to_vector(parameters).detach().numpy()
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
        vector_to_parameters(torch.as_tensor(found.x), parameters)


def _at_most(courses: Sequence[Course], seed: int) -> list[Course]:
    """Return people with two sessions, drawn by lot where all of them would be too many."""
    repeated = [course for course in courses if len(course.years) > 1]
    order = np.random.default_rng(seed).permutation(len(repeated))
    sessions = np.cumsum([len(repeated[index].years) - 1 for index in order])
    chosen = order[: max(1, int(np.searchsorted(sessions, MOST_SESSIONS, side="right")))]
    return [repeated[index] for index in sorted(chosen)]
