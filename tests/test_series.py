"""The patches as layers: what is known of them, and that every set that could be compiled runs."""

import inspect
import itertools

import pytest

import lazydestroy as ld
from lazydestroy.kernel import Kernel
from lazydestroy.page import Holder

v1 = ld.series.v1

NEEDS = {1: (), 2: (), 3: (2,), 4: (), 5: (2,), 6: (), 7: (), 8: (1, 5), 9: (2, 8), 10: (8, 9), 11: (7,)}


def compilable():
    """Every set of patches in which each has what it needs."""
    for size in range(12):
        for kept in itertools.combinations(range(1, 12), size):
            if all(set(NEEDS[number]) <= set(kept) for number in kept):
                yield kept


COMPILABLE = list(compilable())


def kernel_of(kept):
    return v1.without(*(number for number in range(1, 12) if number not in kept))


def test_the_series_has_eleven_patches_in_order():
    assert [patch.number for patch in v1] == list(range(1, 12))
    assert {patch.number: patch.needs for patch in v1} == NEEDS


@pytest.mark.parametrize("patch", v1, ids=lambda patch: f"p{patch.number:02}")
def test_a_patch_says_what_it_is(patch):
    assert patch.message_id == f"20210517200758.22593-{patch.number + 1}-imbrenda@linux.ibm.com"
    assert patch.title and patch.summary and patch.files
    assert patch.layer.__module__.rpartition(".")[2].startswith(f"p{patch.number:02}_")
    assert all(file.startswith("arch/s390/") for file in patch.files)


@pytest.mark.parametrize("patch", v1, ids=lambda patch: f"p{patch.number:02}")
def test_a_patch_overrides_what_is_there_without_it(patch):
    below = v1.upto(patch.number - 1).kernel
    own = {name for name, value in vars(patch.layer).items() if inspect.isfunction(value)}
    assert patch.overrides
    assert set(patch.overrides) == {name for name in own if hasattr(below, name)}


def test_upto_0_is_the_kernel_before_the_series():
    assert list(v1.upto(0)) == []
    assert issubclass(v1.upto(0).kernel, Kernel)
    assert not hasattr(v1.upto(0).kernel, "kvm_s390_pv_deinit_vm_deferred")
    assert hasattr(v1.kernel, "kvm_s390_pv_deinit_vm_deferred")


def test_series_are_equal_if_their_layers_are():
    assert v1.upto(11) == v1 == v1.without()
    assert v1.upto(8) == v1.without(9, 10, 11) != v1
    assert len({v1, v1.upto(11), v1.upto(3)}) == 2


@pytest.mark.parametrize("kernel", [v1, v1.upto(0), v1.upto(7), v1.without(6), v1.without(7, 11)], ids=repr)
def test_the_name_of_a_kernel_makes_it_again(kernel):
    assert eval(repr(kernel), {"ld": ld}) == kernel


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ((2,), r"patch 3 .* needs patch 2\. Leave out 3, 5, 8, 9, 10 as well"),
        ((7,), r"patch 11 .* needs patch 7\. Leave out 11 as well"),
        ((8,), r"patch 9 .* needs patch 8"),
        ((1, 3), r"patch 8 .* needs patch 1"),
        ((12,), r"without\(12\)"),
    ],
)
def test_a_set_that_could_not_be_compiled_is_refused_with_the_reason(numbers, reason):
    with pytest.raises(ValueError, match=reason):
        v1.without(*numbers)


@pytest.mark.parametrize("number", [-1, 12, 1.0, True, "3"])
def test_upto_wants_a_number_of_a_patch(number):
    with pytest.raises(ValueError, match="0 to 11"):
        v1.upto(number)


def test_a_layer_of_ones_own_goes_on_top_and_runs():
    class Eager:
        """Destroy everything at once, whatever the series says."""

        def kvm_s390_pv_end(self, kvm):
            return (yield from self.kvm_s390_pv_deinit_vm(kvm))

    kernel = v1.plus(Eager)
    assert repr(kernel) == "ld.series.v1.plus(Eager)"
    run = ld.reboot("4 GiB", kernel=kernel, touch="none", new_guest="normal")
    assert run.foreground[ld.UVC.DESTR_SEC_STOR] == run.pages
    assert not run.background


def test_a_fix_goes_with_the_patch_that_it_mends():
    fixed = ld.series.v1_fixed
    assert fixed.upto(11) == fixed != v1
    assert fixed.upto(0) == v1.upto(0)
    for kernel in (fixed.upto(8), fixed.without(9, 10, 11)):
        own = {layer.__name__ for layer in kernel.layers if layer.number is None}
        assert own == {"KeepTheMm", "KeepSegmentTables"}


def test_a_layer_of_ones_own_can_need_a_patch_too():
    class Mine(ld.series.Layer):
        needs = (11,)

    with pytest.raises(ValueError, match=r"without\(11\) could not be compiled: Mine needs patch 11$"):
        v1.plus(Mine).without(11)


def test_a_layer_is_a_class():
    with pytest.raises(ValueError, match="a layer is a class"):
        v1.plus("patch")
    for layers in ((bool,), (v1.layers[0],), (ld.series.OneAtATime, ld.series.OnePrepared)):
        with pytest.raises(ValueError, match=r"^plus\(.*\): Python cannot put them on top of each other"):
            v1.plus(*layers)


@pytest.mark.parametrize("patch", v1, ids=lambda patch: f"p{patch.number:02}")
def test_a_patch_demonstrates_itself(patch):
    shown = patch.demonstrate()
    assert shown.number == patch.number
    assert shown.shows


@pytest.mark.parametrize("features, bits", [((), 0), ("misc", 1 << 63), ((0, 5), 1 << 63 | 1 << 58)])
def test_the_kernel_of_may_2021_asks_with_200_bytes_and_takes_what_it_gets(features, bits):
    machine = ld.Machine("32 KiB", features=features)
    assert machine.kernel.feature_bits == bits
    block = machine.kernel.uv_query_info()
    assert (block.header.len, block.header.rc) == (200, 0x100)
    assert block.uv_feature_bits == bits and block.max_guest_stor_addr == machine.uv.max_guest_stor_addr


def test_test_bit_inv_counts_from_the_left():
    kernel = ld.Machine("32 KiB").kernel
    assert [nr for nr in range(64) if kernel.test_bit_inv(nr, 1 << 63 | 1 << 58 | 1)] == [0, 5, 63]


def test_there_are_as_many_sets_as_the_needs_allow():
    assert len(COMPILABLE) == len(set(COMPILABLE)) > 100
    assert () in COMPILABLE and tuple(range(1, 12)) in COMPILABLE


@pytest.mark.parametrize("kept", COMPILABLE, ids=lambda kept: "+".join(map(str, kept)) or "none")
def test_every_set_that_could_be_compiled_runs_and_loses_no_page(kept):
    machine = ld.Machine("64 KiB", kernel=kernel_of(kept), low_memory="16 KiB", destroy_loop_threshold=3)
    total = machine.memory.pages
    machine.boot()
    machine.protect()
    for page in range(16):
        machine.touch(page)
    machine.share(9)
    machine.reboot()
    for page in (15, 9, 0):
        if machine.guest_up:
            machine.touch(page)
        assert sum(machine.memory.records().values()) == total
    if machine.alive:
        machine.exit()
    machine.run()
    assert sum(machine.memory.records().values()) == total
    assert not machine.tasks
    assert not any(record.holder == Holder.MAPPED for record in machine.memory.records())
