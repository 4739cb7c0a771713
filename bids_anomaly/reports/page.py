"""Fill the templates of the pages."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **content: object) -> str:
    """Return an HTML page; what stands in `content` is text, and is escaped.

    Parameters
    ----------
    template : str
        File name in ``templates``.
    **content
        What the template shows; a name that it lacks is an error.
    """
    environment = Environment(
        loader=PackageLoader("bids_anomaly.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**content)
