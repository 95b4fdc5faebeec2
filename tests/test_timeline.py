"""The timeline of a run: who did what, in full."""

import lazydestroy as ld
from lazydestroy.run import TIMELINE, timeline_table

SMALL = {"memory": "16 MiB", "low_memory": "1 MiB", "loader": "1 MiB", "image": "1 MiB"}

LONG = "destroys what is left of the pages that the old guest has used, one by one"


class Tells:
    """The thread says at length what it does."""

    def kvm_s390_pv_destroy_vm_thread(self, priv):
        self.machine.engine.doing(LONG)
        yield 1_000_000
        yield from super().kvm_s390_pv_destroy_vm_thread(priv)


def test_names_stand_there_in_full():
    rows = ld.reboot(kernel=ld.series.v1.plus(Tells), **SMALL).timeline
    assert LONG in rows["activity"].tolist() and rows.dtype.names == TIMELINE.names
    long = timeline_table([(0, 1, "the clean-up thread of the first guest", "walks", 2)])
    assert long["actor"].tolist() == ["the clean-up thread of the first guest"]


def test_a_timeline_whose_names_are_short_is_what_it_says():
    assert ld.reboot(**SMALL).timeline.dtype == timeline_table([]).dtype == TIMELINE
