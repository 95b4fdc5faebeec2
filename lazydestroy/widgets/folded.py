"""A widget beside a text, or a picture, that stands in for it wherever there is no kernel.

An output of Jupyter may have several forms, of which a viewer takes the one it likes best. For a widget that is not
enough: a notebook that was saved and is opened again has the widget's number, but no widget, and JupyterLab then shows
an error instead of the other form. So `show` makes two outputs: first the text, then the widget. Style sheets leave one
of them: where the widget lives, it hides the text above it; where it doesn't, the text hides the error below it.
"""

from __future__ import annotations

from html import escape

import ipywidgets

from ..plots import words_html

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

FOLDED = "lazydestroy-folded"
"""Class of the text."""

LIVE = "lazydestroy-live"
"""Class of a widget that has such a text."""

_AREA = ".jp-OutputArea-child"

_DEAD = f"<style>{_AREA}:has(.{FOLDED}) + {_AREA} > .jp-OutputArea-output.jupyter-widgets {{ display: none; }}</style>"
"""JupyterLab gives its error the class that widgets have, on the output itself."""

_PICTURED = "lazydestroy-pictured"
"""Class of a text that has a picture of its own above it."""

_HIDES_TEXT = f"""<style>
{_AREA}:has(.{FOLDED}):has(+ {_AREA} .{LIVE}),
{_AREA}:has(+ {_AREA} .{_PICTURED}):has(+ {_AREA} + {_AREA} .{LIVE}) {{ display: none; }}
</style>"""


def hides_text() -> ipywidgets.HTML:
    """Return a part without a size; with it a widget of class `LIVE` hides the text above, and that text's picture."""
    return ipywidgets.HTML(_HIDES_TEXT, layout={"height": "0", "margin": "0"})


def show_still(widget: ipywidgets.DOMWidget) -> None:
    """Show a widget, and what its MIME bundle has for viewers without a kernel: a picture, or a line of text.

    Parameters
    ----------
    widget : ipywidgets.DOMWidget
        As for `show`.
    """
    from IPython.display import display

    bundle = widget._repr_mimebundle_()
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    plain = str(data["text/plain"])
    if "image/png" not in data:
        _show(f"<p>{escape(plain)}</p>", plain, data[WIDGET_VIEW])
        return
    still = {kind: data[kind] for kind in ("image/png", "text/plain")}
    display(still, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
    words = metadata["image/png"]["alt"]
    _show(f'<div class="{_PICTURED}">{words_html(words)}</div>', f"In words: {words}", data[WIDGET_VIEW])


def show(widget: ipywidgets.DOMWidget, html: str, plain: str) -> None:
    """Show a widget, and a text that stands in for it.

    Parameters
    ----------
    widget : ipywidgets.DOMWidget
        It has the class `LIVE`, and `hides_text` among its parts.
    html, plain : str
        The text, for viewers that know HTML and for others.
    """
    _show(html, plain, widget._repr_mimebundle_()[WIDGET_VIEW])


def _show(html: str, plain: str, view: object) -> None:
    from IPython.display import display

    text = {"text/html": f'<div class="{FOLDED}">{html}{_DEAD}</div>', "text/plain": plain}
    display(text, raw=True)  # type: ignore[no-untyped-call]
    display({WIDGET_VIEW: view, "text/plain": ""}, raw=True)  # type: ignore[no-untyped-call]


__all__ = ["FOLDED", "LIVE", "hides_text", "show", "show_still"]
