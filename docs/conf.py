"""How Sphinx builds these pages as a site: ``make docs`` does it, into ``site/``.

Nothing in the site is loaded from elsewhere, and it has its search without a server.
"""

project = "bids-anomaly"
html_title = project
html_theme = "furo"
html_show_copyright = False
extensions = ["myst_parser", "sphinx_copybutton"]
# Links to headings are those of GitHub.
myst_heading_anchors = 4
# A link that leads nowhere is a warning, and a warning fails the build.
nitpicky = True
