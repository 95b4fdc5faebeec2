"""The published table of another architecture: figures as they stand there, and what the model makes of them."""

from __future__ import annotations

import pytest

import lazydestroy as ld
from lazydestroy import elsewhere
from lazydestroy.elsewhere import EXPLANATIONS, TDX, configuration_first, fitted_costs, guess_after, guesses_before


def test_the_table_is_the_published_one():
    assert [(row.vcpus, row.gib, row.before_s, row.after_s) for row in TDX] == [
        (4, 18, 72, 24),
        (32, 107, 517, 134),
        (64, 400, 5539, 467),
    ]


def test_by_the_page_the_second_column_hardly_changes_and_the_first_one_does():
    after, before = ([getattr(row, name) for row in TDX] for name in ("after_page_us", "before_page_us"))
    assert max(after) / min(after) < 1.2
    assert max(before) / min(before) > 3
    assert min(after) > 4.4 and max(after) < 5.1  # what the costs' sources say


def test_the_models_story_ends_the_configuration_and_then_reclaims_each_page():
    run = configuration_first(1, ld.Costs())
    assert run.uvcs[ld.UVC.DESTROY_SEC_CONF_FAST] == 1
    assert run.uvcs[ld.UVC.DESTR_SEC_STOR] == 1 << 18
    assert not run.uvcs[ld.UVC.CONV_FROM_SEC_STOR]


def test_two_rows_of_the_second_column_predict_the_third():
    for row in range(len(TDX)):
        guess = guess_after(row)
        pages = [each.pages for each in TDX]
        others = [place for place in range(len(TDX)) if place != row]
        by_hand = sum(pages[i] * TDX[i].after_s for i in others) / sum(pages[i] ** 2 for i in others) * pages[row]
        assert guess.predicted_s == pytest.approx(by_hand, rel=1e-3)
        assert guess.measured_s == TDX[row].after_s
    with pytest.raises(ValueError, match="row=3"):
        guess_after(3)


def test_nothing_but_the_page_costs_anything_in_that_story():
    costs = fitted_costs(TDX[:2])
    assert configuration_first(1, costs).cleanup_ns == (1 << 18) * costs.destroy


def test_each_explanation_fits_the_first_two_rows_and_is_held_to_the_third():
    first, second, third = TDX
    for guess, (name, grows) in zip(guesses_before(), EXPLANATIONS.items(), strict=True):
        assert guess.explanation == name and guess.measured_s == third.before_s
        step = grows(second) - grows(first)
        if step:
            slope = (second.before_page_us - first.before_page_us) / step
            page = second.before_page_us + slope * (grows(third) - grows(second))
            assert guess.predicted_s == pytest.approx(page * third.pages / 1e6)


def test_the_costs_name_the_same_source():
    assert "4.5 to 5 µs for each 4 KiB page in the fast case" in ld.Costs().sources["destroy"].text
    assert "dcab95e53364" in elsewhere.__doc__
