"""Wrong toys: each has one mistake in one method, as readers make them, and a word of the hint that it must get."""

from __future__ import annotations


class Books:
    def __init__(self):
        self.owner, self.shared, self.running = {}, set(), set()


class Handlers:
    def __init__(self, uv):
        self.uv, self.guests = uv, []


WRONG = []
"""Class, method, words of the hint."""


def wrong(method, hint):
    def note(layer):
        WRONG.append((layer, method, hint))
        return layer

    return note


@wrong("import_page", "Look at self.owner before you give the page")
class ImportsAlways(Books):
    def import_page(self, guest, page):
        self.owner[page] = guest
        return True


@wrong("import_page", "Importing it again changes nothing, and is no error")
class ImportsOnce(Books):
    def import_page(self, guest, page):
        if page in self.owner:
            return False
        self.owner[page] = guest
        return True


@wrong("import_page", "nothing speaks against the import")
class ImportsOnlyItsOwn(Books):
    def import_page(self, guest, page):
        return self.owner.get(page) == guest


@wrong("import_page", "look first, write afterwards")
class ImportsThenLooks(Books):
    def import_page(self, guest, page):
        before = self.owner.get(page, guest)
        self.owner[page] = guest
        return before == guest


@wrong("import_page", "the entry for the page must be the guest")
class ImportsWithoutBooks(Books):
    def import_page(self, guest, page):
        return self.owner.get(page, guest) == guest


@wrong("import_page", "returns nothing")
class ImportsSilently(Books):
    def import_page(self, guest, page):
        if self.owner.get(page, guest) == guest:
            self.owner[page] = guest


@wrong("import_page", "Return True or False")
class ImportsInWords(Books):
    def import_page(self, guest, page):
        if self.owner.get(page, guest) != guest:
            return "refused"
        self.owner[page] = guest
        return "done"


@wrong("import_page", "gives None for it, and no error")
class ImportsByIndex(Books):
    def import_page(self, guest, page):
        if self.owner[page] != guest:
            return False
        self.owner[page] = guest
        return True


@wrong("import_page", "page 0 changes as well")
class ImportsAPair(Books):
    def import_page(self, guest, page):
        if self.owner.get(page, guest) != guest:
            return False
        self.owner[page] = guest
        self.owner.setdefault(0, guest)
        return True


@wrong("import_page", "What would end yours?")
class ImportsForever(Books):
    def import_page(self, guest, page):
        while True:
            pass


@wrong("import_page", "what does each name in it hold")
class ImportsWithATypo(Books):
    def import_page(self, guest, page):
        return self.owner.get(pgae) == guest  # noqa: F821


@wrong("import_page", "Attributes are self.owner")
class ImportsElsewhere(Books):
    def import_page(self, guest, page):
        self.owners[page] = guest
        return True


@wrong("export_page", "take it out of self.owner")
class ExportsNothing(Books):
    def export_page(self, page):
        return True


@wrong("export_page", "need not agree")
class ExportsOnlyWhatHasStopped(Books):
    def export_page(self, page):
        if self.owner.get(page) in self.running:
            return False
        self.owner.pop(page, None)
        return True


@wrong("export_page", "then an export does nothing, and that is no error")
class ExportsOnlyWhatIsOwned(Books):
    def export_page(self, page):
        return self.owner.pop(page, None) is not None


@wrong("export_page", "gives None for it, and no error")
class ExportsByIndex(Books):
    def export_page(self, page):
        del self.owner[page]
        return True


@wrong("export_page", "Only page 2 is meant")
class ExportsAll(Books):
    def export_page(self, page):
        self.owner.clear()
        return True


@wrong("export_page", "returns nothing")
class ExportsSilently(Books):
    def export_page(self, page):
        self.owner.pop(page, None)


@wrong("destroy_page", "that is rule 1")
class DestroysAlways(Books):
    def destroy_page(self, page):
        self.owner.pop(page, None)
        self.shared.discard(page)
        return True


@wrong("destroy_page", "has lost its CPUs")
class DestroysNothing(Books):
    def destroy_page(self, page):
        return page not in self.owner


@wrong("destroy_page", "there is nothing to destroy")
class DestroysOnlyWhatIsOwned(Books):
    def destroy_page(self, page):
        if page not in self.owner or self.owner[page] in self.running:
            return False
        del self.owner[page]
        return True


@wrong("destroy_page", "look first, write afterwards")
class DestroysThenLooks(Books):
    def destroy_page(self, page):
        return self.owner.pop(page, None) not in self.running


@wrong("destroy_page", "A destroyed page")
class DestroysInWords(Books):
    def destroy_page(self, page):
        return self.owner.get(page) not in self.running


@wrong("destroy_page", "gives None for it, and no error")
class DestroysByIndex(Books):
    def destroy_page(self, page):
        if self.owner[page] in self.running:
            return False
        del self.owner[page]
        return True


@wrong("destroy_page", "that is rule 1")
class DestroysIfAnyHasStopped(Books):
    def destroy_page(self, page):
        if len(self.running) == 2 and page in self.owner:
            return False
        self.owner.pop(page, None)
        return True


@wrong("share_page", "Only the owner can share")
class SharesWhateverIsOwned(Books):
    def share_page(self, guest, page):
        if page not in self.owner:
            return False
        self.shared.add(page)
        return True


@wrong("share_page", "has not imported it, or has lost it")
class SharesAlways(Books):
    def share_page(self, guest, page):
        self.shared.add(page)
        return self.owner.get(page, guest) == guest


@wrong("share_page", "so it may share it")
class SharesNever(Books):
    def share_page(self, guest, page):
        return False


@wrong("share_page", "twice is no error")
class SharesOnce(Books):
    def share_page(self, guest, page):
        if self.owner.get(page) != guest or page in self.shared:
            return False
        self.shared.add(page)
        return True


@wrong("share_page", "add it")
class SharesInWords(Books):
    def share_page(self, guest, page):
        return self.owner.get(page) == guest


@wrong("share_page", "Sharing does not change the owner")
class SharesAndForgets(Books):
    def share_page(self, guest, page):
        if self.owner.get(page) != guest:
            return False
        del self.owner[page]
        self.shared.add(page)
        return True


@wrong("touch", "runs or not")
class HidesNothing(Books):
    def touch(self, who, page):
        if who is None:
            return None
        return None if self.owner.get(page) == who else 0x3F if page in self.owner and page not in self.shared else 0x3E


@wrong("touch", "the host may look")
class HidesWhatIsShared(Books):
    def touch(self, who, page):
        owner = self.owner.get(page)
        if who is None:
            return 0x3D if owner else None
        return None if owner == who else 0x3F if owner and page not in self.shared else 0x3E


@wrong("touch", "the host may touch it")
class HidesAll(Books):
    def touch(self, who, page):
        owner = self.owner.get(page)
        if who is None:
            return None if page in self.shared else 0x3D
        return None if owner == who else 0x3F if owner and page not in self.shared else 0x3E


@wrong("touch", "looks like ordinary memory: not secure, that is 0x3E")
class ViolatesWhatIsShared(Books):
    def touch(self, who, page):
        owner = self.owner.get(page)
        if who is None:
            return 0x3D if owner and page not in self.shared else None
        return None if owner == who else 0x3F if owner else 0x3E


@wrong("touch", "touches it: that is 0x3F")
class NeverViolates(Books):
    def touch(self, who, page):
        owner = self.owner.get(page)
        if who is None:
            return 0x3D if owner and page not in self.shared else None
        return None if owner == who else 0x3E


@wrong("touch", "for a protected guest that is 0x3E")
class TrustsOrdinaryMemory(Books):
    def touch(self, who, page):
        owner = self.owner.get(page)
        if who is None:
            return 0x3D if owner and page not in self.shared else None
        if owner in (who, None):
            return None
        return 0x3E if page in self.shared else 0x3F


@wrong("touch", "its own pages, shared or not")
class TrustsNoSharedPage(Books):
    def touch(self, who, page):
        owner = self.owner.get(page)
        if who is None:
            return 0x3D if owner and page not in self.shared else None
        if owner is None or page in self.shared:
            return 0x3E
        return None if owner == who else 0x3F


@wrong("touch", "Return a number")
class TouchesInWords(Books):
    def touch(self, who, page):
        return True


@wrong("touch", "changes neither")
class TouchesAndImports(Books):
    def touch(self, who, page):
        owner = self.owner.get(page)
        if who is None:
            return 0x3D if owner and page not in self.shared else None
        if owner is None:
            self.owner[page] = who
            return 0x3E
        return None if owner == who else 0x3E if page in self.shared else 0x3F


@wrong("on_3f", "have it destroyed")
class GivesUpOn3F(Handlers):
    def on_3f(self, guest, page):
        return False


@wrong("on_3f", "the same exception comes again")
class Patient(Handlers):
    def on_3f(self, guest, page):
        return True


@wrong("on_3f", "The other vCPU was faster")
class DestroysOnly(Handlers):
    def on_3f(self, guest, page):
        return self.uv.destroy_page(page)


@wrong("on_3f", "Does it return True")
class SilentOn3F(Handlers):
    def on_3f(self, guest, page):
        self.uv.destroy_page(page) or self.uv.export_page(page)


@wrong("on_3f", "clear it first")
class ImportsOn3F(Handlers):
    def on_3f(self, guest, page):
        return self.uv.import_page(guest, page)


@wrong("on_3d", "gives up, as the kernel did before patch 4")
class GivesUpOn3D(Handlers):
    def on_3d(self, page):
        return False


@wrong("on_3d", "so 0x3D comes again")
class PatientOn3D(Handlers):
    def on_3d(self, page):
        return True


@wrong("on_3d", "Does it return True")
class SilentOn3D(Handlers):
    def on_3d(self, page):
        self.uv.export_page(page)


@wrong("on_3e", "Patch 7 exports it before the import")
class OldOn3E(Handlers):
    def on_3e(self, guest, page):
        return self.uv.import_page(guest, page)


@wrong("on_3e", "comes after the import")
class ExportsTooLate(Handlers):
    def on_3e(self, guest, page):
        done = self.uv.import_page(guest, page)
        self.uv.export_page(page)
        return done


@wrong("on_3e", "has not been imported")
class ExportsInsteadOf(Handlers):
    def on_3e(self, guest, page):
        return self.uv.export_page(page)


@wrong("on_3e", "Does it return True")
class SilentOn3E(Handlers):
    def on_3e(self, guest, page):
        self.uv.export_page(page)
        self.uv.import_page(guest, page)


@wrong("on_3e", "have it imported for the guest")
class GivesUpOn3E(Handlers):
    def on_3e(self, guest, page):
        return False


@wrong("on_3e", "Attributes are")
class AsksTheWrongOne(Handlers):
    def on_3e(self, guest, page):
        return self.ultravisor.import_page(guest, page)


@wrong("clean_up", "A destroy takes only from the old guest")
class ThreadExports(Handlers):
    def clean_up(self, old, pages):
        for page in pages:
            self.uv.export_page(page)
            yield
        self.guests.remove(old)


@wrong("clean_up", "one page for each turn")
class ThreadDoesNothing(Handlers):
    def clean_up(self, old, pages):
        for _ in pages:
            yield
        self.guests.remove(old)


@wrong("clean_up", "take it out of self.guests then")
class ThreadForgetsTheGuest(Handlers):
    def clean_up(self, old, pages):
        for page in pages:
            self.uv.destroy_page(page)
            yield


@wrong("clean_up", "take it out of self.guests then")
class ThreadEndsTheGuestFirst(Handlers):
    def clean_up(self, old, pages):
        self.guests.remove(old)
        for page in pages:
            self.uv.destroy_page(page)
            yield


@wrong("clean_up", "ends too early")
class ThreadInOneGo(Handlers):
    def clean_up(self, old, pages):
        for page in pages:
            self.uv.destroy_page(page)
        self.guests.remove(old)
        return
        yield


@wrong("clean_up", "There is one yield for each page")
class ThreadYieldsAtTheEnd(Handlers):
    def clean_up(self, old, pages):
        for page in pages:
            self.uv.destroy_page(page)
            yield
        self.guests.remove(old)
        yield
