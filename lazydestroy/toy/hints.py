"""Where to look when a toy differs from the model: one sentence for each kind of mistake."""

from __future__ import annotations

from collections.abc import Iterator

from .guard import Endless, Stopped
from .hosts import ENDLESS, KILLED, NOT_STARTED, STOPPED
from .played import Outcome, owned
from .trying import Difference


def what_differs(difference: Difference) -> str:
    """The difference itself, in a sentence: what the toy says, or which page it is about."""
    toy, model = difference.toy, difference.model
    if isinstance(toy, Stopped):
        return f"there your code {toy}."
    if toy.said != model.said:
        return _answers(difference.operation.verb, toy.said, model.said)
    for page, (mine, theirs) in enumerate(zip(toy.pages, model.pages, strict=True)):
        if mine != theirs:
            return f"then page {page} {owned(mine)} in your toy; in the model it {owned(theirs)}."
    return f"then self.guests is {_list(toy.guests)} in your toy; in the model it is {_list(model.guests)}."


def _answers(verb: str, toy: str, model: str) -> str:
    if verb == "clean_up":
        return f"there your thread {toy}; the model's {model}."
    if verb in ("touch", "late", "read", "protect") and not model.startswith(("0x", "no ")):
        return f"in your toy this {toy}; in the model it {model}."
    return f"there your toy says {toy}; the model says {model}."


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "empty"


def hint(method: str, difference: Difference) -> str:
    """Where to look."""
    toy = difference.toy
    if isinstance(toy, Stopped):
        return _hint_stopped(toy)
    hints = {
        "import_page": _import_page,
        "export_page": _export_page,
        "destroy_page": _destroy_page,
        "share_page": _share_page,
        "touch": _touch,
        "on_3d": _on_3d,
        "on_3e": _on_3e,
        "on_3f": _on_3f,
        "clean_up": _clean_up,
    }[method]
    return next(hints(difference, toy), _ELSE)


_ELSE = "Go through these operations by hand: what is in self.owner, self.shared and self.running after each?"


def _hint_stopped(stopped: Stopped) -> str:
    if stopped.error is Endless:
        return "No method here needs more than a short loop over a few pages. What would end yours?"
    if stopped.error is KeyError:
        return "A page that no guest owns is not in the dict: self.owner.get(page) gives None for it, and no error."
    if stopped.error is AttributeError:
        return "Attributes are self.owner, self.shared, self.running; in the host self.uv and self.guests."
    return "Look at that line: what does each name in it hold at that moment?"


def _owner_before(difference: Difference) -> str:
    """Owner of the page before; empty for nobody."""
    page = difference.operation.page
    return difference.before[page].partition(",")[0] if difference.before and page >= 0 else ""


def _shared_before(difference: Difference) -> bool:
    page = difference.operation.page
    return bool(difference.before) and page >= 0 and "shared" in difference.before[page]


def _no_answer(toy: Outcome) -> Iterator[str]:
    if toy.said == "None":
        yield "Your method returns nothing: return True if it is done, False if it is refused."
    elif toy.said not in ("done", "refused"):
        yield f"Return True or False; yours returned {toy.said}."


def _other_page(difference: Difference, toy: Outcome) -> Iterator[str]:
    """A page that the operation is not about has changed hands."""
    about = difference.operation.page
    for page, (mine, theirs) in enumerate(zip(toy.pages, difference.model.pages, strict=True)):
        if mine != theirs and page != about:
            yield f"Only page {about} is meant, and page {page} changes as well."


def _forgotten_share(difference: Difference, toy: Outcome) -> Iterator[str]:
    """A page counts as shared that was shared by an owner it no longer has."""
    page = difference.operation.page
    if toy.said == "done" and "shared" in toy.pages[page] and "shared" not in difference.model.pages[page]:
        yield f"Page {page} was shared once and has lost its owner since. Who takes it out of self.shared then?"


def _import_page(difference: Difference, toy: Outcome) -> Iterator[str]:
    page, owner, guest = difference.operation.page, _owner_before(difference), difference.operation.guest
    yield from _no_answer(toy)
    yield from _other_page(difference, toy)
    if toy.said == "done" and difference.model.said == "refused":
        if _shared_before(difference):
            yield f"{owner} has opened page {page} to the host, but still owns it: {guest} cannot have it."
        yield f"{owner} owns page {page}. Look at self.owner before you give the page to {guest}."
    if toy.said == "refused" and difference.model.said == "done":
        if owner:
            yield f"{guest} owns page {page} already. Importing it again changes nothing, and is no error."
        yield f"No guest owns page {page}, so nothing speaks against the import."
    if toy.said == "refused":
        yield "You refuse, and yet the page changes hands: look first, write afterwards."
    if "shared" in difference.model.pages[page]:
        yield f"Page {page} is {guest}'s already, and shared: importing it again changes nothing."
    yield from _forgotten_share(difference, toy)
    yield "You return True, but self.owner does not say so: the entry for the page must be the guest."


def _export_page(difference: Difference, toy: Outcome) -> Iterator[str]:
    page, owner = difference.operation.page, _owner_before(difference)
    yield from _no_answer(toy)
    yield from _other_page(difference, toy)
    if toy.said == "refused":
        if owner:
            yield f"{owner} need not agree: the host may export any page, at any time, and gets it encrypted."
        yield f"No guest owns page {page}: then an export does nothing, and that is no error."
    if difference.operation.verb == "export_page":
        yield f"An export lets go of page {page}: take it out of self.owner."
    yield from _forgotten_share(difference, toy)


def _destroy_page(difference: Difference, toy: Outcome) -> Iterator[str]:
    page, owner = difference.operation.page, _owner_before(difference)
    yield from _no_answer(toy)
    yield from _other_page(difference, toy)
    if toy.said == "done" and difference.model.said == "refused":
        yield f"{owner} is in self.running, so its pages cannot be destroyed: that is rule 1."
    if toy.said == "refused" and difference.model.said == "done":
        if owner:
            yield f"{owner} has lost its CPUs. Rule 1 protects the pages of guests that have some."
        yield f"No guest owns page {page}: then there is nothing to destroy, and that is no error."
    if toy.said == "refused":
        yield "You refuse, and yet the page changes hands: look first, write afterwards."
    if difference.operation.verb == "destroy_page":
        yield f"A destroyed page {page} belongs to no guest: take it out of self.owner."
    yield from _forgotten_share(difference, toy)


def _share_page(difference: Difference, toy: Outcome) -> Iterator[str]:
    page, owner, guest = difference.operation.page, _owner_before(difference), difference.operation.guest
    if difference.operation.verb == "share_page":
        yield from _no_answer(toy)
        yield from _other_page(difference, toy)
        if toy.said == "done" and difference.model.said == "refused":
            if owner:
                yield f"Only the owner can share a page, and page {page} belongs to {owner}."
            yield f"No guest owns page {page}: {guest} has not imported it, or has lost it."
        if toy.said == "refused" and difference.model.said == "done":
            if _shared_before(difference):
                yield "Sharing a page twice is no error."
            yield f"{guest} owns page {page}, so it may share it."
        if toy.said == "refused":
            yield "You refuse, and yet the page is shared: look first, write afterwards."
        if not toy.pages[page]:
            yield f"Sharing does not change the owner: page {page} still belongs to {guest}."
        yield "You return True, but the page is not in self.shared: add it."
    yield from _forgotten_share(difference, toy)


def _touch(difference: Difference, toy: Outcome) -> Iterator[str]:
    page, owner, guest = difference.operation.page, _owner_before(difference), difference.operation.guest
    shared, raised = _shared_before(difference), difference.model.said
    if difference.operation.verb != "touch" or toy.said == raised:
        yield "The hardware only looks: touch changes neither self.owner nor self.shared."
    if toy.said in ("True", "False") or not toy.said.startswith(("0x", "no ")):
        yield "Return a number, 0x3D, 0x3E or 0x3F, or None if the access gets through."
    yield {
        "0x3D": f"{owner} owns page {page} and has not shared it, whether {owner} runs or not: that is 0x3D.",
        "0x3F": f"Page {page} belongs to {owner}, which has not shared it, and {guest} touches it: that is 0x3F.",
        "0x3E": f"To {guest} a page that {owner} has shared looks like ordinary memory: not secure, that is 0x3E."
        if shared
        else f"No guest owns page {page}, so it is not secure; for a protected guest that is 0x3E.",
        "no exception": f"{guest} owns page {page}: its own pages, shared or not, it may touch."
        if guest
        else f"{owner} has shared page {page}: the host may look."
        if shared
        else f"No guest owns page {page}: it is ordinary memory, and the host may touch it.",
    }[raised]


def _returned_nothing(difference: Difference, toy: Outcome, method: str, call: str) -> Iterator[str]:
    """A handler gives up although all that it asked for was done."""
    last = toy.calls[-1] if toy.calls else ""
    if toy.said in (KILLED, STOPPED, NOT_STARTED) and last == call:
        yield f"All that {method} asked for was done. Does it return True, so that the access is tried again?"


def _on_3f(difference: Difference, toy: Outcome) -> Iterator[str]:
    page = difference.operation.page
    late = difference.operation.verb == "late"
    if late and toy.said == KILLED and toy.calls[-1] == "destroy refused":
        yield (
            f"The other vCPU was faster: page {page} is the running guest's own by now, and rule 1 refuses to destroy "
            "it. Is there any reason to give up?"
        )
    if toy.said == ENDLESS:
        yield f"You say: try again. But page {page} is still another guest's, so the same exception comes again."
    if toy.said == KILLED and toy.calls[-1] == "import refused":
        yield f"Page {page} still belongs to the old guest, so it cannot be imported: clear it first."
    yield from _returned_nothing(difference, toy, "on_3f", "destroy")
    yield from _returned_nothing(difference, toy, "on_3f", "export")
    yield "on_3f gives up, as the kernel did before patch 3. The old guest will not need the page: have it destroyed."


def _on_3d(difference: Difference, toy: Outcome) -> Iterator[str]:
    page = max(difference.operation.page, 0)
    if toy.said == ENDLESS:
        yield f"You say: try again. But page {page} still belongs to a guest, so 0x3D comes again."
    yield from _returned_nothing(difference, toy, "on_3d", "export")
    yield from _returned_nothing(difference, toy, "on_3d", "destroy")
    loader = "A loader writes its image to page 0, still an old guest's. " if difference.operation.page < 0 else ""
    yield f"{loader}on_3d gives up, as the kernel did before patch 4. Which call makes an ordinary page of it?"


def _on_3e(difference: Difference, toy: Outcome) -> Iterator[str]:
    page, owner = max(difference.operation.page, 0), _owner_before(difference)
    if toy.calls and toy.calls[-1] == "import refused" and _shared_before(difference):
        yield (
            f"{owner} had shared page {page}, so there was no 0x3F, and nothing has cleared the page. Patch 7 exports "
            "it before the import."
        )
    if "import" in toy.calls and "export" in toy.calls[toy.calls.index("import") :]:
        yield "The export comes after the import, and takes from the guest what it has just got."
    yield from _returned_nothing(difference, toy, "on_3e", "import")
    yield f"Page {page} has not been imported. 0x3E says: this page is not secure yet; have it imported for the guest."


def _clean_up(difference: Difference, toy: Outcome) -> Iterator[str]:
    if difference.operation.verb != "clean_up":
        return
    model = difference.model
    if toy.said == "has no thread":
        yield "There is no clean_up: write it as a method with a yield in it."
    if toy.said == "has ended" and model.said == "goes on":
        yield "Your thread ends too early: it does one page, then comes a yield, and so on to the last page."
    if toy.said == "goes on" and model.said == "has ended":
        yield "There is one yield for each page, and none afterwards: then the thread ends."
    yield from _clean_up_pages(difference, toy)
    if toy.guests != model.guests:
        yield "The old guest exists until its last page is clean: take it out of self.guests then, and no other."


def _clean_up_pages(difference: Difference, toy: Outcome) -> Iterator[str]:
    for page, (mine, theirs) in enumerate(zip(toy.pages, difference.model.pages, strict=True)):
        if mine == theirs:
            continue
        if theirs and "export" in toy.calls:
            yield f"You have taken page {page} from {theirs}. A destroy takes only from the old guest, by rule 1."
        yield f"Page {page} should be clean by now: one page for each turn, from page 0 on."


__all__ = ["hint", "what_differs"]
