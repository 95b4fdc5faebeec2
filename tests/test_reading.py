"""The patches as something to read: their code, their diffs, what is known of them; as text and as HTML."""

from __future__ import annotations

import inspect
import linecache
import re
import subprocess
import sys
import textwrap
from html.parser import HTMLParser
from pathlib import Path

import pytest

import lazydestroy as ld
from lazydestroy.layers import Layer
from lazydestroy.series import reading
from lazydestroy.series.reading import difference, source
from lazydestroy.uvcb import UVC, uv_cb_cfs

ROOT = Path(__file__).resolve().parent.parent
SIZE_MAX = 25_000
"""Of one output, in characters: a notebook may have a dozen of them."""

v1 = ld.series.v1
every_patch = pytest.mark.parametrize("patch", v1, ids=lambda patch: f"p{patch.number:02}")


class Mine(Layer):
    """Layers of one's own: `a < b` & "more"."""

    number = 12
    title = "mine < yours & <script>"

    def uv_destroy_page(self, paddr):
        """Destroy it, unless ``paddr < 3``."""
        if paddr < 3 and f"{paddr:>4} & <b>" != "</span>":
            return 0
        return super().uv_destroy_page(paddr)

    @staticmethod
    def helper():
        """Nothing to do with a kernel."""


class Plain:
    """No `Layer` at all."""

    def uv_destroy_page(self, paddr):
        return self.uv_convert_from_secure(paddr)


class Derived(type(v1[7].layer.__name__, (v1[7].layer,), {})):
    """Changes one function of patch 7 and inherits the other."""

    number = 13

    def should_export_before_import(self, uvcb, mm):
        return True


class Reader(HTMLParser):
    """Follows the elements of a page; what is wrong with them is in `wrong`."""

    def __init__(self, html):
        super().__init__()
        self.open, self.wrong, self.tags, self.attributes = [], [], set(), []
        self.pres, self.text = [], ""
        self.feed(html)
        self.close()
        self.wrong += [f"<{tag}> stays open" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag == "pre":
            self.pres.append("")
        if tag not in ("br", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes another")

    def handle_data(self, data):
        if "pre" in self.open:
            self.pres[-1] += data
        if "style" not in self.open:
            self.text += data


SHOWN = {
    "patch": lambda patch: patch,
    "source": lambda patch: patch.source(),
    "diff": lambda patch: patch.diff(),
    "short": lambda patch: patch.diff(context=1),
    "columns": lambda patch: patch.diff(side_by_side=True),
}
"""Everything that a notebook can show of a patch."""


def shown(patch):
    return {name: make(patch) for name, make in SHOWN.items()}


OUTPUTS = [
    pytest.param((make, patch), id=f"p{patch.number:02}-{name}")
    for patch in [*v1, *v1.plus(Mine, Derived), *v1.without(6, 8, 9, 10)]
    for name, make in SHOWN.items()
] + [
    pytest.param((SHOWN["patch"], kernel), id=repr(kernel))
    for kernel in (v1, v1.upto(0), v1.plus(Mine, Plain), v1.without(6))
]
every_output = pytest.mark.parametrize("output", OUTPUTS, indirect=True)


@pytest.fixture(scope="module")
def output(request):
    """What is shown, made for the tests that look at it: comparing all code while tests are collected takes seconds."""
    make, patch = request.param
    return make(patch)


def change(difference, name):
    (found,) = [each for each in difference.changes if each.name == name]
    return found


def lines_of(function):
    return textwrap.dedent(inspect.getsource(function)).splitlines()


# The code of a patch


@every_patch
def test_the_source_of_a_patch_is_its_layer_as_it_is_in_the_file(patch):
    (code,) = patch.source().parts
    file = (ROOT / code.file).read_text(encoding="utf-8").splitlines()
    assert tuple(file[code.first - 1 : code.first - 1 + len(code.lines)]) == code.lines
    assert code.lines[0].startswith(f"class {patch.layer.__name__}(")
    assert "\n".join(code.lines) == inspect.getsource(patch.layer).rstrip("\n")


@every_patch
def test_a_terminal_shows_the_source_with_the_numbers_of_the_file(patch):
    title, place, *lines = str(patch.source()).splitlines()
    assert title == f"Patch {patch.number}: {patch.title}"
    file, first, last = re.fullmatch(r"(\S+), lines (\d+)–(\d+)", place).groups()
    text = (ROOT / file).read_text(encoding="utf-8").splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(int(first), int(last) + 1))
    for line in lines:
        number, _, code = line.strip().partition(" ")
        assert code.strip() == text[int(number) - 1].strip()


@every_patch
def test_a_notebook_shows_the_same_code_as_a_terminal(patch):
    (pre,) = Reader(patch.source()._repr_html_()).pres
    assert [line.rstrip() for line in pre.splitlines()] == str(patch.source()).splitlines()[2:]


def test_the_source_of_a_layer_of_ones_own_is_found_in_its_module():
    for layer in (Mine, Plain, v1.plus(Plain).layers[-1]):
        (code,) = source(layer).parts
        assert code.file == f"{__name__.replace('.', '/')}.py"
        assert code.lines[0].startswith(f"class {layer.__name__}")


def test_the_source_of_a_layer_derived_from_a_patch_is_the_new_code_only():
    (code,) = v1.plus(Derived)[13].source().parts
    assert code.lines[0].startswith("class Derived(")
    assert v1.plus(Derived)[13].overrides == ("should_export_before_import",)


CELL_TEXT = '''\
x = 1

class Typed(Layer):
    """In a cell."""

    def uv_destroy_page(self, paddr):
        return super().uv_destroy_page(paddr)
'''


def typed(text, known=True):
    """A layer whose text is in no file, as in a notebook's kernel; or not even known."""
    name = "/somewhere/ipykernel_4711/123456.py" if known else "<string>"
    if known:
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    names = {"__name__": "__main__", "Layer": Layer}
    exec(compile(text, name, "exec"), names)
    return names["Typed"]


def test_the_source_of_a_layer_in_a_notebook_cell_is_found():
    (code,) = source(typed(CELL_TEXT)).parts
    assert (code.file, code.first) == ("a notebook cell", 3)
    assert list(code.lines) == CELL_TEXT.splitlines()[2:]


def test_where_there_is_no_source_that_is_said_in_words():
    layer = typed(CELL_TEXT, known=False)
    assert "Python finds a class only by way of" in str(source(layer))
    assert "Python finds a class only by way of" in source(layer)._repr_html_()
    (only,) = difference(v1, v1.plus(layer)).changes
    assert only.after.lines == ()
    assert "calls the function below" in only.note
    assert "not all of its source can be found" in str(difference(v1, v1.plus(layer)))
    assert Reader(difference(v1, v1.plus(layer), side_by_side=True)._repr_html_()).wrong == []


@pytest.mark.notebooks
def test_it_is_the_same_in_the_kernel_of_a_notebook():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cells = [
        "import lazydestroy as ld\nfrom lazydestroy.series import Layer",
        CELL_TEXT + "    number = 12",
        "print(ld.series.v1.plus(Typed)[12].source())",
        "ld.series.v1.plus(Typed)[12].diff()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, kernel_name="python3").execute(cwd=str(ROOT))
    assert "\n3  class Typed(Layer):\n" in notebook.cells[2].outputs[0].text
    assert "+++ a notebook cell\n" in notebook.cells[3].outputs[0].data["text/plain"]
    assert "ipykernel" not in notebook.cells[3].outputs[0].data["text/html"]


# What a patch changes


@every_patch
def test_a_diff_has_every_function_of_the_patch_and_no_other(patch):
    found = {each.name: each.kind for each in patch.diff().changes}
    assert found == dict.fromkeys(patch.overrides, "overridden") | dict.fromkeys(patch.adds, "new")
    assert set(found) == {name for name, value in vars(patch.layer).items() if inspect.isfunction(value)}


@every_patch
def test_the_diff_of_an_overridden_function_has_both_versions(patch):
    below = v1.upto(patch.number - 1).kernel
    for name in patch.overrides:
        each = change(patch.diff(), name)
        assert list(each.before.lines) == lines_of(getattr(below, name))
        assert list(each.after.lines) == lines_of(vars(patch.layer)[name])


@every_patch
def test_the_diff_of_a_new_function_is_all_of_it(patch):
    for name in patch.adds:
        each = change(patch.diff(), name)
        assert each.before is None
        assert list(each.after.lines) == lines_of(vars(patch.layer)[name])


@every_patch
def test_a_terminal_shows_a_unified_diff_that_makes_the_one_version_of_the_other(patch):
    diff = patch.diff()
    for each in diff.changes:
        _, _, rest = str(diff).partition(f"\n\n{each.name}: ")
        _, old, new, hunk, *body = rest.splitlines()
        olds, news, start, stop = [], [], *hunk_numbers(hunk)
        for line in body:
            olds += [line[1:]] if line[:1] in " -" else []
            news += [line[1:]] if line[:1] in " +" else []
            if (len(olds), len(news)) == (start[1], stop[1]):
                break
        assert (old, new) == (f"--- {each.before.file if each.before else '/dev/null'}", f"+++ {each.after.file}")
        assert tuple(olds) == (each.before.lines if each.before else ())
        assert tuple(news) == each.after.lines
        for (first, count), code in ((start, each.before), (stop, each.after)):
            if code:
                file = (ROOT / code.file).read_text(encoding="utf-8").splitlines()
                assert textwrap.dedent("\n".join(file[first - 1 : first - 1 + count])).splitlines() == list(code.lines)


def hunk_numbers(hunk):
    numbers = tuple(map(int, re.fullmatch(r"@@ -(\d+),(\d+) \+(\d+),(\d+) @@", hunk).groups()))
    return numbers[:2], numbers[2:]


@every_patch
def test_where_an_override_calls_the_function_below_that_is_said_beside_it(patch):
    for each in patch.diff().changes:
        calls = any(f"super().{each.name}(" in line for line in each.after.lines)
        assert ("calls the function below" in each.note) == calls
        assert ("replaces it" in each.note) == (each.kind == "overridden" and not calls)
        assert each.note.replace("`", "").replace("−", "-") in str(patch.diff())
        assert each.note.replace("`", "") in Reader(patch.diff()._repr_html_()).text


def test_super_is_seen_in_a_text_that_cannot_be_moved_to_the_left():
    text = CELL_TEXT.replace("        return", '        """Text\nat the margin."""\n        return')
    (only,) = difference(v1, v1.plus(typed(text))).changes
    assert "calls the function below" in only.note


def test_a_patch_is_compared_with_the_kernel_that_it_is_on():
    class Created(Layer):
        number, title = 12, "count nothing"

        def configuration_created(self, mm):
            """Nothing."""

    on_six = change(v1.plus(Created)[12].diff(), "configuration_created")
    without_six = change(v1.without(6).plus(Created)[12].diff(), "configuration_created")
    assert on_six.before.file == "lazydestroy/series/p06_usage_counter.py"
    assert without_six.before.file == "lazydestroy/kernel/pv.py"
    assert "overrides patch 6's" in on_six.note
    assert "overrides the kernel's" in without_six.note
    assert "against the kernel with patches 1–5, 7–9;" in str(v1.without(6)[10].diff())
    assert "against the kernel before the series;" in str(v1[1].diff())


@pytest.mark.parametrize("patch", v1.without(6, 7, 11), ids=lambda patch: f"p{patch.number:02}")
def test_the_patches_of_another_kernel_can_be_read_too(patch):
    assert {each.name for each in patch.diff().changes} == {*patch.overrides, *patch.adds}
    assert patch.source() == v1[patch.number].source()


def test_static_functions_of_a_layer_are_not_forgotten():
    diff = v1.plus(Mine)[12].diff()
    assert [(each.name, each.kind) for each in diff.changes] == [("uv_destroy_page", "overridden"), ("helper", "new")]


def test_two_kernels_differ_in_the_patch_that_is_left_out():
    there = difference(v1.without(6), v1)
    assert [each.name for each in there.changes] == list(v1[6].overrides)
    assert there.changes == v1[6].diff().changes
    back = difference(v1, v1.without(6))
    assert {each.kind for each in back.changes} == {"gone"}
    for each, other in zip(back.changes, there.changes, strict=True):
        assert (each.before, each.after) == (other.after, other.before)


def test_a_kernel_does_not_differ_from_itself():
    assert difference(v1, v1.upto(11)).changes == ()
    assert "no function is different" in str(difference(v1, v1))
    assert Reader(difference(v1, v1)._repr_html_()).wrong == []


def test_the_difference_over_several_patches_is_that_of_each():
    every = [each for patch in v1 for each in patch.diff().changes]
    found = difference(v1.upto(0), v1).changes
    assert len(found) == len(every)
    assert set(found) == set(every)


def test_a_layer_in_place_of_a_patch_is_compared_with_that_patch():
    class Instead(Layer):
        def configuration_refused(self, mm):
            """Nothing."""

    (found,) = [
        each for each in difference(v1, v1.without(6).plus(Instead)).changes if each.name == "configuration_refused"
    ]
    assert found.kind == "replaced"
    assert found.note == "Instead's function in place of patch 6's"


def test_a_difference_can_be_about_one_function():
    (only,) = difference(v1.upto(0), v1, "make_page_secure").changes
    assert only == change(v1[7].diff(), "make_page_secure")
    assert difference(v1.upto(0), v1, "make_secure_pte").changes == ()


def test_what_cannot_be_shown_is_refused_in_words():
    with pytest.raises(ValueError, match=r"name='no_such': neither ld\.series\.v1 nor"):
        difference(v1, v1.upto(3), "no_such")
    for wrong in (-1, True, 2.5):
        with pytest.raises(ValueError, match=r"context=.*: use a number of lines"):
            v1[7].diff(context=wrong)


def test_context_leaves_out_lines_that_are_equal_and_far():
    class Far(Layer):
        def uv_destroy_page(self, paddr):
            uvcb = uv_cb_cfs(cmd=UVC.DESTR_SEC_STOR, paddr=paddr)
            return self.uv_call(uvcb)

    whole, short = (difference(v1, v1.plus(Far), context=context) for context in (None, 0))
    kept = "\n     uvcb = uv_cb_cfs(cmd=UVC.DESTR_SEC_STOR, paddr=paddr)\n"
    assert kept in str(whole)
    assert kept not in str(short)
    assert "⋯" in short._repr_html_()
    assert "⋯" not in whole._repr_html_()
    changed = [line for line in str(whole).splitlines() if line[:1] in "+-"]
    assert [line for line in str(short).splitlines() if line[:1] in "+-"] == changed


# In a notebook


@every_output
def test_the_html_is_well_formed(output):
    page = Reader(output._repr_html_())
    assert page.wrong == []
    assert page.tags.isdisjoint({"script", "link", "img", "iframe"})
    assert not [name for name, _ in page.attributes if name.startswith("on")]


@every_output
def test_an_output_is_small(output):
    assert len(output._repr_html_()) < SIZE_MAX


@every_output
def test_there_is_no_trace_of_this_computer_in_an_output(output):
    for text in (output._repr_html_(), repr(output)):
        assert str(ROOT) not in text
        assert not re.search(r"/(home|tmp|usr|root|work)/", text)
        assert not re.search(r"(<| at )0x[0-9a-f]{6,}", text)


@every_patch
def test_it_is_the_same_every_time(patch):
    again = shown(v1[patch.number])
    for name, output in shown(patch).items():
        assert output._repr_html_() == again[name]._repr_html_()
        assert repr(output) == repr(again[name])


def test_code_is_escaped():
    patch = v1.plus(Mine)[12]
    for output in shown(patch).values():
        html = output._repr_html_()
        assert "<script>" not in html
        assert "Patch 12: mine < yours & <script>" in Reader(html).text
    for output in (patch.source(), patch.diff(), patch.diff(side_by_side=True)):
        text = "".join(Reader(output._repr_html_()).pres)
        assert """if paddr < 3 and f"{paddr:>4} & <b>" != "</span>":""" in text


@every_patch
def test_a_notebook_shows_the_same_diff_as_a_terminal(patch):
    diff = patch.diff()
    for each, pre in zip(diff.changes, Reader(diff._repr_html_()).pres, strict=True):
        rows = [re.fullmatch(r"[ \d]*? ?([ +−]) (.*)", line).groups() for line in pre.splitlines()]
        code = {"": [], "+": [], "−": []}
        for line in pre.splitlines():
            sign = next((sign for sign in "+−" if re.match(rf"[ \d]+{re.escape(sign)} ", line)), "")
            code[sign].append(line)
        assert len(rows) == len(pre.splitlines())
        old, new = len(each.before.lines) if each.before else 0, len(each.after.lines)
        assert (len(code[""]) + len(code["−"]), len(code[""]) + len(code["+"])) == (old, new)


@every_patch
def test_what_is_new_and_what_is_gone_has_a_sign_and_not_only_a_colour(patch):
    html = patch.diff()._repr_html_()
    for colour, sign in ((reading._TINT["+"], "+"), (reading._TINT["-"], "−")):
        for run in re.findall(rf'background-color: {re.escape(colour)}">(.*?)\n</span>', html, re.DOTALL):
            assert all(re.match(rf'<span class="n">[ \d]+{re.escape(sign)} </span>', line) for line in run.split("\n"))


@every_patch
def test_lines_that_belong_together_are_at_the_same_height_in_two_columns(patch):
    diff = patch.diff(side_by_side=True)
    pres = Reader(diff._repr_html_()).pres
    for each in diff.changes:
        if each.kind == "new":
            pres.pop(0)
            continue
        left, right = (pres.pop(0).split("\n") for _ in range(2))
        assert len(left) == len(right)
        gutter = re.compile(r" *\d+ ([ +−]) (.*)")
        for old, new in zip(left, right, strict=True):
            old, new = gutter.fullmatch(old), gutter.fullmatch(new)
            if (old and old[1] == " ") or (new and new[1] == " "):
                assert old[2] == new[2]
    assert pres == []


@pytest.mark.parametrize("name", ["source", "diff", "columns"])
def test_code_scrolls_sideways_also_where_the_style_is_taken_away(name):
    html = re.sub(r"<style>.*?</style>", "", shown(v1[9])[name]._repr_html_(), flags=re.DOTALL)
    pres = re.findall(r"<pre [^>]*>", html)
    assert pres
    assert all("white-space: pre; overflow-x: auto" in pre and "aria-label=" in pre for pre in pres)


def test_no_background_hides_a_theme():
    colours = re.findall(r"background[a-z-]*: ?([^;}\"]+)", v1[9].diff(side_by_side=True)._repr_html_())
    assert colours
    assert all(colour == "none" or colour.startswith("rgba(") for colour in colours)


# A patch, and a kernel


@every_patch
def test_a_patch_shows_what_is_known_of_it(patch):
    for text in (str(patch), Reader(patch._repr_html_()).text):
        words = re.sub(r"\s+", " ", text)
        assert f"Patch {patch.number}: {patch.title}" in words
        assert patch.message_id in words
        assert all(each in words for each in (*patch.files, *patch.overrides, *patch.adds))
        assert all(f"patch {number}" in words for number in patch.needs)
    assert f"lore.kernel.org/all/{patch.message_id}/" in patch._repr_html_()
    assert max(map(len, str(patch).splitlines())) <= 120


def test_a_patch_of_ones_own_has_no_mail():
    patch = v1.plus(Mine)[12]
    assert patch.message_id == ""
    assert "lore.kernel.org" not in patch._repr_html_()
    assert "Message-Id" not in str(patch)


def test_a_kernel_shows_its_patches_and_what_else_is_in_it():
    page = Reader(v1.plus(Plain)._repr_html_())
    for patch in v1:
        assert patch.title in page.text
    assert "Plain" in page.text
    assert "No Layer at all." in page.text
    assert "the kernel before the series" in Reader(v1.upto(0)._repr_html_()).text
    assert repr(v1.without(6)) == "ld.series.v1.without(6)"


def test_a_layer_without_a_docstring_does_not_borrow_that_of_its_base():
    class Silent(Layer):
        number = 14

        def new(self):
            return 1

    assert v1.plus(Silent)[14].summary == ""
    assert "Base of all layers" not in v1.plus(Silent)._repr_html_()


# What the module promises


def test_highlighting_is_loaded_only_when_a_notebook_asks():
    code = (
        "import sys, lazydestroy as ld; v1 = ld.series.v1; str(v1[9].diff()); str(v1[9].source()); v1._repr_html_();"
        "assert 'pygments' not in sys.modules; v1[9].diff()._repr_html_(); assert 'pygments' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_public_names_are_documented():
    for name, each in vars(reading).items():
        if name.startswith("_") or getattr(each, "__module__", "") != reading.__name__:
            continue
        assert each.__doc__, name
        if inspect.isclass(each):
            assert "Attributes\n" in each.__doc__, name
    for function in (difference, source, ld.series.Patch.diff):
        doc = inspect.getdoc(function)
        assert "Returns\n-------" in doc
        for parameter in inspect.signature(function).parameters:
            assert parameter == "self" or re.search(rf"\b{parameter}\b.* : ", doc) or f"{parameter}, " in doc


def test_no_type_is_any():
    assert not re.search(r"\bAny\b", inspect.getsource(reading))
