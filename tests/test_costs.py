"""What each step costs: the defaults, what may replace them, and where they come from."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from dataclasses import FrozenInstanceError, asdict, fields
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lazydestroy as ld
import lazydestroy.costs as costs_module
from lazydestroy.costs import COST_MAX, PRESET_SOURCES, Costs, Source

DEFAULTS = {
    "destroy": 1_500,
    "export": 3_000,
    "import_clear": 1_500,
    "import_decrypt": 3_000,
    "noop": 500,
    "refused": 500,
    "config": 1_000_000,
    "config_per_gib": 10_000,
    "cpu": 100_000,
    "walk": 20,
    "unmap": 50,
    "set_aside": 50,
    "free": 50,
    "exception": 1_000,
    "fault": 1_000,
    "touch": 500,
    "retry": 10_000,
}

ANY_COSTS = st.builds(Costs, **{name: st.integers(1, COST_MAX) for name in DEFAULTS})


def test_the_defaults_in_nanoseconds():
    assert asdict(Costs()) == DEFAULTS


def test_a_cost_is_an_int_of_nanoseconds_or_text():
    for value in ("2 us", "2 µs", "0.002 ms", 2000, np.int64(2000)):
        assert Costs(destroy=value).destroy == 2000
        assert type(Costs(destroy=value).destroy) is int


def test_equal_costs_are_equal_and_hash_alike():
    assert Costs(destroy="1.5 us") == Costs(destroy=1500) == Costs()
    assert hash(Costs(destroy="1.5 us")) == hash(Costs())
    assert Costs(destroy=1501) != Costs()


def test_costs_do_not_change():
    with pytest.raises(FrozenInstanceError):
        Costs().destroy = 0
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        Costs().destory = 0


def test_a_misspelt_cost_is_an_error():
    with pytest.raises(TypeError, match="destory"):
        Costs(destory=0)


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("value", [-1, "1.1 s", COST_MAX + 1, 1.5, True, None, "2", "2 kg", "0.3 ns", float("nan")])
def test_an_impossible_cost_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"^{name}=.*Accepted: .*at most 1 s"):
        Costs(**{name: value})


@pytest.mark.parametrize("name", sorted(set(DEFAULTS) - {"retry"}))
def test_a_step_may_cost_nothing(name):
    assert getattr(Costs(**{name: 0}), name) == 0
    assert getattr(Costs(**{name: "1 s"}), name) == COST_MAX


def test_only_a_retry_must_take_time():
    with pytest.raises(ValueError, match="^retry=0 is zero"):
        Costs(retry=0)


def test_replace_keeps_the_rest():
    assert Costs(export=7).replace(destroy="2 us") == Costs(export=7, destroy=2000)
    with pytest.raises(ValueError, match="^walk="):
        Costs().replace(walk=-1)


# Scaling


def test_scaling_multiplies_every_cost():
    assert asdict(Costs().scaled(2)) == {name: 2 * time for name, time in DEFAULTS.items()}


@pytest.mark.parametrize("factor", [0.1, "0.1", Fraction(1, 10), Decimal("0.1")])
def test_a_decimal_factor_is_exact(factor):
    assert asdict(Costs().scaled(factor)) == {name: time // 10 for name, time in DEFAULTS.items()}


def test_scaling_rounds_halves_to_the_even_nanosecond():
    half = Costs(walk=25, unmap=27, free=1).scaled(0.5)
    assert (half.walk, half.unmap, half.free) == (12, 14, 0)


@pytest.mark.parametrize(
    ("factor", "complaint"),
    [
        (1001, "is too large"),
        pytest.param(10**5000, "is too large", id="huge"),
        ("0.00001", "is too small"),
        (0, "is not above 0"),
        (-1, "is not above 0"),
        (float("nan"), "is not a finite number"),
        (True, "is of type bool"),
        (None, "is of type NoneType"),
        ("twice", "does not begin with a number"),
    ],
)
def test_an_impossible_factor_is_refused(factor, complaint):
    with pytest.raises(ValueError, match=f"^factor=.*{complaint}. Accepted: a number above 0"):
        Costs().scaled(factor)


@given(ANY_COSTS)
def test_scaling_by_one_changes_nothing(costs):
    assert costs.scaled(1) == costs


# Sources


def test_every_default_says_where_it_comes_from():
    sources = Costs().sources
    assert list(sources) == list(DEFAULTS)
    assert all(source.text.endswith(".") for source in sources.values())


def test_the_one_published_ratio_is_cited_and_kept():
    sources = Costs().sources
    assert Costs().export == 2 * Costs().destroy
    for name in ("destroy", "export"):
        assert sources[name].reference == "20200903131435.2535-2-frankja@linux.ibm.com"


def test_whatever_is_assumed_says_so():
    for name, source in Costs().sources.items():
        assert source.assumed
        assert "ssumed" in source.text, name


def test_a_changed_cost_is_no_longer_sourced():
    sources = Costs(destroy="2 us").sources
    assert sources["destroy"] == Source("Not the default, which is 1.5 µs.")
    assert sources["export"] == Costs().sources["export"]


def test_every_preset_says_what_it_rests_on():
    assert list(Costs.presets) == list(PRESET_SOURCES)
    assert Costs.presets["default"] == Costs()


def test_the_preset_like_tdx_keeps_the_proportions_of_page_calls():
    preset = Costs.presets["tdx-like"]
    calls = ("destroy", "export", "import_clear", "import_decrypt")
    assert preset == Costs(**{name: getattr(Costs().scaled(Fraction(10, 3)), name) for name in calls})


# Showing


def test_repr_names_only_what_differs():
    assert repr(Costs()) == "ld.Costs()"
    assert repr(Costs(destroy="2 us")) == "ld.Costs(destroy='2 us')"
    assert repr(Costs(walk=1_234_567, config=0)) == "ld.Costs(config='0 ns', walk='1.234567 ms')"


@given(ANY_COSTS)
def test_repr_makes_equal_costs_again(costs):
    assert eval(repr(costs), {"ld": ld}) == costs


def test_costs_can_be_copied_and_pickled():
    costs = Costs(destroy="2 us")
    assert pickle.loads(pickle.dumps(costs)) == copy.deepcopy(costs) == costs


def test_the_table_shows_every_cost_and_its_source():
    table = Costs(destroy="2 us")._repr_html_()
    assert re.findall("<tr><td><code>(.*?)</code>", table) == list(DEFAULTS)
    assert "<td>2 µs</td>" in table
    assert "frankja@linux.ibm.com" in table
    assert table.count("<td") == 3 * len(DEFAULTS)


def test_what_a_type_checker_is_told_is_what_there_is():
    """The arguments are listed a second time for type checkers, which cannot see that text is accepted."""
    source = Path(costs_module.__file__).read_text(encoding="utf-8")
    told = re.findall(r"^            (\w+): int \| str = \.\.\.,$", source, re.MULTILINE)
    assert told == [each.name for each in fields(Costs)]


def test_every_cost_is_explained():
    for each in fields(Costs):
        assert f"\n{each.name} : int\n    " in inspect.getdoc(Costs)
