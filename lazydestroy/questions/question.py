"""The reviewers' questions: who asked what, where, and what the author answered.

The first twelve are those of version 1's review thread. The others came with the versions that led to Linux 6.2.

All of it is paraphrased. A Message-Id finds the mail in the archives, for instance behind https://lore.kernel.org/r/.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from typing import SupportsIndex, overload

HUCK = "Cornelia Huck"
BORNTRAEGER = "Christian Borntraeger"
HILDENBRAND = "David Hildenbrand"
FRANK = "Janosch Frank"
BOEHR = "Nico Boehr"
REVIEWERS = "The reviewers of versions 1 to 5"

NOT_ANSWERED = "not answered in the thread"

VERSION_6 = "20211203165814.73016-1-imbrenda@linux.ibm.com"
"""Version 6's cover letter."""

COVER_LETTER_ANSWERED = "20210518170537.58b32ffe.cohuck@redhat.com"


@dataclass(frozen=True, slots=True, repr=False)
class Question:
    """A question of the reviewers.

    Attributes
    ----------
    number : int
        1 to 12, in the order of version 1's thread; then 13 to 15.
    title : str
        What it is about, in a few words.
    who : str
        Who asked.
    on : str
        What the mail was an answer to.
    message_id : str
        Message-Id of the mail that asked.
    asks : str
        The question, paraphrased.
    answer : str
        The author's answer, paraphrased, or "not answered in the thread".
    answered_in : tuple of str
        Message-Ids of the answer.
    """

    number: int
    title: str
    who: str
    on: str
    message_id: str
    asks: str
    answer: str = NOT_ANSWERED
    answered_in: tuple[str, ...] = field(default=())

    @property
    def answered(self) -> bool:
        """Whether the author answered it in the thread."""
        return self.answer != NOT_ANSWERED

    def __repr__(self) -> str:
        return f"{self.number:2}. {self.asks}  ({self.who})"

    def _repr_html_(self) -> str:
        return (
            f"<div><b>{self.number}. {escape(self.asks)}</b><br>{escape(self.who)}, {escape(self.on)} "
            f"(<code>{escape(self.message_id)}</code>)<br>The author's answer: {escape(self.answer)}</div>"
        )


class Questions(tuple[Question, ...]):
    """Questions, shown as a list in a terminal and as a table in a notebook."""

    __slots__ = ()

    @overload
    def __getitem__(self, place: SupportsIndex) -> Question: ...
    @overload
    def __getitem__(self, place: slice) -> Questions: ...
    def __getitem__(self, place: SupportsIndex | slice) -> Question | Questions:
        found = super().__getitem__(place)
        return Questions(found) if isinstance(found, tuple) else found

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))

    def _repr_html_(self) -> str:
        return (
            "<table><thead><tr>"
            + "".join(f"<th style='text-align:left'>{head}</th>" for head in ("", "asked by", "asks", "the author"))
            + "</tr></thead><tbody>"
            + "".join(self._rows())
            + "</tbody></table>"
        )

    def _rows(self) -> Iterator[str]:
        for each in self:
            cells = (str(each.number), each.who, each.asks, each.answer)
            yield "<tr>" + "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in cells) + "</tr>"


QUESTIONS = Questions(
    (
        Question(
            1,
            "Ultravisor Calls in the background",
            HUCK,
            "on the cover letter",
            COVER_LETTER_ANSWERED,
            "Does the clean-up in the background include the Ultravisor Calls?",
            "Yes.",
            ("20210518173624.13d043e3@ibm-vm",),
        ),
        Question(
            2,
            "Reaching pages that wait for clean-up",
            HUCK,
            "on the cover letter",
            COVER_LETTER_ANSWERED,
            "Can pages that are set aside and not yet cleaned still be reached in any way? Doesn't a rebooted guest "
            "get new pages?",
            "In a reboot, yes: they stay in the guest's address space and can be swapped, and the rebooted guest, "
            "normal or secure, uses the same pages again, before or after they were cleaned. That is what patches 3 "
            "and 4 are for.",
            ("20210518173624.13d043e3@ibm-vm",),
        ),
        Question(
            3,
            "Exhausting memory",
            HUCK,
            "on the cover letter",
            COVER_LETTER_ANSWERED,
            "Can too many pages that are not yet cleaned exhaust memory, for a while?",
            "In a reboot not much happens: what was in use stays in use, and can be swapped. At shutdown, yes: the "
            "pages are really taken aside, cannot be swapped, and are freed one by one. It trades memory for speed; "
            "patch 10 can turn it off.",
            ("20210518173624.13d043e3@ibm-vm",),
        ),
        Question(
            4,
            "An OOM notifier",
            BORNTRAEGER,
            "on the cover letter",
            "896be0fd-5d5d-5998-8cb0-4ac8637412ac@de.ibm.com",
            "Could an OOM notifier help, one that waits until, say, 256 pages have been freed, and reports them?",
            "At first, to a notifier that frees pages: once pages are set aside, it is too late. If memory is low "
            "while they are being set aside, they are cleaned at once anyway. The one bad case is a process that "
            "takes much memory fast, right after a large secure guest has ended. Then he names waiting as the way "
            "out "
            "himself, and version 2 has such a notifier.",
            ("20210518181305.2a9d19f3@ibm-vm", "20210518183442.6e078ea1@ibm-vm"),
        ),
        Question(
            5,
            'Which "guest"?',
            HUCK,
            "on the cover letter",
            "20210518180411.4abf837d.cohuck@redhat.com",
            'Which guest does "guest" mean?',
            "There are three things to tell apart: the guest OS, the secure configuration, and the KVM VM.",
            ("20210518181922.52d04c61@ibm-vm",),
        ),
        Question(
            6,
            "Denial of service",
            HILDENBRAND,
            "on the cover letter",
            "a38192d5-0868-8e07-0a34-c1615e1997fc@redhat.com",
            "Can a guest use this for a denial of service?",
            "He does not see how: to fill memory again cleans what earlier boots left, and ordinary reboot loops have "
            "little to clean. Loops of several kinds were tried, under load.",
            ("20210518183131.1e0cf801@ibm-vm",),
        ),
        Question(
            7,
            "What using a page again costs",
            BORNTRAEGER,
            "on the cover letter",
            "e66400c5-a1b6-c5fe-d715-c08b166a7b54@de.ibm.com",
            "So a guest that uses such a page again waits, synchronously, for an export and an import?",
            "Correct.",
            ("20210518190049.7e6e661f@ibm-vm",),
        ),
        Question(
            8,
            "The memory cgroup",
            BORNTRAEGER,
            "on the cover letter",
            "e66400c5-a1b6-c5fe-d715-c08b166a7b54@de.ibm.com",
            "Does the memory stay charged to the memory cgroup?",
            "In a reboot, yes; at shutdown he is not sure. (Version 2's cover letter: yes, it was tried.)",
            ("20210518190049.7e6e661f@ibm-vm",),
        ),
        Question(
            9,
            "Batches of 32",
            FRANK,
            "on patch 5",
            "fb23fc95-50ed-284c-041a-c21f1753c101@linux.ibm.com",
            "Should the size of a batch, 32 pages, be a parameter, and was its performance tested?",
        ),
        Question(
            10,
            "An exit during the clean-up",
            FRANK,
            "on patch 8",
            "1eb61235-75a7-4a57-38ca-d7a1219f1b8d@linux.ibm.com",
            "Where does the thread leave early, if the process exits?",
        ),
        Question(
            11,
            "Changing the parameter at run time",
            FRANK,
            "on patch 10",
            "7b43f05f-30e0-1c84-74f1-c28fdd6fcff4@linux.ibm.com",
            "Should the module parameter be writable at run time?",
        ),
        Question(
            12,
            "A poisoned top-level table",
            FRANK,
            "on patch 1",
            "13cb02d1-df3b-7994-8a31-99aacfd15566@linux.ibm.com",
            "What exactly makes the page unusable, if the configuration cannot be destroyed?",
            "A table that is marked serves its own configuration only; nor can it back donated storage.",
            ("20210518124027.48f36caa@ibm-vm",),
        ),
        Question(
            13,
            "Set aside, or left over",
            BOEHR,
            "on version 13's asynchronous destroy",
            "166030300049.24812.17231340197534047162@localhost.localdomain",
            "Three names are in use. Which configuration is set aside, and which one is a leftover?",
            "One that waits is set aside; one whose clean-up was interrupted is a leftover. Version 14's texts say so.",
            ("20220930140150.37463-2-imbrenda@linux.ibm.com",),
        ),
        Question(
            14,
            "Who pays the CPU time",
            REVIEWERS,
            "in no single mail: the one here is version 6's cover letter, which answers",
            VERSION_6,
            "Who pays for the CPU time that the clean-up takes?",
            "Since version 6 the process that owns the VM: the thread that cleans up is its own.",
            (VERSION_6,),
        ),
        Question(
            15,
            "Who owns the memory after the exit",
            REVIEWERS,
            "in no single mail: the one here is version 6's cover letter, which answers",
            VERSION_6,
            "Who owns the guest's memory when its process is gone?",
            "Since version 6 the kernel keeps none of it. If it is to outlive QEMU, a second process shares it.",
            (VERSION_6,),
        ),
    )
)
"""The twelve of version 1's thread, in its order, and three that came later."""
