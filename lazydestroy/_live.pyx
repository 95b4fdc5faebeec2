# cython: language_level=3
"""The steps of `lazydestroy.live` that Python has no name for. Linux only: elsewhere the package goes without them.

A process that shares this one's memory must not run Python: both would change the same objects. So what it does is
the C below, which only waits, on a stack of its own. QEMU's util/async-teardown.c does the same with a handler for
SIGHUP; here the kernel kills the helper as soon as its parent is gone, so that no signal is missed and none is needed.
"""

cdef extern from *:
    """
    #ifndef __linux__
    #error "lazydestroy._live is for Linux. The package works without it."
    #endif
    #include <errno.h>
    #include <sched.h>
    #include <signal.h>
    #include <stdint.h>
    #include <sys/prctl.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    static char ld_stack[64 << 10] __attribute__((aligned(16)));
    static volatile int ld_waits;

    static void ld_close_files(void) {
    #ifdef SYS_close_range
        if (syscall(SYS_close_range, 0u, ~0u, 0u) == 0)
            return;
    #endif
        for (int file = 0; file < 1024; file++)
            close(file);
    }

    /* Runs in the helper. It shares errno with its parent, which waits until no call can change it any more. */
    static int ld_wait_for_end_of_parent(void *parent) {
        ld_close_files();
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) || getppid() != (pid_t)(intptr_t)parent)
            _exit(1);
        ld_waits = 1;
        for (;;)
            pause();
    }

    static int ld_start_helper(void) {
        sigset_t all, before;
        if (ld_waits)
            return -EBUSY;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, &before);  /* inherited: no handler of Python's runs in the helper */
        int helper = clone(ld_wait_for_end_of_parent, ld_stack + sizeof ld_stack, CLONE_VM | SIGCHLD,
                           (void *)(intptr_t)getpid());
        if (helper < 0)
            helper = -errno;
        for (int tries = 0; helper > 0 && !ld_waits; tries++) {
            if (tries == 5000) {  /* half a second: it has not come so far */
                kill(helper, SIGKILL);
                helper = -ETIME;
            }
            usleep(100);
        }
        sigprocmask(SIG_SETMASK, &before, NULL);
        return helper;
    }

    static int ld_end_with_parent(int parent) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
            return -errno;
        return getppid() == parent ? 0 : -ESRCH;
    }

    static int ld_adopt_orphans(void) {
        return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) ? -errno : 0;
    }
    """
    int ld_start_helper()
    int ld_end_with_parent(int parent)
    int ld_adopt_orphans()


def start_helper():
    """Start a process that shares this one's memory (``CLONE_VM``), waits, and is killed when this one is gone.

    It has no file open, and catches no signal. A process can have one. Returns its number.
    """
    return _done(ld_start_helper(), "clone")


def end_with_parent(int parent):
    """Be killed when the parent ends, whose number is given. ProcessLookupError: it has ended already."""
    _done(ld_end_with_parent(parent), "prctl")


def adopt_orphans():
    """Become the parent of those descendants whose parents end (``PR_SET_CHILD_SUBREAPER``)."""
    _done(ld_adopt_orphans(), "prctl")


cdef _done(int result, str call):
    """What a call answered. OSError if that is an error."""
    if result < 0:
        raise OSError(-result, call)
    return result
