"""Patches to be written: what is right is found right, and each wrong thought is shown where it goes wrong."""

import re
from html import escape

import pytest

import lazydestroy as ld
from lazydestroy.exercises import bounded
from lazydestroy.exercises.credit import breaks_when_idle
from lazydestroy.exercises.patches import PATCHES, p03, p04, p07, p08
from lazydestroy.series import Series
from tests.marks import long_unless
from tests.refresh_notebooks import ROOT

BY_NAME = {patch.name: patch for patch in PATCHES}
MISTAKES = [(patch, mistake) for patch in PATCHES for mistake in patch.mistakes]

ONLY_PROBED = {
    # the search finds nothing: they are safe, and do not do what the patch is for
    "TryAgain",
    "GuestAddress",
    "ImportIt",
    "CountedTwice",
    "RefusedStillCounts",
    "DownInAnyCase",
    "Always",
    "UserToTheEnd",
    "ConfigurationFirst",
    "NotLazy",
    "ExportedOrNot",
    "WithoutAReference",
    "PinRefused",
    "NoteTakenAway",
    "NoteBeforeTheCall",
    "GoneIsTheEnd",
    "RefusedIsNothingLeft",
    "Ordinary",
    "PagesFirst",
    "CountedUp",
}


EXHAUSTS = "the search finds nothing and so goes through all there is, which takes seconds"


@pytest.mark.parametrize(
    "patch", long_unless(lambda patch: patch.name == "patch-4", EXHAUSTS, PATCHES), ids=lambda patch: patch.name
)
def test_the_model_answer_is_right(patch):
    feedback = patch.check(patch.model_answer)
    assert feedback.right, feedback
    assert feedback.points(10) == 10 and "does what the patch is for" in feedback.text


@pytest.mark.parametrize("number", long_unless(lambda number: number == 4, EXHAUSTS, [3, 4, 6]))
def test_the_patch_of_the_series_is_right(number):
    """The same class that is the patch in this package. Patch 7 edits only a part of what its exercise asks for."""
    patch = BY_NAME[f"patch-{number}"]
    assert patch.check(ld.series.v1[number].layer).right


FAR = {
    # the search finds something, and has to go far for it
    "patch-3": {"DestroyOnly", "ReferenceKept", "ReferenceKeptIfRefused", "DroppedTwice"},
    "patch-6": {"CountedLate", "CountedLateWithAFloor"},
    "patch-7": {"OnlyWithTheNote"},
}


def breaks_soon(patch, mistake):
    """Whether the search finds something, and soon; and of the others one."""
    name = mistake.layer.__name__
    return name not in ONLY_PROBED | FAR.get(patch.name, set()) or (patch.name, name) == ("patch-4", "PinRefused")


@pytest.mark.parametrize(
    ("patch", "mistake"),
    long_unless(lambda both: breaks_soon(*both), "the search goes far, which takes seconds", MISTAKES),
    ids=[f"{patch.name}-{mistake.layer.__name__}" for patch, mistake in MISTAKES],
)
def test_each_known_mistake_fails_and_is_recognised(patch, mistake):
    feedback = patch.check(mistake.layer)
    assert not feedback.right and feedback.points(10) < 10
    assert (feedback.trace is None) == (mistake.layer.__name__ in ONLY_PROBED)
    assert any(mistake.name in hint and mistake.hint in hint for hint in feedback.hints), feedback
    if feedback.trace is not None:
        assert feedback.trace.story.endswith(feedback.trace.violation)
        assert feedback.trace.violation in repr(feedback) and escape(feedback.trace.violation) in feedback._repr_html_()
    else:
        assert "The search found nothing" in feedback.text


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_nothing_written_is_no_answer(patch):
    def nothing(self, *arguments):
        """Nothing yet."""
        ...

    written = type("MyPatch", (), dict.fromkeys(patch.writes, nothing))
    for answer in (written, type("Empty", (), {})):
        feedback = patch.check(answer)
        assert not feedback.right and "does not write" in feedback.text
        assert all(name in feedback.text for name in patch.writes)


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
@pytest.mark.parametrize("answer", [None, 3, "MyPatch", [], ld.series.v1])
def test_what_is_no_class_is_refused(patch, answer):
    with pytest.raises(ValueError, match="give the class"):
        patch.check(answer)


@pytest.mark.parametrize(
    "patch",
    long_unless(
        lambda patch: patch.name not in ("patch-3", "patch-9"), "the search goes far, which takes seconds", PATCHES
    ),
    ids=lambda patch: patch.name,
)
def test_the_kernel_without_it_lacks_it(patch):
    """Leaving all as it is, which is to call what was there before, is not right either."""

    def as_before(name):
        return lambda self, *arguments: getattr(super(layer, self), name)(*arguments)

    layer = type("AsBefore", (ld.series.Layer,), {})
    for name in patch.writes:
        if hasattr(patch.kernel.kernel, name):
            setattr(layer, name, as_before(name))
        else:
            setattr(layer, name, lambda self, *arguments: (yield))
    assert not patch.check(layer).right


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_the_task_names_what_is_to_be_written_and_the_solution_writes_it(patch):
    code = patch.solution().code
    for name in patch.writes:
        assert name in patch.text
        assert f"def {name}(" in code
    assert "type: ignore" not in code and len(patch.solution().steps) >= 3
    assert repr(patch.given()).count("def ") <= len(patch.writes)


def test_an_error_in_the_answer_is_told_and_not_raised():
    class Mistyped:
        def do_secure_storage_violation(self, kvm, gaddr):
            self.gmap_pgae(kvm.gmap, gaddr)

    feedback = p03.EXERCISE.check(Mistyped)
    assert not feedback.right
    assert "do_secure_storage_violation fails with AttributeError" in feedback.trace.violation
    assert feedback.trace.line == "self.gmap_pgae(kvm.gmap, gaddr)"
    assert feedback.trace.line in repr(feedback) and feedback.trace.line in feedback._repr_html_()
    assert len(feedback.hints) == 1 and "Python stops in that line" in feedback.hints[0]


def test_an_answer_that_the_kernel_cannot_call_is_told_at_once():
    class Other:
        def do_secure_storage_violation(self, gaddr):
            self.destroy(gaddr)

    class Waits:
        def do_secure_storage_violation(self, kvm, gaddr):
            yield from self.anything(gaddr)

    class Names:
        def do_secure_storage_violation(this, vm, address):
            this.machine.destroy(address)

    feedback = p03.EXERCISE.check(Other)
    assert feedback.trace is None
    assert "is called with (self, kvm, gaddr), and yours takes (self, gaddr)" in feedback.text
    assert "has a yield in it" in p03.EXERCISE.check(Waits).text
    assert p03.EXERCISE.check(Names).trace is not None


def test_a_loop_without_an_end_is_told(monkeypatch):
    monkeypatch.setattr(bounded, "BUSY_S", 0.5)  # it is tried by hand, too, for partial credit

    class Insists(p03.ModelAnswer):
        def do_secure_storage_violation(self, kvm, gaddr):
            page = self.gmap_page(kvm.gmap, gaddr)
            while self.uv_destroy_owned_page(page):
                pass

    feedback = p03.EXERCISE.check(Insists)
    assert "do_secure_storage_violation fails with RuntimeError: 1,000 Ultravisor Calls" in feedback.trace.violation
    assert feedback.trace.line == "while self.uv_destroy_owned_page(page):"


def test_to_return_is_an_answer_and_pass_is_none():
    class Returns:
        def do_secure_storage_access_gmap(self, kvm, gaddr):
            """Nothing is done."""
            return

    class Passes:
        def do_secure_storage_access_gmap(self, kvm, gaddr):
            """To be written."""
            pass  # here

    assert "Do nothing: the clean-up thread will come" in p04.EXERCISE.check(Returns).hints[-1]
    assert "does not write do_secure_storage_access_gmap yet" in p04.EXERCISE.check(Passes).text


@pytest.fixture
def only_probed(monkeypatch):
    """The exercises, without the searches that come before the experiments: they would find nothing here."""
    for patch in PATCHES:
        monkeypatch.setitem(vars(patch), "searches", ())
        monkeypatch.setattr(patch, "_stories", {})  # what the searches tell of the mistakes is kept there
    yield
    breaks_when_idle.cache_clear()  # nothing breaks where nothing is searched


@pytest.mark.usefixtures("only_probed")
def test_a_page_that_is_gone_is_met():
    class Trusts:
        def do_secure_storage_access_gmap(self, kvm, gaddr):
            self.arch_make_page_accessible(self.gmap_page(kvm.gmap, gaddr))

    feedback = p04.EXERCISE.check(Trusts)
    assert not feedback.right and "swapped out meanwhile" in feedback.hints[0]
    assert feedback.hints[0].endswith("in the line: self.arch_make_page_accessible(self.gmap_page(kvm.gmap, gaddr))")


@pytest.mark.usefixtures("only_probed")
def test_nothing_is_left_behind_if_all_is_refused():
    class KeepsTheReference:
        def do_secure_storage_violation(self, kvm, gaddr):
            page = self.gmap_page(kvm.gmap, gaddr)
            if page is None:
                return
            self.get_page(page)
            if self.uv_destroy_owned_page(page) and self.uv_convert_owned_from_secure(page):
                return
            self.put_page(page)

    class TakesTheNote(p03.ModelAnswer):
        def do_secure_storage_violation(self, kvm, gaddr):
            super().do_secure_storage_violation(kvm, gaddr)
            if page := self.gmap_page(kvm.gmap, gaddr):
                page.arch_1 = False

    assert "page 5 has 2 references afterwards, where it had 1" in p03.EXERCISE.check(KeepsTheReference).hints[0]
    assert "page 5 still is secure, and PG_arch_1" in p03.EXERCISE.check(TakesTheNote).hints[0]


def test_a_right_answer_that_costs_more_than_the_patch_is_told_so():
    class Exports:
        def do_secure_storage_violation(self, kvm, gaddr):
            page = self.gmap_page(kvm.gmap, gaddr)
            if page is not None:
                self.get_page(page)
                self.uv_convert_owned_from_secure(page)
                self.put_page(page)

    feedback = p03.EXERCISE.check(Exports)
    assert feedback.right and "with the patch 6 µs" in feedback.hints[0]
    assert p03.EXERCISE.check(p03.ModelAnswer).hints == ()


def test_a_trace_says_which_vcpu_began_what_it_goes_on_with():
    texts = [moment.text for moment in p03.EXERCISE.check(p03.DestroyOnly).trace.moments]
    assert "B touches page 1 (vCPU 0): 0x3F" in texts and texts[-1] == "vCPU 0: destroy (refused)"
    assert p04.EXERCISE.check(p04.OnlyWithTheNote).trace.moments[-1].text == "vCPU 0 goes on"


def test_what_an_answer_prints_is_shown_for_the_way_in_which_it_breaks_only(capsys):
    class Talks(p03.EXERCISE.mistakes[0].layer):
        def do_secure_storage_violation(self, kvm, gaddr):
            print(f"0x3F at {gaddr >> 12}")
            return super().do_secure_storage_violation(kvm, gaddr)

    feedback = p03.EXERCISE.check(Talks)
    assert feedback.trace is not None and capsys.readouterr().out == ""
    assert set(feedback.printed.splitlines()) == {"0x3F at 1"}
    assert "  | 0x3F at 1" in repr(feedback) and "0x3F at 1" in feedback._repr_html_()


def test_an_answer_that_never_ends_is_told():
    class Waits:
        def kvm_s390_pv_deinit_vm_deferred(self, kvm):
            return (yield from self.kvm_s390_pv_deinit_vm_now(kvm))

        def kvm_s390_pv_destroy_vm_thread(self, priv):
            while True:
                yield

    assert not p08.EXERCISE.check(Waits).right


@pytest.mark.long("goes through all there is; that the answer need not be the patch is also seen where it costs more")
def test_a_right_answer_may_look_different():
    """Destroying before an import rests on rule 1, and holds."""

    class Destroy:
        def gmap_make_secure(self, gmap, gaddr, uvcb):
            page = self.gmap_page(gmap, gaddr)
            if page is not None and gmap.mm.context.is_protected > 1:
                self.uv_destroy_page(page.paddr)
            return super().gmap_make_secure(gmap, gaddr, uvcb)

    assert p07.EXERCISE.check(Destroy).right


def test_a_trace_can_be_drawn_and_without_one_it_is_said():
    feedback = p03.EXERCISE.check(p03.ImportAtOnce)
    assert feedback.plot() is not None
    with pytest.raises(ValueError, match="no trace to draw"):
        p03.EXERCISE.check(type("Empty", (), {})).plot()


def test_it_tells_how_far_it_is():
    seen = []
    p03.EXERCISE.check(p03.ImportAtOnce, progress=seen.append)
    assert seen == sorted(seen) and seen[-1] > 100


def test_the_kernels_are_those_of_the_series():
    for patch in PATCHES:
        assert isinstance(patch.kernel, Series)
        if patch.name.startswith("patch-"):
            number = int(patch.name.removeprefix("patch-"))
            assert number not in patch.kernel or patch.kernel.layers[-1].__name__ == "AsBefore"
    left_out = set(ld.series.linux_6_2.layers) - set(ld.exercise("destroy-fast").kernel.layers)
    assert {layer.__name__ for layer in left_out} == {"DestroyFast"}


def test_what_takes_time_and_is_only_called_is_told():
    """Without "yield from" a generator is made, and nothing happens: hard to see, easy to say."""

    class Forgotten(p08.ModelAnswer):
        def kvm_s390_pv_destroy_vm_thread(self, priv):
            yield from self.s390_uv_destroy_range(priv.mm, 1)
            self.mmput(priv.mm)
            cc, _, _ = self.uv_cmd_nodata(priv.handle, ld.UVC.DESTROY_SEC_CONF)
            self.configuration_destroyed(priv.mm, cc)
            self.give_back_all(priv)
            self.mmdrop(priv.mm)

    feedback = p08.EXERCISE.check(Forgotten)
    assert feedback.hints[0].startswith('self.mmput(...) takes time: without "yield from"')
    assert not any("yield from" in hint for hint in p08.EXERCISE.check(p08.NoReference).hints)


def test_of_two_thoughts_that_end_alike_the_one_with_a_shorter_way_is_not_meant():
    """Who filters by the kernel's note is not asked about other filters that fail sooner."""
    feedback = p07.EXERCISE.check(p07.OnlyWithTheNote)
    assert len(feedback.hints) == 1 and "PG_arch_1" in feedback.hints[0]


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_no_hint_leads_to_the_lesson_that_has_the_answer(patch):
    for mistake in patch.mistakes:
        assert "lesson" not in mistake.hint.lower() and ".ipynb" not in mistake.hint


def test_a_search_that_does_not_come_to_its_end_is_no_success(monkeypatch):
    monkeypatch.setattr("lazydestroy.exercises.patching._MANY", 200)
    feedback = p07.EXERCISE.check(p07.ModelAnswer)
    assert not feedback.right and re.search(r"not broken in 2\d\d states, and there are more", feedback.text)


@pytest.mark.usefixtures("only_probed")
def test_an_error_in_an_experiment_is_a_finding():
    class OnlyOnLargeGuests(p07.ModelAnswer):
        def gmap_make_secure(self, gmap, gaddr, uvcb):
            if gmap.mm.guest.pages == 8:
                raise KeyError("eight")
            return super().gmap_make_secure(gmap, gaddr, uvcb)

    feedback = p07.EXERCISE.check(OnlyOnLargeGuests)
    assert not feedback.right and "KeyError: 'eight'" in feedback.hints[0]


class Destroys:
    """Patch 4 with a destroy instead of an export."""

    def do_secure_storage_access_gmap(self, kvm, gaddr):
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is not None and self.uv_destroy_page(page.paddr) == 0:
            page.arch_1 = False


def test_a_destroy_for_patch_4_would_take_one_call_and_3_us_as_lesson_3_says():
    after, touches = ld.series.v1_fixed, []
    for kernel in (after, after.plus(Destroys)):
        machine = ld.small_machine(6, kernel=kernel)
        machine.reboot()
        touches.append(str(machine.touch(1)))
    with_4, instead = touches
    assert "PIN_PAGE_SHARED (refused), CONV_FROM_SEC_STOR" in with_4 and with_4.endswith("; 5 µs")
    assert "calls DESTR_SEC_STOR; " in instead and instead.endswith("; 3 µs")
    lesson = (ROOT / "notebooks/course/03-old-pages-new-guest.ipynb").read_text(encoding="utf-8")
    assert "one call instead of two, and 3 µs instead of 5 µs" in lesson
