"""Who acts, and who waits: told by whole names, and in one place."""

import ast
from pathlib import Path

import pytest

import lazydestroy as ld
from lazydestroy import actors
from lazydestroy.actors import CLEAN_UP, QEMU, QEMU_EXITS, VCPU, is_a, is_waiting, numbered, waits_for
from lazydestroy.perfetto import trace_of
from lazydestroy.plots.lanes import lanes_of
from lazydestroy.scenarios import cpu_time

SMALL = {"memory": "16 MiB", "low_memory": "1 MiB", "loader": "1 MiB", "image": "1 MiB"}


@pytest.mark.parametrize(
    ("actor", "kind", "of_it"),
    [
        ("vCPU 1", "vCPU 1", True),
        ("vCPU 10", "vCPU 1", False),
        ("vCPU 10", VCPU, True),
        (QEMU_EXITS, QEMU, True),
        (numbered(CLEAN_UP, 1), CLEAN_UP, True),
        (numbered(CLEAN_UP, 2), CLEAN_UP, True),
        (CLEAN_UP, numbered(CLEAN_UP, 2), False),
        ("helpers", actors.HELPER, False),
    ],
)
def test_an_actor_is_of_a_kind_if_its_name_begins_with_all_of_its_words(actor, kind, of_it):
    assert is_a(actor, "somebody else", kind) is of_it


def test_the_cpu_time_of_a_vcpu_is_that_of_no_other():
    run = ld.reboot(vcpus=12, **SMALL)
    of_one = run.timeline[(run.timeline["actor"] == "vCPU 1") & working_rows(run)]
    assert cpu_time(run, "vCPU 1") == int((of_one["end"] - of_one["start"]).sum()) > 0
    assert cpu_time(run, VCPU) == sum(cpu_time(run, f"vCPU {number}") for number in range(12))


def working_rows(run):
    return [not is_waiting(str(activity)) for activity in run.timeline["activity"]]


def busy(words):
    """A layer whose thread works for a millisecond, and calls it so."""

    class Busy:
        def kvm_s390_pv_destroy_vm_thread(self, priv):
            self.machine.engine.doing(words)
            yield 1_000_000
            yield from super().kvm_s390_pv_destroy_vm_thread(priv)

    return ld.series.v1.plus(Busy)


def test_what_an_activity_is_called_does_not_make_work_of_waiting_nor_waiting_of_work():
    works, also, waits = (
        ld.reboot(kernel=busy(words), **SMALL)
        for words in ("rests a millisecond on the CPU", "waits a millisecond on the CPU", waits_for("a millisecond"))
    )
    assert cpu_time(works, CLEAN_UP) == cpu_time(also, CLEAN_UP) == cpu_time(waits, CLEAN_UP) + 1_000_000
    for run, hatched in ((also, False), (waits, True)):
        (stretch,) = (
            each for lane in lanes_of(run) for each in lane.merged() if each.activity.endswith(("millisecond", "CPU"))
        )
        assert stretch.waits is hatched
        (traced,) = (each for each in trace_of(run)["traceEvents"] if each["name"] == stretch.activity)
        assert traced["cat"] == ("wait" if hatched else "work")


def test_no_other_module_spells_out_how_a_task_is_recognised():
    package = Path(ld.__file__).parent
    for file in package.rglob("*.py"):
        if file.name == "actors.py":
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        spelt = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        assert QEMU_EXITS not in spelt, file
        begins = [
            ast.unparse(node)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith((".startswith", "char.startswith"))
        ]
        told = [each for each in begins if "CLEAN_UP" in each or "HELPER" in each or "waits" in each or "QEMU" in each]
        assert not told, f"{file}: {told}"
