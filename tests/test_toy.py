"""The readers' toys: a right one passes, a wrong one is told what is wrong with it, and the model is what decides."""

from __future__ import annotations

import doctest
import re

import pytest

import lazydestroy as ld
from lazydestroy.exercises.session import Progress
from lazydestroy.toy import beside, check, checking, keep, mine, ready
from lazydestroy.toy.kinds import HOST, ULTRAVISOR, kind_of
from tests.wrong_toys import WRONG, Books, Handlers

STEPS = [(kind, step.name) for kind in (ULTRAVISOR, HOST) for step in kind.steps]


@pytest.fixture(autouse=True)
def session(monkeypatch):
    """A session of its own for every test."""
    fresh = Progress()
    monkeypatch.setattr(checking.session, "_SESSION", fresh)
    return fresh


class MyUltravisor(Books):
    """As a reader writes it, otherwise than the ready-made one."""

    def import_page(self, guest, page):
        if page in self.owner and self.owner[page] != guest:
            return False
        self.owner[page] = guest
        return True

    def export_page(self, page):
        if page in self.owner:
            del self.owner[page]
            self.shared -= {page}
        return True

    def destroy_page(self, page):
        return self.owner.get(page) not in self.running and self.export_page(page)

    def share_page(self, guest, page):
        mine = self.owner.get(page) == guest
        if mine:
            self.shared.add(page)
        return mine

    def touch(self, who, page):
        owner = self.owner.get(page)
        if who is not None and owner == who:
            return None
        if who is not None and (owner is None or page in self.shared):
            return 0x3E
        if owner is None or page in self.shared:
            return None
        return 0x3F if who else 0x3D


class MyHost(Handlers):
    """The kernel before the series."""

    def on_3d(self, page):
        return False

    def on_3e(self, guest, page):
        return self.uv.import_page(guest, page)

    def on_3f(self, guest, page):
        return False


class Patched(MyHost):
    """The same with patches 3, 4 and 7, as a reader may write them."""

    def on_3d(self, page):
        self.uv.export_page(page)
        return True

    def on_3e(self, guest, page):
        if len(self.guests) >= 2:
            self.uv.export_page(page)
        return self.uv.import_page(guest, page)

    def on_3f(self, guest, page):
        if not self.uv.destroy_page(page):
            self.uv.export_page(page)
        return True


@pytest.mark.parametrize(("kind", "step"), STEPS, ids=[step for _, step in STEPS])
def test_the_ready_made_toys_are_right(kind, step):
    found = check(kind.ready, step)
    assert found and not found.hints


@pytest.mark.parametrize(("layer", "method", "hint"), WRONG, ids=[layer.__name__ for layer, *_ in WRONG])
def test_each_mistake_gets_a_hint_of_its_own(layer, method, hint):
    found = check(layer, method)
    assert not found
    assert found.exercise == f"toy {method}"
    assert any(hint in said for said in found.hints), found


def test_the_mistakes_are_told_apart():
    """Of one method no two mistakes have the same hint, but for errors of Python and answers of the wrong type."""
    general = ("gives None", "returns nothing", "Return True or False", "that is rule 1", "self.guests then")
    told = [(method, hint) for _, method, hint in WRONG if hint not in general]
    assert len(told) - len(set(told)) <= sum(any(word in hint for word in general) for _, hint in told)


def test_a_difference_names_the_page_and_both_sides():
    class Forgets(Books):
        def export_page(self, page):
            return True

    found = check(Forgets, "export_page")
    page = "1" if "page 1" in found.text else "2"
    assert f"then page {page} belongs to A in your toy; in the model it belongs to no guest." in found.text


def test_a_shared_page_that_is_not_forgotten_is_found():
    class KeepsShared(Books):
        def export_page(self, page):
            self.owner.pop(page, None)
            return True

    whole = type("Whole", (MyUltravisor,), {"export_page": KeepsShared.export_page})
    found = check(whole)
    assert not found and "takes it out of self.shared" in " ".join(found.hints), found


def test_methods_that_are_right_only_by_themselves_are_found_with_the_one_that_shows_it():
    class Forgets(Books):  # no one takes a page out of self.shared
        def import_page(self, guest, page):
            return self.owner.setdefault(page, guest) == guest

        def export_page(self, page):
            self.owner.pop(page, None)
            return True

        def share_page(self, guest, page):
            if self.owner.get(page) != guest:
                return False
            self.shared.add(page)
            return True

    assert check(Forgets, "import_page") and check(Forgets, "export_page")
    found = check(Forgets, "share_page")
    assert not found and found.text.startswith("By itself it is right"), found
    assert "takes it out of self.shared" in " ".join(found.hints), found


@pytest.mark.parametrize("toy", [MyUltravisor, Patched])
def test_a_right_one_that_is_written_otherwise_passes(toy):
    assert check(toy), check(toy)


def test_a_host_may_ask_the_readers_own_ultravisor():
    assert check(Patched, "on_3f", uv=MyUltravisor)
    wrong = type("Wrong", (MyUltravisor,), {"destroy_page": lambda self, page: False, "export_page": lambda *_: False})
    assert not check(Patched, "on_3f", uv=wrong)


def test_the_old_kernel_needs_all_three_patches():
    assert [bool(check(MyHost, method)) for method in ("on_3d", "on_3f", "on_3e")] == [False] * 3
    for without, method in (("on_3f", "on_3f"), ("on_3d", "on_3d"), ("on_3e", "on_3e")):
        kernel = type("Without", (Patched,), {without: getattr(MyHost, without)})
        assert check(kernel).exercise == f"toy {method}"


def test_the_old_kernel_is_not_told_the_answer_of_the_next_exercise():
    found = check(MyHost)
    assert found.hints and not [hint for hint in found.hints if re.search("export|destroy|import", hint)]


def test_what_is_right_and_costs_more_is_said():
    class ExportsAlways(Handlers):
        def on_3e(self, guest, page):
            self.uv.export_page(page)
            return self.uv.import_page(guest, page)

    class ExportsOnly(Handlers):
        def on_3f(self, guest, page):
            return self.uv.export_page(page)

    class DestroysOn3D(Handlers):
        def on_3d(self, page):
            return self.uv.destroy_page(page)

    always, only = check(ExportsAlways, "on_3e"), check(ExportsOnly, "on_3f")
    assert always and "costs a call for each import" in always.hints[0]
    assert only and "twice the time" in only.hints[0]
    destroys = check(DestroysOn3D, "on_3d")
    assert destroys and "quicker than the patch" in destroys.hints[0]


def test_a_refused_destroy_may_be_ignored():
    """The page is the running guest's own by then, so its access gets through when it is tried again."""

    class Ignores(Handlers):
        def on_3f(self, guest, page):
            self.uv.destroy_page(page)
            return True

    assert check(Ignores, "on_3f")


def test_the_hosts_own_access_is_not_the_toys_work():
    both = beside(MyHost, uv=MyUltravisor)
    both.protect()
    both.touch(1)
    row = both.read(1)
    assert row.same and row.toy == "0x3D · export · gets through"


class Skeleton(Books):
    def import_page(self, guest, page): ...  # your turn


def test_a_skeleton_is_told_what_to_do_next(session):
    found = check(Skeleton, "import_page")
    assert not found and str(found).startswith("toy import_page: your turn. Write import_page(self, guest, page).")
    assert "✎" in found._repr_html_() and not session, "nothing is wrong, and it was no try"


def test_a_step_can_be_checked_though_the_one_before_was_skipped():
    class Skips(Skeleton):
        def export_page(self, page):
            self.owner.pop(page, None)
            self.shared.discard(page)
            return True

    assert check(Skips, "export_page")
    assert check(Skips).exercise == "toy import_page"


def test_what_is_solved_is_noted(session):
    check(MyUltravisor, "import_page")
    check(Skeleton, "import_page")
    check(WRONG[0][0], "import_page")
    assert session.solved == ("toy import_page",)


def test_an_error_is_told_with_its_line():
    class Stumbles(Books):
        def import_page(self, guest, page):
            return self.owner[page] == guest

    found = check(Stumbles, "import_page")
    assert 'your code stops with KeyError: 1, in the line "return self.owner[page] == guest".' in found.text


@pytest.mark.parametrize("loop", ["while True: pass", "for page in iter(int, 1):\n        pass"])
def test_an_endless_loop_ends(loop, tmp_path, monkeypatch):
    source = f"def import_page(self, guest, page):\n    {loop}\n"
    names = {}
    exec(compile(source, str(tmp_path / "cell.py"), "exec"), names)
    endless = type("Endless", (Books,), {"import_page": names["import_page"]})
    assert "does not come to an end" in check(endless, "import_page").text


def test_an_endless_thread_ends():
    class Endless(Handlers):
        def clean_up(self, old, pages):
            while True:
                for page in pages:
                    self.uv.destroy_page(page)
            yield

    assert "does not come to an end" in check(Endless, "clean_up").text


def test_what_it_prints_is_shown_once_and_only_if_it_is_wrong(capsys):
    class Prints(Books):
        def import_page(self, guest, page):
            print("asked for", page)
            self.owner[page] = guest
            return True

    found = check(Prints, "import_page")
    assert found.printed.count("asked for") == 2
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (lambda self, page: True, "It is called as import_page(self, guest, page), and yours begins with"),
        (dict.update, "must be a function"),
    ],
)
def test_a_method_that_begins_wrongly_is_told_so(written, said):
    toy = type("Toy", (Books,), {"import_page": written})
    assert said in check(toy, "import_page").text


def test_a_yield_where_none_belongs_is_told():
    class Waits(Books):
        def import_page(self, guest, page):
            yield True

    class NoThread(Handlers):
        def clean_up(self, old, pages):
            return None

    assert "write return instead" in check(Waits, "import_page").text
    assert "There is no yield" in check(NoThread, "clean_up").text


def test_state_that_is_missing_is_told():
    class NoDict(MyUltravisor):
        def __init__(self):
            self.owner = []

    class Fails(MyUltravisor):
        def __init__(self):
            raise ValueError("no")

    assert "self.owner must be an empty dict; yours is []" in check(NoDict, "import_page").text
    assert "__init__ stops with ValueError: no" in check(Fails, "import_page").text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((MyUltravisor(),), "give the class itself"),
        ((dict,), "none of the methods"),
        ((MyUltravisor, "on_3f"), "use one of 'import_page'"),
        ((MyUltravisor, 3), "use one of 'import_page'"),
    ],
)
def test_what_cannot_be_checked_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        check(*arguments)


def test_an_ultravisor_is_given_only_to_a_host():
    for function in (check, beside):
        with pytest.raises(ValueError, match="uv="):
            function(MyUltravisor, uv=MyUltravisor)
        with pytest.raises(ValueError, match="uv="):
            function(MyHost, uv=MyHost)


# Beside the model


def test_what_the_reader_does_is_done_to_both():
    both = beside(MyUltravisor)
    assert str(both.import_page("A", 3)) == "the host imports page 3 for A: done · page 3 belongs to A"
    both.stop("A")
    both.destroy_page(3)
    assert all(row.same for row in both.rows)
    assert [row.model for row in both.rows][-1] == "done · page 3 belongs to no guest"
    assert both._repr_html_().count("<tr>") == 1 + len(both.rows)


def test_a_difference_is_seen_at_once():
    row = beside(WRONG[0][0]).rows
    both = beside(WRONG[0][0])
    both.import_page("A", 1)
    row = both.import_page("B", 1)
    assert not row.same
    assert row.toy == "done · page 1 belongs to B" and row.model == "refused · page 1 belongs to A"
    assert "✘" in str(both) and "✘" in both._repr_html_()


def test_a_host_beside_the_machine():
    both = beside(type("Without7", (Patched,), {"on_3e": MyHost.on_3e}), uv=MyUltravisor)
    rows = [both.protect(), both.touch(1), both.share(1), both.reboot(), both.protect(), both.touch(1)]
    assert [row.same for row in rows] == [True, True, True, True, True, False]
    assert [rows[0].toy, rows[4].toy] == ["starts", "starts"]
    assert rows[-1].toy == "0x3E · import refused · kills the guest's process · page 1 belongs to A and is shared"
    assert rows[-1].model == "0x3E · export, import · gets through · page 1 belongs to B"


def test_the_patched_host_agrees_with_the_machine_to_the_end_of_the_thread():
    both = beside(ready("host"), uv=MyUltravisor)
    both.protect()
    both.touch(1)
    both.reboot()
    both.read(1)
    while both.clean_up().toy != "has ended":
        pass
    assert all(row.same for row in both.rows)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda both: both.import_page("C", 1),
        lambda both: both.import_page("A", 4),
        lambda both: both.touch("A", -1),
        lambda both: (both.stop("A"), both.import_page("A", 1)),
    ],
)
def test_what_cannot_be_done_is_refused(wrong):
    with pytest.raises(ValueError, match=r"guest=|page=|cannot be done now"):
        wrong(beside(MyUltravisor))


# From one notebook to the next


def test_a_right_toy_is_kept_for_the_next_lesson(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found = keep(MyUltravisor)
    assert found and "kept in my_ultravisor.py" in found.text
    again = mine("ultravisor")
    assert capsys.readouterr().out == "This is your own Ultravisor, from my_ultravisor.py.\n"
    assert again.__name__ == "MyUltravisor" and check(again)
    assert kind_of(again) is ULTRAVISOR


def test_what_is_kept_can_go_on_being_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert keep(Patched)

    class More(mine("host")):
        clean_up = ready("host").clean_up

    assert check(More) and keep(More)
    assert "def clean_up" in (tmp_path / "my_host.py").read_text(encoding="utf-8")


def test_an_unfinished_toy_is_not_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found = keep(Skeleton)
    assert "import_page is not written yet" in found.text and not found
    assert mine("ultravisor") is ready("ultravisor")
    assert "there is no my_ultravisor.py here yet" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_a_wrong_toy_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = keep(type("Wrong", (MyUltravisor,), {"import_page": WRONG[0][0].import_page}))
    assert not found and found.hints[-1] == "Until it is right, the next lesson goes on with the ready-made Ultravisor."
    assert not list(tmp_path.iterdir())


def test_a_skeleton_on_a_ready_made_toy_is_not_kept(tmp_path, monkeypatch):
    """As in a notebook that was executed as it was committed."""
    monkeypatch.chdir(tmp_path)

    class Begun(ready("host")):
        def clean_up(self, old, pages): ...  # your turn

    assert "clean_up is not written yet" in keep(Begun).text
    assert not list(tmp_path.iterdir())


def test_the_ready_made_one_need_not_be_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "nothing to keep" in keep(ready("host")).text
    assert not list(tmp_path.iterdir())


OUTSIDE = 1


def test_a_toy_that_needs_something_outside_is_not_kept(tmp_path, monkeypatch):
    class Outside(MyUltravisor):
        def import_page(self, guest, page):
            return super().import_page(guest, page) and OUTSIDE == 1

    monkeypatch.chdir(tmp_path)
    assert "not in one piece" in keep(Outside).text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["class MyHost", "MyHost = 3", "x = 1", "1 / 0"])
def test_a_file_that_cannot_be_used_is_not(text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_host.py").write_text(text, encoding="utf-8")
    assert mine("host") is ready("host")
    assert "my_host.py cannot be used" in capsys.readouterr().out


def test_there_are_two_toys():
    for name in ("thread", None):
        with pytest.raises(ValueError, match="use 'ultravisor' or 'host'"):
            ready(name)
    assert ld.toy.check is check


def test_the_examples_are_right():
    from lazydestroy.toy import beside as module_function

    for module in (checking, __import__("sys").modules[module_function.__module__]):
        assert not doctest.testmod(module).failed
