"""`tools.hover`: a link to one of the ten words that matter says what the word means."""

from __future__ import annotations

import json

import pytest

from tests.refresh_notebooks import FOLDER
from tools import hover

KNOWN = hover.titles(hover.glossary(FOLDER))


def test_the_titles_are_plain_short_sentences():
    assert len(KNOWN) == len(hover.TERMS) == 10
    for title in KNOWN.values():
        assert title.endswith(".") and not set('"[]`*\n') & set(title) and len(title.split()) <= 30


def test_every_link_of_the_lessons_has_its_title():
    assert [each for path in hover.lessons(FOLDER) for each in hover.out_of_date(path, KNOWN)] == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[an Ultravisor](g/glossary.ipynb#cell-id=zombie)", '[an Ultravisor](g/glossary.ipynb#cell-id=zombie "Old.")'),
        ('[a](reference/glossary.ipynb#cell-id=zombie "x")', '[a](reference/glossary.ipynb#cell-id=zombie "Old.")'),
        ('[a](reference/glossary.ipynb#cell-id=zombie "Old.")', '[a](reference/glossary.ipynb#cell-id=zombie "Old.")'),
        ("[a](reference/glossary.ipynb#cell-id=guest) (b)", "[a](reference/glossary.ipynb#cell-id=guest) (b)"),
        ("[a](other.ipynb#cell-id=zombie)", "[a](other.ipynb#cell-id=zombie)"),
    ],
)
def test_links_to_the_words_get_it_and_others_do_not(before, after):
    assert hover.with_titles(before, {"zombie": "Old."}) == after


def test_it_is_checked_and_written(tmp_path, capsys):
    folder = tmp_path / "notebooks"
    (folder / "course").mkdir(parents=True)
    (folder / "reference").mkdir()
    entries = [
        {"cell_type": "raw", "id": term, "source": [f"## {term}\n", "\n", f"It is *{term}*. More.\n"]}
        for term in hover.TERMS
    ]
    (folder / "reference/glossary.ipynb").write_text(json.dumps({"cells": entries}))
    lesson = folder / "course" / "1.ipynb"
    cell = {"cell_type": "markdown", "id": "a", "source": ["é\n", "[z](../reference/glossary.ipynb#cell-id=zombie)"]}
    lesson.write_text(json.dumps({"cells": [cell]}))
    arguments = ["--root", str(tmp_path)]
    assert hover.main(arguments) == 1 and "1.ipynb, cell a: zombie" in capsys.readouterr().out
    assert hover.main([*arguments, "--write"]) == 0 and hover.main(arguments) == 0
    (written,) = json.loads(lesson.read_text(encoding="utf-8"))["cells"]
    assert "".join(written["source"]) == 'é\n[z](../reference/glossary.ipynb#cell-id=zombie "It is zombie.")'
    assert "é" in lesson.read_text(encoding="utf-8")
