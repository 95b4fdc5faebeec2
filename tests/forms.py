"""What a reader sees of a cell in each form in which a lesson is read, as one line of text."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from typing import Any

import nbformat

from lazydestroy.quizzes import prediction_named, quiz_named
from lazydestroy.widgets.predicting import SEE

SEEN = {"img": "[picture] ", "svg": "[picture] "}
INLINE = ("a", "abbr", "b", "code", "em", "i", "small", "span", "strong")
UNSEEN = ("style", "script", "head", "title")


class _Visible(HTMLParser):
    """Gathers what can be seen before anything has been unfolded."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.folds: list[bool] = []
        """For each fold that we are in: whether it is open."""
        self.summary = 0
        """How many folds we were in when the summary began that we are in."""
        self.unseen = 0

    @property
    def seen(self) -> bool:
        return not self.unseen and all(self.folds[: self.summary - 1] if self.summary else self.folds)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "details":
            self.folds.append("open" in dict(attrs))
        elif tag == "summary":
            self.summary = len(self.folds)
        elif tag in UNSEEN:
            self.unseen += 1
        if self.seen and tag not in INLINE:
            self.words.append(" " + SEEN.get(tag, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "details":
            self.folds.pop()
        elif tag == "summary":
            self.summary = 0
        elif tag in UNSEEN:
            self.unseen -= 1
        if tag not in INLINE:
            self.words.append(" ")

    def handle_data(self, data: str) -> None:
        if self.seen:
            self.words.append(data)


def visible(html: str) -> str:
    """What is seen of a piece of HTML while nothing in it has been unfolded."""
    reader = _Visible()
    reader.feed(html)
    reader.close()
    return one_line("".join(reader.words))


def one_line(text: str) -> str:
    """A text with single spaces."""
    return re.sub(r"\s+", " ", text).strip()


def exported(cell: Any, template: str) -> str:
    """The outputs of a cell as nbconvert writes them: "basic" knows nothing of JupyterLab, "lab" is the usual one."""
    body, _ = _exporter(template).from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    return body


@cache
def _exporter(template: str) -> Any:
    from nbconvert import HTMLExporter

    return HTMLExporter(template_name=template, exclude_input=True, exclude_output_prompt=True)


def raw(cell: Any) -> str:
    """The outputs of a cell as a viewer shows them that takes HTML, pictures and plain text, in this order."""
    return "\n".join(_shown(output) for output in cell.outputs)


def _shown(output: Any) -> str:
    data = output.get("data", {})
    if "text/html" in data:
        return data["text/html"]
    if any(kind.startswith("image/") for kind in data):
        return "<img>"
    return data.get("text/plain", output.get("text", ""))


def question_alone(what: str, name: str) -> str:
    """What may be seen before a choice: the question, and what can be chosen."""
    if what == "quiz":
        parts = [part for each in quiz_named(name) for part in (each.text, *(choice.label for choice in each.choices))]
    else:
        asked = prediction_named(name)
        parts = [f"Predict. {asked.text}", *(option.label for option in asked.options), SEE]
    return one_line(" ".join(parts))
