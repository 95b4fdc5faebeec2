"""By hand: PREPARE, PERFORM, DISABLE, a thread that is killed, a helper."""

import pytest

import lazydestroy as ld
from lazydestroy.errnos import EINVAL, ENOTTY
from lazydestroy.kernel.structs import Answer

MERGED = ld.series.linux_6_2
DONE = Answer(0, 1, 0)
PREPARED = Answer(0, 1, 42)


def unclean(m):
    return [page["page"] for page in m.rows() if page["state"] == "secure" and page["owner"] == "A"]


@pytest.fixture
def m():
    return ld.small_machine(8, kernel=MERGED)


def test_a_reset_prepares_and_starts_a_thread_that_has_not_begun(m):
    m.reboot()
    assert [task.name for task in m.tasks] == ["async_cleanup"]
    assert len(unclean(m)) == 8
    m.run()
    assert not unclean(m)
    assert not m.uv.configurations


def test_prepare_and_perform_one_after_the_other(m):
    assert m.prepare() == PREPARED
    assert m.prepare() == Answer(-EINVAL)
    thread = m.perform()
    assert len(unclean(m)) == 8
    m.run()
    assert not unclean(m)
    assert thread.value == DONE


def test_disable_ends_what_was_set_aside_with_what_runs(m):
    m.prepare()
    m.protect()
    assert m.disable() == DONE
    assert not m.uv.configurations
    assert not unclean(m)


def test_a_thread_that_is_killed_leaves_the_rest_for_disable():
    m = ld.small_machine(8, kernel=MERGED, destroy_loop_threshold=3)
    m.prepare()
    thread = m.perform()
    m.step()
    m.kill_thread(thread)
    m.run()
    assert thread.value == PREPARED
    assert len(unclean(m)) == 5
    m.protect()
    m.disable()
    assert not m.uv.configurations


def test_the_helper_removes_the_memory_when_qemu_has_gone(m):
    m.start_helper()
    m.exit()
    assert [task.name for task in m.tasks] == ["helper"]
    assert len(unclean(m)) == 8
    m.run()
    assert not unclean(m)
    assert m.mm.freed


def test_without_its_helper_qemu_removes_the_memory_itself(m):
    m.start_helper()
    m.kill_helper()
    assert len(unclean(m)) == 8
    m.exit()
    assert not m.tasks
    assert not unclean(m)


def test_a_kernel_that_does_not_know_the_commands_says_so():
    m = ld.small_machine(4, kernel=ld.series.v1)
    assert m.prepare() == Answer(-ENOTTY)
    thread = m.perform()
    m.run()
    assert thread.value == Answer(-ENOTTY)


@pytest.mark.parametrize("name", ["prepare", "perform", "disable", "start_helper", "kill_helper", "kill_thread"])
def test_what_cannot_be_done_is_refused(m, name):
    m.exit()
    with pytest.raises(RuntimeError, match="the process has exited|there is no helper|no thread performs"):
        getattr(m, name)()


def test_only_a_thread_that_performs_can_be_killed(m):
    with pytest.raises(RuntimeError, match="no thread performs a clean-up: perform\\(\\) first"):
        m.kill_thread()
    m.prepare()
    m.perform()
    with pytest.raises(ValueError, match="task='async_cleanup': use what perform\\(\\) returned"):
        m.kill_thread("async_cleanup")


def test_there_is_one_helper(m):
    m.start_helper()
    with pytest.raises(RuntimeError, match="there is a helper already"):
        m.start_helper()


def test_the_name_of_a_preset_is_enough():
    m = ld.small_machine(4, kernel=MERGED, ultravisor="as of 2022")
    assert m.prepare() == PREPARED
    assert not m.uv.configurations
    assert len(unclean(m)) == 4
    m.perform()
    m.run()
    assert not unclean(m)
