"""How numbers are written on a page."""

import re
from math import floor, log10

CUBIC_MILLIMETRES_IN_ML = 1000


def with_minus(text: str) -> str:
    """Return text whose negative numbers have a minus sign; the hyphens of names stay.

    >>> with_minus("sub-01: position is 0.15 (at least -0.22)")
    'sub-01: position is 0.15 (at least −0.22)'
    """
    return re.sub(r"(?<![\w-])-(?=[\d.]|inf)", "−", text)


def two_digits(value: float) -> str:
    """Return a number with two significant digits, and whole from 100 on.

    Of 0.0123 that is "0.012", of 1434.2 "1434".
    """
    rounded = float(f"{value:.2g}")
    if rounded == 0:
        return "0"
    decimals = max(0, 1 - floor(log10(abs(rounded))))
    return with_minus(f"{value:.{decimals}f}")


def millilitres(cubic_millimetres: float) -> str:
    """Return a volume in ml as a number alone, for columns that say the unit."""
    return two_digits(cubic_millimetres / CUBIC_MILLIMETRES_IN_ML)


def in_millilitres(cubic_millimetres: float) -> str:
    """Return a volume with its unit, such as "2.4 ml"."""
    return f"{millilitres(cubic_millimetres)} ml"


def percent(share: float) -> str:
    """Return a share in percent."""
    return f"{two_digits(100 * share)} %"


def counted(number: int, noun: str) -> str:
    """Return how many there are, such as "1 finding" or "2 findings"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
