"""The site: `make docs`. Everything it shows is in this folder, or made from the code by `_ext/made`."""

import sys
from pathlib import Path

import lanterna

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "Lanterna"
version = release = lanterna.__version__
author = "The Lanterna developers"
html_title = "Lanterna"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False

extensions = ["myst_nb", "made"]
exclude_patterns = ["_ext", "**.ipynb_checkpoints"]

myst_enable_extensions = ["attrs_block", "attrs_inline", "deflist", "dollarmath"]
myst_dmath_allow_digits = False
myst_heading_anchors = 3
smartquotes = False  # what is typed is what is meant

# Notebooks are executed once and kept: a cell that fails fails the build.
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE.parent / "build/notebooks")
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_ipywidgets_js = {}  # a page is read offline: no script of another site
# There is no kernel behind a page: what stands in for a view is shown, its picture.
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]

html_math_renderer = "mathml"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["lanterna.css"]


def colours(page: str, raised: str, ink: str, quiet: str, accent: str, line: str) -> dict[str, str]:
    """Furo's variables, in the colours of the studio."""
    return {
        "color-background-primary": page, "color-background-secondary": page, "color-code-background": raised,
        "color-background-hover": raised, "color-background-border": line,
        "color-inline-code-background": raised,
        "color-foreground-primary": ink, "color-foreground-secondary": quiet, "color-foreground-muted": quiet,
        "color-foreground-border": line, "color-code-foreground": ink,
        "color-brand-primary": accent, "color-brand-content": accent, "color-brand-visited": accent,
        "color-link": accent, "color-link--hover": accent, "color-link--visited": accent,
        "color-link-underline": line, "color-link-underline--hover": accent,
        "color-highlight-on-target": raised, "color-sidebar-search-background": raised,
        "color-sidebar-search-background--focus": raised, "color-sidebar-item-background--hover": raised,
    }  # fmt: skip


SANS = 'system-ui, -apple-system, "Segoe UI", "Helvetica Neue", sans-serif'
SERIF = '"Iowan Old Style", "Palatino Linotype", Palatino, Georgia, "DejaVu Serif", serif'
MONO = 'ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace'
html_theme_options = {
    "navigation_with_keys": False,
    "top_of_page_buttons": [],
    "light_css_variables": {
        "font-stack": SANS, "font-stack--headings": SERIF, "font-stack--monospace": MONO,
        **colours("#f7f2e8", "#efe7d8", "#23201a", "#655f54", "#8f5a00", "#d9cfbc"),
    },
    "dark_css_variables": colours("#101218", "#1a1d26", "#f0eade", "#a5a39d", "#f5b041", "#2b2f3a"),
}  # fmt: skip
pygments_style = "made.inks.Paper"
pygments_dark_style = "made.inks.Night"
