"""Problems about single pages: a short story by hand, and what happens next."""

from __future__ import annotations

from typing import Any

from ...machine import Machine
from ...series import v1
from ..numbers import Draw, Family, Numbers, Slip, Solved

PAGES = 8


_WHEN = {
    "no": "",
    "waits": "The guest is reset, and A is a zombie. The clean-up thread has not done anything yet.",
    "done": "The guest is reset, and the clean-up thread has finished.",
}


def _draw_story(draw: Draw, whens: tuple[str, ...]) -> dict[str, Any]:
    """A guest A of which three pages have a fate of their own; then perhaps a reset, then perhaps B."""
    pages = draw.order("pages", range(1, PAGES))[:4]
    fates = draw.order("fates", ("touch", "share", "io", "untouched"))
    when = draw.choose("when", whens)
    return {
        "fates": dict(sorted(zip(pages, fates, strict=True))),
        "when": when,
        "next": draw.choose("next", ("protected", "normal")) if when != "no" else "",
        "asked": draw.choose("asked", sorted(pages)),
    }


def _played(numbers: Numbers) -> Machine:
    """Let it happen."""
    machine = Machine(PAGES * 4096, kernel=v1, low_memory=0, segment_table=0)
    machine.boot()
    machine.protect()
    for page, fate in numbers["fates"].items():
        if fate != "untouched":
            machine.touch(page)
        if fate == "share":
            machine.share(page)
        if fate == "io":
            machine.io(page)
    if numbers["when"] != "no":
        machine.reboot()
    if numbers["when"] == "done":
        machine.run()
    if numbers["next"] == "protected":
        machine.touch(0)
        machine.protect()
    return machine


_SETTING = (
    "(A kernel with all eleven patches, and a guest so small that nothing else is there. At a reset all of its "
    "memory is left to the thread, as if it lay above 2 GiB.)"
)


def _story(numbers: Numbers, *more: str) -> str:
    """Tell it, step by step."""
    told = [f"A protected guest, A, of {PAGES} pages has its boot image in page 0, and has used no other page yet."]
    for page, fate in numbers["fates"].items():
        if fate != "untouched":
            told.append(f"A touches page {page}" + (" and shares it." if fate == "share" else "."))
        if fate == "io":
            told.append(f"The host does I/O on page {page}, which A has not shared.")
    told.append(_WHEN[numbers["when"]])
    if numbers["next"] == "protected":
        told.append("The next guest goes protected: this is B. Its image is in page 0.")
    if numbers["next"] == "normal":
        told.append("The next guest is a normal one.")
    steps = [f"{number}. {step}" for number, step in enumerate(filter(None, (*told, *more)), 1)]
    return "\n".join(steps)


def _code(numbers: Numbers, last: str) -> str:
    lines = [
        'm = ld.Machine("32 KiB", kernel=ld.series.v1, low_memory=0, segment_table=0)',
        "m.boot()",
        "m.protect()",
    ]
    for page, fate in numbers["fates"].items():
        if fate != "untouched":
            lines.append(f"m.touch({page})")
        if fate in ("share", "io"):
            lines.append(f"m.{fate}({page})")
    if numbers["when"] != "no":
        lines.append("m.reboot()")
    if numbers["when"] == "done":
        lines.append("m.run()")
    if numbers["next"] == "protected":
        lines += ["m.touch(0)", "m.protect()"]
    return "\n".join([*lines, last])


_FATE = {
    "touch": "A touched page {page}, so it was imported for A, and is secure.",
    "share": "A touched page {page} and shared it: A still owns it, and the host may read it.",
    "io": (
        "A owned page {page}, and it was secure. For a device, the kernel had it exported, encrypted. Since then it "
        "has had no owner."
    ),
    "untouched": "No guest has ever touched page {page}.",
}


def _since(numbers: Numbers) -> str:
    thread = {
        "io": "The thread has tried to destroy it, which has no effect on a page without an owner.",
        "untouched": "The thread has found no entry for it.",
    }
    return {
        "no": "Nothing has happened to it since.",
        "waits": "The guest's reset changes no page: that is the thread's work, and it has not begun.",
        "done": thread.get(
            numbers["fates"][numbers["asked"]],
            "The thread has destroyed it: such a page is clean, full of zeros, and has no owner.",
        ),
    }[numbers["when"]]


def _path(numbers: Numbers) -> tuple[str, ...]:
    page = numbers["asked"]
    return _FATE[numbers["fates"][page]].format(page=page), _since(numbers)


# Who owns the page?

_OWNERS = {"A": ("guest a",), "B": ("guest b",), "nobody": ("none", "no one", "the host")}


def _owner(numbers: Numbers) -> Solved:
    page = numbers["asked"]
    machine = _played(numbers)
    accesses = {each: machine.touch(each) for each in numbers["then"]}
    then = (f"{accesses[page]}.",) if page in accesses else ()
    answer = machine.rows()[page]["owner"] or "nobody"
    touched = "".join(f"m.touch({each})\n" for each in numbers["then"])
    return Solved(
        answer,
        (*_path(numbers), *then, f"The model says: {answer}."),
        (
            Slip("A", "What has been done to that page since A owned it?"),
            Slip("B", "Has B touched that page? Guest memory at the same place can belong to another guest."),
            Slip(
                "nobody",
                "Who imported it last, and was it exported or destroyed since? Does sharing change the owner?",
            ),
        ),
        _code(numbers, f'{touched}m.rows()[{page}]["owner"] or "nobody"'),
    )


def _draw_owner(draw: Draw) -> dict[str, Any]:
    numbers = _draw_story(draw, ("no", "waits", "waits", "done"))
    touches = numbers["next"] != "" and draw.number("then", 3)
    return {**numbers, "then": tuple(sorted(draw.order("touched", tuple(numbers["fates"]))[:2])) if touches else ()}


def _touched(numbers: Numbers) -> str:
    return f"This guest touches pages {' and '.join(map(str, numbers['then']))}." if numbers["then"] else ""


WHO_OWNS = Family(
    name="who-owns",
    title="who owns the page?",
    lesson="course/02-meet-the-ultravisor.ipynb",
    draw=_draw_owner,
    state=lambda numbers: (
        _story(numbers, _touched(numbers))
        + f"\n\nWho owns page {numbers['asked']} now, by the Ultravisor's books?\n\n{_SETTING}"
    ),
    solve=_owner,
    hints=("Follow the page: who imported it, and what was done to it since?",),
    choices=_OWNERS,
)

# What is raised first?

_RAISED = {
    "0x3D": ("3d", "0x3d", "secure storage access"),
    "0x3E": ("3e", "0x3e", "non-secure storage access"),
    "0x3F": ("3f", "0x3f", "secure storage violation"),
    "none": ("nothing", "no exception", "-"),
}


def _exception(numbers: Numbers) -> Solved:
    page = numbers["asked"]
    machine = _played(numbers)
    row = machine.rows()[page]
    access = machine.touch(page)
    answer = f"0x{access.interruptions[0]:X}" if access.interruptions else "none"
    who = numbers["next"] or "protected"
    return Solved(
        answer,
        (
            *_path(numbers),
            f"So page {page} is {row['state']}"
            + (f", and belongs to {row['owner']}" if row["owner"] else "")
            + f". A {who} guest touches it.",
            f"The model says: {access}",
        ),
        (
            Slip("0x3D", "0x3D: the host or a normal guest touches a secure page. Is that so here?"),
            Slip(
                "0x3E",
                "0x3E: a protected guest touches a page that it cannot use yet, because it is not secure. Is that so "
                "here?",
            ),
            Slip("0x3F", "0x3F: a protected guest touches a secure page of another one. Is that so here?"),
            Slip(
                "none",
                "Nothing is raised if the page is there, and the guest may use it as it is. Is that so here?",
            ),
        ),
        _code(numbers, f"m.touch({page})"),
    )


WHICH_EXCEPTION = Family(
    name="which-exception",
    title="which exception is raised?",
    lesson="course/02-meet-the-ultravisor.ipynb",
    draw=lambda draw: _draw_story(draw, ("no", "waits", "waits", "waits", "done")),
    state=lambda numbers: (
        f"{_story(numbers)}\n\nThe guest that runs now touches page {numbers['asked']}. Which exception does that "
        "raise first? (A page fault of an ordinary kind, for memory that is not there yet, does not "
        f"count.)\n\n{_SETTING}"
    ),
    solve=_exception,
    hints=("Is the guest protected? Who owns the page, and in which state is it?",),
    choices=_RAISED,
)

# What does the host read?

_READ = {
    "plaintext": ("plain text", "the plaintext"),
    "ciphertext": ("cipher text", "encrypted"),
    "zeros": ("zero", "0", "nothing but zeros"),
}


def _draw_read(draw: Draw) -> dict[str, Any]:
    numbers = _draw_story(draw, ("no", "waits", "done"))
    used = sorted(page for page, fate in numbers["fates"].items() if fate != "untouched")
    return {**numbers, "next": "", "asked": draw.choose("asked", used)}


def _host_reads(numbers: Numbers) -> Solved:
    page = numbers["asked"]
    access = _played(numbers).read(page)
    answer = access.saw.partition(" ")[0]
    return Solved(
        answer,
        (*_path(numbers), f"The model says: {access}"),
        (
            Slip(
                "plaintext",
                "Only what the guest has shared can be read as it is. Was that page shared, and is it still?",
            ),
            Slip("ciphertext", "Who has encrypted it? A page that was shared, destroyed or never used has not been."),
            Slip("zeros", "Zeros are in a page that was destroyed, or that no guest has used. Is that so here?"),
        ),
        _code(numbers, f"m.read({page})"),
    )


HOST_READS = Family(
    name="host-reads",
    title="what the host reads",
    lesson="reviewers/who-can-reach-the-pages.ipynb",
    draw=_draw_read,
    state=lambda numbers: (
        f"{_story(numbers)}\n\nNow another process of the host reads page {numbers['asked']}; the kernel helps it "
        f"where it can. What does it see?\n\n{_SETTING}"
    ),
    solve=_host_reads,
    hints=("What was in the page, and what does the kernel have the Ultravisor do before another process reads it?",),
    choices=_READ,
)

FAMILIES: tuple[Family, ...] = (WHO_OWNS, WHICH_EXCEPTION, HOST_READS)
