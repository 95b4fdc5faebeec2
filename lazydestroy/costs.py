"""What each step costs, and where each figure comes from.

Every figure is a default that can be changed. None was measured on the machine that this package is about: there is
no public measurement of a single Ultravisor call. `Costs.sources` says of each one what it rests on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from .units import bad_value, duration, exact_duration, format_duration
from .units import factor as read_factor

__all__ = ["COST_MAX", "PRESET_SOURCES", "Costs", "Source"]

COST_MAX = 10**9
"""Largest cost of a step, in nanoseconds: a second."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a figure comes from.

    Attributes
    ----------
    text : str
        What it rests on, in a sentence.
    assumed : bool
        No public source gives the figure itself.
    reference : str
        Message-Id or other name to look it up by; empty if there is none.
    """

    text: str
    assumed: bool = True
    reference: str = ""


_FRANK = "20200903131435.2535-2-frankja@linux.ibm.com"
_TDX = "Intel TDX, KVM_TDX_TERMINATE_VM, June 2025"

_MAGNITUDE = (
    "The order of magnitude is assumed. The one published table for the same problem, on another architecture, comes "
    "to 4.5 to 5 µs for each 4 KiB page in the fast case and 15 to 50 µs in the slow one."
)
_RATIO = Source(
    "Destroying is about twice as fast as exporting: that ratio is from the commit message of the patch that "
    f"introduced the call (Janosch Frank, 3 Sep 2020). {_MAGNITUDE}",
    reference=_FRANK,
)
_LIKE_DESTROY = Source("Assumed: as long as a destroy, since a first import clears the page as a destroy does.")
_LIKE_EXPORT = Source("Assumed: as long as an export, since decrypting and verifying undo it.")
_LOOK = Source("Assumed: a call that looks at a page and leaves it as it is takes a fraction of one that changes it.")
_CONFIGURATION = Source("Assumed: the part that does not depend on the guest's size.")
_CONFIGURATION_SIZE = Source("Assumed: variable storage is donated in proportion to the guest's size.")
_CPU = Source("Assumed: a tenth of a configuration, since less storage is donated.")
_KERNEL = Source("Assumed: the order of magnitude of this step in a kernel on current machines.")
_MODEL = Source("Assumed by this model: a step that it tells apart from the others, priced like freeing a page.")
_TOUCH = Source("Assumed by this model: a guest that does little else than use its memory, a page at a time.")
_RETRY = Source("Assumed by this model: how long until the kernel tries again after -EBUSY.")


def _cost(default: str, source: Source) -> Any:
    """A field that says where its default comes from. To a type checker it is whatever its annotation says."""
    return field(default=duration(default, "default"), metadata={"source": source})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Costs:
    """How long each step takes, in whole nanoseconds of virtual time.

    Each argument is an int of nanoseconds or text such as ``"1.5 us"``, from 0 to 1 s. A value out of that raises
    ValueError.

    Attributes
    ----------
    destroy : int
        Destroy a secure page (DESTR_SEC_STOR).
    export : int
        Export a secure page: encrypt, measure (CONV_FROM_SEC_STOR).
    import_clear : int
        Import a page for the first time: clear it (CONV_TO_SEC_STOR).
    import_decrypt : int
        Import a page that was exported: decrypt, verify (CONV_TO_SEC_STOR, UNPACK_IMG).
    noop : int
        A call that succeeds and changes nothing, or whose own work is not modelled.
    refused : int
        A call that is refused.
    config : int
        Create or destroy a secure configuration, whatever its size.
    config_per_gib : int
        The same, in addition for each GiB of the guest.
    cpu : int
        Create or destroy a secure CPU.
    walk : int
        Look at one page table entry, present or not.
    unmap : int
        Take one page out of the page tables.
    set_aside : int
        Put one page on the list of those to clean later.
    free : int
        Give one page back to the host's allocator.
    exception : int
        Enter and leave the kernel for a program interruption.
    fault : int
        Handle a page fault that maps a new page.
    touch : int
        The guest's own access to one page.
    retry : int
        Wait before an import that met -EBUSY is tried again. Above 0: a retry that takes no time never ends.
    """

    destroy: int = _cost("1.5 us", _RATIO)
    export: int = _cost("3 us", _RATIO)
    import_clear: int = _cost("1.5 us", _LIKE_DESTROY)
    import_decrypt: int = _cost("3 us", _LIKE_EXPORT)
    noop: int = _cost("0.5 us", _LOOK)
    refused: int = _cost("0.5 us", _LOOK)
    config: int = _cost("1 ms", _CONFIGURATION)
    config_per_gib: int = _cost("10 us", _CONFIGURATION_SIZE)
    cpu: int = _cost("100 us", _CPU)
    walk: int = _cost("20 ns", _KERNEL)
    unmap: int = _cost("50 ns", _MODEL)
    set_aside: int = _cost("50 ns", _MODEL)
    free: int = _cost("50 ns", _KERNEL)
    exception: int = _cost("1 us", _KERNEL)
    fault: int = _cost("1 us", _KERNEL)
    touch: int = _cost("0.5 us", _TOUCH)
    retry: int = _cost("10 us", _RETRY)

    presets: ClassVar[Mapping[str, Costs]]
    """Costs by name, to choose from. `PRESET_SOURCES` says what each rests on."""

    if TYPE_CHECKING:  # What the arguments may be. At run time the dataclass writes this from the fields.

        def __init__(
            self,
            *,
            destroy: int | str = ...,
            export: int | str = ...,
            import_clear: int | str = ...,
            import_decrypt: int | str = ...,
            noop: int | str = ...,
            refused: int | str = ...,
            config: int | str = ...,
            config_per_gib: int | str = ...,
            cpu: int | str = ...,
            walk: int | str = ...,
            unmap: int | str = ...,
            set_aside: int | str = ...,
            free: int | str = ...,
            exception: int | str = ...,
            fault: int | str = ...,
            touch: int | str = ...,
            retry: int | str = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        for name, time in self._times().items():
            checked = duration(time, name, zero=name != "retry", maximum=COST_MAX)
            object.__setattr__(self, name, checked)  # the only time that a field is written

    def scaled(self, factor: object) -> Costs:
        """The same steps on a machine that is slower or faster, all of them alike.

        Parameters
        ----------
        factor : int, float, Decimal, Fraction or str
            Above 0; 2 makes every step take twice as long. A float counts as the decimal number that it prints as.

        Returns
        -------
        Costs
            Each cost times the factor, rounded to a whole nanosecond, halves to the even one: half of 25 ns is
            12 ns. Small costs scaled down lose their proportions, so scaling twice may differ by nanoseconds from
            scaling once by the product.

        Raises
        ------
        ValueError
            If the factor is not a number above 0, or takes a cost above 1 s or `retry` down to 0.
        """
        exact = read_factor(factor)
        try:
            return replace(self, **{name: round(time * exact) for name, time in self._times().items()})
        except ValueError as error:
            complaint = f"is too {'large' if exact > 1 else 'small'}"
            accepted = "a number above 0 that leaves every cost at most 1 s, and retry at least 1 ns"
            raise bad_value("factor", factor, complaint, accepted) from error

    def replace(self, **changes: int | str) -> Costs:
        """The same costs but for those given."""
        return replace(self, **changes)  # type: ignore[arg-type]  # text is read by __post_init__

    @property
    def sources(self) -> Mapping[str, Source]:
        """Where each figure comes from, by field. A figure that is not the default says so."""
        return {each.name: self._source(each) for each in fields(self)}

    def _source(self, cost: Field[int]) -> Source:
        default: int = cost.default  # type: ignore[assignment]  # every field has one
        if getattr(self, cost.name) != default:
            return Source(f"Not the default, which is {format_duration(default)}.")
        source: Source = cost.metadata["source"]
        return source

    def _times(self) -> dict[str, int]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def __repr__(self) -> str:
        """Python that makes an equal object, after ``import lazydestroy as ld``. Defaults are left out."""
        changed = {each.name for each in fields(self) if getattr(self, each.name) != each.default}
        arguments = [f"{name}={exact_duration(time)!r}" for name, time in self._times().items() if name in changed]
        return f"ld.Costs({', '.join(arguments)})"

    def _repr_html_(self) -> str:
        rows = "".join(_row(name, time, self.sources[name]) for name, time in self._times().items())
        return f"<table><tr><th>step</th><th>takes</th><th>where the figure comes from</th></tr>{rows}</table>"


def _row(name: str, time: int, source: Source) -> str:
    reference = f" <code>{escape(source.reference)}</code>" if source.reference else ""
    return (
        f"<tr><td><code>{name}</code></td><td>{format_duration(time)}</td>"
        f'<td style="text-align: left">{escape(source.text)}{reference}</td></tr>'
    )


PRESET_SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "default": Source("The defaults. `Costs.sources` says where each comes from."),
        "tdx-like": Source(
            "Page calls 10/3 as long as by default, so that a destroy takes 5 µs: what the published table for another "
            "architecture comes to for each 4 KiB page in its fast case. Their proportions, and all else, are the "
            "defaults.",
            reference=_TDX,
        ),
    }
)
"""What each of `Costs.presets` rests on."""

Costs.presets = MappingProxyType(
    {
        "default": Costs(),
        "tdx-like": Costs(destroy="5 us", export="10 us", import_clear="5 us", import_decrypt="10 us"),
    }
)
