"""How numbers are written on a page."""


def with_minus(text: str) -> str:
    """Return numbers in words with a minus sign where they have a hyphen."""
    return text.replace("-", "−")
