"""What the sixteen versions of the series changed, and why: `VERSIONS`, a table that reads like a story.

Everything in it is paraphrased. Each fact has its source in brackets: the Message-Id of a mail, which finds it behind
https://lore.kernel.org/r/, or the hash of a commit in Linux. [-9] is a mail of the version itself: [-1] is its cover
letter, [-9] its patch 8. What nobody says and only the code shows is marked as inferred.
"""

from __future__ import annotations

from datetime import date

from ..layers import Layer
from .version import Fact, Version, Versions


def _version(
    name: str, turn: str, sent: date, patches: int, message_id: str, changed: str, why: str, then: str, here: str
) -> Version:
    """A version whose facts are written as text, each with its source in brackets behind it."""
    facts = [_facts(text, message_id) for text in (changed, why, then)]
    return Version(name, turn, sent, patches, message_id, facts[0], facts[1], facts[2], " ".join(here.split()))


def _facts(text: str, message_id: str) -> tuple[Fact, ...]:
    """Facts as text: what is said, and the source in brackets."""
    own = {f"-{number}": f"{message_id}-{number}-imbrenda@linux.ibm.com" for number in range(1, 21)}
    parts = (part.rpartition(" [") for part in " ".join(text.split()).split("]") if part)
    return tuple(Fact(said.strip(), own.get(source, source)) for said, _, source in parts)


VERSIONS = Versions(
    (
        _version(
            "v1",
            "a kernel thread cleans up",
            date(2021, 5, 17),
            11,
            "20210517200758.22593",
            changed="""
            ``KVM_PV_DISABLE`` starts a kernel thread. It cleans the old guest's memory while the next guest boots.
            [-9]
            When the process exits, the kernel puts the guest's pages on a list. A thread destroys and frees them
            later. [-10]
            """,
            why="A reboot and a shutdown waited for an Ultravisor Call on every page. [-1]",
            then="""
            Cornelia Huck asked whether pages that wait can use up the memory for a while.
            [20210518170537.58b32ffe.cohuck@redhat.com]
            David Hildenbrand asked whether a guest can deny service with it.
            [a38192d5-0868-8e07-0a34-c1615e1997fc@redhat.com]
            Christian Borntraeger suggested an OOM notifier. [225fe3ec-f2e9-6c76-97e1-b252fe3326b3@de.ibm.com]
            """,
            here="All of it: ``ld.series.v1``. Its own bugs are in ``ld.series.BUGS``.",
        ),
        _version(
            "v2",
            "an OOM notifier waits for the thread",
            date(2021, 7, 28),
            13,
            "20210728142631.41860",
            changed="""
            As long as a thread empties a list, it has an OOM notifier. An allocation that finds no memory then
            waits a little, and counts what the thread frees meanwhile. [-13]
            While a call answers that it is busy, other tasks may run. [-2]
            Two bugs are fixed: the ``return`` that was missing with ``lazy_destroy=0``, and the thread's use of a
            freed mm. [-1]
            """,
            why="""
            Borntraeger wanted an allocation to wait until, say, 256 pages are free.
            [896be0fd-5d5d-5998-8cb0-4ac8637412ac@de.ibm.com]
            The host reported stalls under heavy load. [-1]
            Borntraeger had asked which control group pays for the memory. The author tested it: the dead guest's,
            until the pages are free. [-1]
            """,
            then="Version 3 keeps the notifier. [20210804154046.88552-14-imbrenda@linux.ibm.com]",
            here="""
            The notifier: ``ld.series.v1.plus(ld.series.OomNotifier)``. The two fixes:
            ``ld.series.fixes.ReturnWhenOff`` and ``ld.series.fixes.KeepTheMm``.
            """,
        ),
        _version(
            "v3",
            "a lock for the list of tables, one try for a page",
            date(2021, 8, 4),
            14,
            "20210804154046.88552",
            changed="""
            The kernel changes the list of guest tables under its lock. The two functions move to ``gmap.c`` and are
            called ``s390_remove_old_asce`` and ``s390_replace_asce`` now. [-1]
            ``make_secure_pte`` calls the Ultravisor once. If that is busy, the caller tries again later. [-1]
            A guest address without memory behind it is an error on 0x3D. [-1]
            """,
            why="""
            The kernel had repeated the call with the page table locked: a stall again.
            [20210818132620.46770-5-imbrenda@linux.ibm.com]
            On 0x3D version 1 tried again, hoping for another exception. [-1]
            """,
            then="""
            Hildenbrand wanted the reboot half taken. In the shutdown half, notifier included, he saw a hack of one
            architecture in memory management that all would regret.
            [86b114ef-41ea-04b6-327c-4a036f784fad@redhat.com]
            Three days later he summed up a talk with the author: QEMU should end the configuration first. Then the
            kernel can destroy pages at exit instead of exporting them.
            [8f1502a4-8ee3-f70f-ca04-4a13d44368fb@redhat.com]
            """,
            here="""
            The notifier is that of version 2. The table functions and the single try are patches 5 and 4 of
            ``ld.series.v4``.
            """,
        ),
        _version(
            "v4",
            "no shutdown part",
            date(2021, 8, 18),
            14,
            "20210818132620.46770",
            changed="""
            The list of pages, ``pv_sync_destroy`` and the OOM notifier are gone. At exit the kernel exports every
            page, as it did before the series. [-1]
            The parameter comes before the code that asks for it. [-13]
            A vCPU without a secure CPU is skipped when the CPUs are destroyed. [-3]
            """,
            why="""
            The shutdown half was controversial. It was to get a series of its own. [-1]
            A vCPU destroyed twice freed a random page as its SIDA page. [-3]
            """,
            then="""
            Without a table or a thread it forgets two references to the mm, as version 1 did (inferred). [-14]
            Janis Schoetterl-Glausch proposed another name for what is a counter now.
            [8cca2dd4-ede1-87f9-c287-6189e89d1b39@linux.vnet.ibm.com]
            """,
            here="""
            ``ld.series.v4``. Its shutdown takes as long as before the series, with the same calls. The search
            breaks it with its default failures: a reboot that gets no table, or no thread, leaves an address
            space that is never removed. With ``ld.series.fixes.GiveBackOnFailure`` on top, the search finds
            nothing. If a CPU cannot be created, patch 2 leaks what was allocated for it.
            """,
        ),
        _version(
            "v5",
            "a counter is called a counter",
            date(2021, 9, 20),
            14,
            "20210920132502.36111",
            changed="""
            ``is_protected`` is called ``protected_count``. [-1]
            The thread frees its record even if ``DESTROY_SEC_CONF`` fails. [-14]
            ``vma_lookup`` looks for an exact address; ``find_vma`` could give the next area. [-1]
            """,
            why="""
            Schoetterl-Glausch had asked for the name. [8cca2dd4-ede1-87f9-c287-6189e89d1b39@linux.vnet.ibm.com]
            Schoetterl-Glausch had also asked for the record.
            [63a25b80-9dcf-7948-e2c3-88b8f9064736@linux.vnet.ibm.com]
            """,
            then="""
            Janosch Frank wanted the first patches taken early, to have time for the complicated ones.
            [fcfd5d04-1a08-f91e-7bc2-8878c6dcd1eb@linux.ibm.com]
            Five preparations are in Linux 5.16, among them version 1's patch 2. [380d97bd02fc]
            """,
            here="""
            Nothing of its own. It runs like ``ld.series.v4``, but for the record: version 4 leaks it, and its
            log says so.
            """,
        ),
        _version(
            "v6",
            "a thread of userspace's own",
            date(2021, 12, 3),
            17,
            "20211203165814.73016",
            changed="""
            The kernel thread is gone. Userspace calls ``KVM_PV_ASYNC_DISABLE_PREPARE``, and then
            ``KVM_PV_ASYNC_DISABLE`` from a thread of its own. [-1]
            A fatal signal ends the walk. What is left waits on a list, ``need_cleanup``. [-14]
            An mmu notifier ends the vCPUs when the address space goes. So the kernel can destroy pages at exit
            instead of exporting them. [-11]
            Shutdown is left to userspace: a second process that shares the memory, made with ``clone(CLONE_VM)``.
            [-1]
            """,
            why="""
            Now the process that owns the VM pays for the CPU time of the clean-up. [-1]
            Hildenbrand wanted the configuration ended before the memory is torn down.
            [8f1502a4-8ee3-f70f-ca04-4a13d44368fb@redhat.com]
            """,
            then="""
            The build robot had a configuration without mmu notifiers: it did not build.
            [202112041017.COolnLgE-lkp@intel.com]
            Frank missed ``mmap_lock`` where 0x3D translates the address.
            [2e1beb50-21cb-8ff9-5e00-97344ab10ac6@linux.ibm.com]
            """,
            here="Its two commands, as in version 8: ``ld.series.v8``.",
        ),
        _version(
            "v7",
            "missing locks",
            date(2022, 2, 4),
            17,
            "20220204155349.63238",
            changed="""
            On 0x3D the address is translated under ``mmap_lock``. [-1]
            A table that leaves the gmap's list is made ready to leave it again, under the lock. [-1]
            """,
            why="Frank had asked for ``mmap_lock``. [2e1beb50-21cb-8ff9-5e00-97344ab10ac6@linux.ibm.com]",
            then="""
            Frank asked what the notifier's lock is good for, and whether the VM is still there when the notifier
            runs. [28955238-1fac-ad9a-f2bb-2c6c0c2ed894@linux.ibm.com]
            """,
            here="Nothing: a handler is one step here, and no other task acts in the middle of it.",
        ),
        _version(
            "v8",
            "the notifier lets go",
            date(2022, 3, 2),
            17,
            "20220302181143.188283",
            changed="""
            The notifier takes no lock, and goes with the VM. [-1]
            The capability is called ``KVM_CAP_S390_PROTECTED_ASYNC_DISABLE``. [-1]
            """,
            why="These answer Frank's two questions. [28955238-1fac-ad9a-f2bb-2c6c0c2ed894@linux.ibm.com]",
            then="""
            The build robot still found a configuration that did not build. [202203031008.y7TlswqY-lkp@intel.com]
            ``KVM_PV_ASYNC_DISABLE`` drops ``kvm->lock`` in the middle, and takes it again at its end. [-15]
            Leftovers and notifier go only if the VM is protected at its end (inferred). [-11]
            """,
            here="""
            ``ld.series.v8``. If QEMU is killed while the next guest boots, the old configuration stays in the
            Ultravisor, and the mm is never freed.
            """,
        ),
        _version(
            "v9",
            "the fast call",
            date(2022, 3, 30),
            18,
            "20220330122605.247613",
            changed="""
            ``DESTROY_SEC_CONF_FAST`` ends a configuration at once and gives the donated storage back. Only its
            memory remains to be cleaned. [-19]
            KVM selects ``MMU_NOTIFIER``. [20220628135619.32410-1-imbrenda@linux.ibm.com]
            """,
            why="So the robot has nothing left to complain about. [202203031008.y7TlswqY-lkp@intel.com]",
            then="The notifier makes the fast call even if the Ultravisor does not have it (inferred). [-19]",
            here="The fast call, as it was merged: ``ld.series.linux_6_2[17]``.",
        ),
        _version(
            "v10",
            "the order turned",
            date(2022, 4, 14),
            19,
            "20220414080311.1084834",
            changed="""
            An ordinary disable destroys the configuration first, and walks through the memory afterwards. [-14]
            The notifier asks whether there is a fast call before it makes one.
            [20220628135619.32410-1-imbrenda@linux.ibm.com]
            """,
            why="""
            ``DESTROY_SEC_CONF`` cleans the memory that the configuration still has, and much faster. The walk
            stays: it clears the kernel's own note on each page. [-14]
            """,
            then="""
            Nico Boehr wanted the gmap's handle cleared right after the call.
            [96ee2d8c2c64b4968529b78bd7ad8a042542d353.camel@linux.ibm.com]
            Boehr asked: why not call what is left over a leftover?
            [ff5f394db586169fe6dc16dc0e24d534e4825caa.camel@linux.ibm.com]
            """,
            here="The turn, as it was merged: ``ld.series.linux_6_2[13]``.",
        ),
        _version(
            "v11",
            "other names, fewer locks",
            date(2022, 6, 3),
            19,
            "20220603065645.10019",
            changed="""
            ``kvm->lock`` is taken where it is needed, instead of dropped where it is not. [-16]
            The gmap's handle is cleared right after the call. [20220628135619.32410-1-imbrenda@linux.ibm.com]
            A configuration that waits, or was interrupted, is called a leftover. [-15]
            The notifier goes with the VM, protected or not. [-11]
            The parameter is called ``async_destroy``. [20220628135619.32410-1-imbrenda@linux.ibm.com]
            """,
            why="""
            Boehr had asked for the handle. [96ee2d8c2c64b4968529b78bd7ad8a042542d353.camel@linux.ibm.com]
            Boehr had asked for the leftover. [ff5f394db586169fe6dc16dc0e24d534e4825caa.camel@linux.ibm.com]
            """,
            then="""
            Frank wanted one patch where neither of two is any good alone.
            [44b2b227-9757-b7a2-41a0-cbea0e2bbbdc@linux.ibm.com]
            ``kvm_arch_destroy_vm`` ends leftovers only if the VM is still protected (inferred). [-15]
            """,
            here="Nothing of its own.",
        ),
        _version(
            "v12",
            "the names that stayed",
            date(2022, 6, 28),
            18,
            "20220628135619.32410",
            changed="""
            The commands are called ``KVM_PV_ASYNC_CLEANUP_PREPARE`` and ``KVM_PV_ASYNC_CLEANUP_PERFORM``. [-1]
            ``kvm_s390_pv_deinit_cleanup_all`` ends everything, and always runs when a VM goes. [-1]
            """,
            why="""
            Two patches are one now: Frank had asked for that. [44b2b227-9757-b7a2-41a0-cbea0e2bbbdc@linux.ibm.com]
            """,
            then="""
            Frank took the first twelve, which had been tested for a long time.
            [abed8069-220a-ee32-b4fa-3cff935b539c@linux.ibm.com]
            """,
            here="The two commands, as they were merged: ``ld.series.linux_6_2[14]``.",
        ),
        _version(
            "v13",
            "the last six",
            date(2022, 8, 10),
            6,
            "20220810125625.45295",
            changed="Six patches are left. [20221111170632.77622-1-imbrenda@linux.ibm.com]",
            why="The other twelve are in Linux 6.0. [7746f735f552]",
            then="""
            Frank wanted the parameter asked in PERFORM as well.
            [b726199f-6c07-fd9a-fd1e-016e6d98971e@linux.ibm.com]
            Boehr found three names for one thing, and proposed two words: a configuration that waits is set aside,
            one that was interrupted is a leftover. [166030300049.24812.17231340197534047162@localhost.localdomain]
            """,
            here="Nothing of its own.",
        ),
        _version(
            "v14",
            "one name a thing",
            date(2022, 9, 30),
            6,
            "20220930140150.37463",
            changed="""
            The texts say what is set aside, and where interrupted ones go. [-2]
            Without ``async_destroy``, PERFORM answers -EINVAL. [20221111170632.77622-1-imbrenda@linux.ibm.com]
            """,
            why="""
            Boehr had proposed the words. [166030300049.24812.17231340197534047162@localhost.localdomain]
            Frank had asked for the check. [b726199f-6c07-fd9a-fd1e-016e6d98971e@linux.ibm.com]
            """,
            then="""
            Frank found it a long read. Only small things of Steffen Eiden's were left.
            [577ff026-949e-4c03-39c6-1e33edae0f16@linux.ibm.com]
            """,
            here="Nothing of its own.",
        ),
        _version(
            "v15",
            "an assertion for the lock",
            date(2022, 10, 10),
            6,
            "20221010145442.85867",
            changed="""
            ``kvm_s390_pv_set_aside`` asserts that ``kvm->lock`` is held.
            [20221111170632.77622-1-imbrenda@linux.ibm.com]
            Some variables have better names. [20221111170632.77622-1-imbrenda@linux.ibm.com]
            """,
            why="Eiden had asked for the names. [0cd04469-d840-0cc7-8faf-8f07aa2dd876@linux.ibm.com]",
            then="Two days later Eiden had reviewed it. [a29e8e63-3cbc-30cc-e0db-8e2bb8616ecb@linux.ibm.com]",
            here="Nothing of its own.",
        ),
        _version(
            "v16",
            "a warning with vhost",
            date(2022, 11, 11),
            6,
            "20221111170632.77622",
            changed="The notifier makes the fast call only if the VM has a handle. [-1]",
            why="With a vhost device, the kernel made the call without one, and warned. [-1]",
            then="""
            All six are in Linux 6.2, eighteen months after version 1. [fb491d5500a7]
            Eight of version 1's eleven patches are in Linux. Patch 11 was the last to go in. [afe20eb8df91]
            """,
            here="All that was merged: ``ld.series.linux_6_2``, and what was fixed since: ``ld.series.linux_latest``.",
        ),
    )
)
"""The sixteen versions, in order."""


def version_of(layer: type[Layer]) -> str:
    """The version of the series that a patch was mailed with, in words."""
    name = next(each.name for each in VERSIONS if each.cover_letter == layer.cover_letter)
    return f"version {name.removeprefix('v')}"


__all__ = ["VERSIONS", "version_of"]
