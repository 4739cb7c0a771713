"""What each reconstruction method is, a row for each, for whoever has to name or choose one.

Commands read it before anything else is imported, so it needs the standard library alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Method:
    """One reconstruction method.

    Attributes
    ----------
    name : str
        Also that of its module beside this one, and of the function in it.
    takes_steps : bool
        Whether ``--steps`` means anything to it.
    steps : int or None
        How many it takes where nobody asks for another number; None is one for each level of the
        bundle.
    most_steps : int or None
        How many it takes at most.
    """

    name: str
    takes_steps: bool = False
    steps: int | None = None
    most_steps: int | None = None

    def steps_taken(self, asked: int | None, levels: Sequence[float]) -> int | None:
        """Return in how many steps a scan is reconstructed.

        Parameters
        ----------
        asked : int or None
            What was asked for.
        levels : sequence of float
            Levels of corruption that the bundle names.

        Returns
        -------
        int or None
            None where the method knows no steps.
        """
        if not self.takes_steps:
            return None
        taken = asked or self.steps or len(levels)
        return min(taken, self.most_steps) if self.most_steps else taken


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        row.name: row
        for row in (
            Method(name="threshold"),
            Method(name="ae"),
            Method(name="vae"),
            Method(name="fanogan"),
            Method(name="dae"),
            Method(name="anoddpm", takes_steps=True, steps=10, most_steps=250),
            Method(name="pddpm"),
            Method(name="cddpm"),
            Method(name="cadd", takes_steps=True, steps=3),
            Method(name="guided", takes_steps=True, steps=3),
            Method(name="features"),
            Method(name="restore", takes_steps=True),
        )
    }
)
