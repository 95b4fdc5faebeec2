"""Execute the notebooks afresh and save them in place, in the form in which they are committed.

    python -m tests.refresh_notebooks                             all of them
    python -m tests.refresh_notebooks notebooks/course/02*.ipynb  these
    python -m tests.refresh_notebooks --measured                  these or all, and what cells have measured

A notebook is committed executed, without what differs from one execution or computer to the next: times of execution,
versions, the state of widgets. Solutions are Python in a Markdown cell: they are executed as well, after the cells, and
what a block ``text`` behind one shows is replaced by what it prints. With all notebooks, the README's pictures are
drawn again. ``tests/test_notebooks.py`` uses the functions.

What a cell with the tag ``measured`` shows is this computer's, and the text beside it tells of those figures. So such a
cell keeps what it showed, unless ``--measured`` asks for new figures: on a quiet computer, please.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from benchmarks.browser import environment

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"

IMAGES = FOLDER / "images"
"""The pictures of the README."""

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}
"""What every notebook says about itself."""

CELL_METADATA = ("tags", "jupyter", "nbgrader", "deletable", "editable")
"""What a cell may keep: its tags, whether it is shown folded, what it is to nbgrader, and whether it may be changed."""

MEASURED = "measured"
"""The tag of a cell that measures the computer on which it runs."""

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_TEXT = "(a widget: run this cell to use it)"

SOLUTION = re.compile(
    r"```python\n(?P<code>.*?)```(?P<between>\s*(?:It prints:\s*)?```text\n(?P<prints>.*?)```)?", re.DOTALL
)

PEAK = """\
from pathlib import Path as _Path
print(*(line.split()[1] for line in _Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")))
"""


@dataclass(frozen=True, slots=True)
class Executed:
    """A notebook after execution.

    Attributes
    ----------
    notebook : nbformat.NotebookNode
        With fresh outputs, in the form in which it is committed.
    solutions : list of str
        What each solution printed.
    peak : int or None
        Most memory that the kernel had at a time, in bytes; None where there is no ``/proc``.
    """

    notebook: Any
    solutions: list[str]
    peak: int | None


def notebooks() -> list[Path]:
    """All notebooks of the course."""
    return sorted(path for path in FOLDER.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)


def solutions(notebook: Any) -> list[re.Match[str]]:
    """The solutions in a notebook's text, in order."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return [found for text in texts for found in SOLUTION.finditer(text)]


def execute(path: Path) -> Executed:
    """Execute a notebook in a kernel of its own, in its own folder, and its solutions after it.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell or a solution fails.
    """
    notebook = nbformat.read(path, as_version=4)
    there = len(notebook.cells)
    extra = [found["code"] for found in solutions(notebook)]
    if Path("/proc/self/status").exists():
        extra.append(PEAK)
    notebook.cells += [nbformat.v4.new_code_cell(code, id=f"extra-{number}") for number, code in enumerate(extra)]
    client = NotebookClient(
        notebook,
        timeout=300,
        startup_timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],
        store_widget_state=False,
    )
    with tempfile.TemporaryDirectory() as settings:
        client.execute(env=environment(settings))
    printed = [_printed(cell) for cell in notebook.cells[there:]]
    del notebook.cells[there:]
    peak = int(printed.pop()) << 10 if extra and extra[-1] is PEAK else None
    return Executed(normalised(notebook), printed, peak)


def _printed(cell: Any) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def normalised(notebook: Any) -> Any:
    """The same notebook, without what differs from one execution or computer to the next."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({key: cell.metadata[key] for key in CELL_METADATA if key in cell.metadata})
        if cell.cell_type == "code":
            cell.outputs = [
                _normalised_output(output) for output in _joined(each for each in cell.outputs if not _dead(each))
            ]
    return notebook


def _joined(outputs: Iterable[Any]) -> list[Any]:
    """The same outputs; what was printed in several pieces is one."""
    found: list[Any] = []
    for output in outputs:
        same = found and output.output_type == found[-1].output_type == "stream" and output.name == found[-1].name
        if same:
            found[-1].text += output.text
        else:
            found.append(output)
    return found


def _dead(output: Any) -> bool:
    """Whether it shows nothing: a bar of work that is done, or a widget whose text is an output of its own."""
    data = output.get("data", {"": "something"})
    return not any(shown for kind, shown in data.items() if kind != WIDGET_VIEW)


def _normalised_output(output: Any) -> Any:
    """Without the numbers under which a widget was shown; a widget without a picture says what it is."""
    data = output.get("data", {})
    if data.pop(WIDGET_VIEW, None) is not None and set(data) <= {"text/plain"}:
        data["text/plain"] = WIDGET_TEXT
        output.metadata = nbformat.from_dict({})
    return output


def with_solutions(notebook: Any, printed: Iterable[str]) -> Any:
    """The same notebook, in which blocks behind solutions show what these have printed."""
    said = iter(printed)

    def show(found: re.Match[str]) -> str:
        now = next(said)
        return (
            found[0] if found["between"] is None else found[0].replace(f"```text\n{found['prints']}", f"```text\n{now}")
        )

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = SOLUTION.sub(show, cell.source)
    return notebook


def with_measurements_of(before: Any, notebook: Any) -> Any:
    """The same notebook, in which cells that measure show what they showed before; not if their code has changed."""
    shown = {cell.id: cell for cell in before.cells if cell.cell_type == "code" and cell.outputs}
    for cell in notebook.cells:
        old = shown.get(cell.id)
        if old is not None and MEASURED in cell.metadata.get("tags", []) and old.source == cell.source:
            cell.outputs = old.outputs
    return notebook


def draw_pictures() -> None:
    """Draw the README's pictures: a reboot before the patches and with them, and the pages in the middle of it."""
    import lazydestroy as ld
    from lazydestroy.plots import plot_map, plot_waiting

    kernels = {"before the patches": ld.series.v1.upto(0), "with the patches": ld.series.v1_fixed}
    runs = [ld.reboot("64 GiB", kernel=kernel, new_guest="normal", touch="none") for kernel in kernels.values()]
    mixed = ld.reboot("64 GiB", kernel=ld.series.v1_fixed, touch="random", film=True)
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / "before-and-after.png").write_bytes(plot_waiting(*runs, names=list(kernels)).png())
    (IMAGES / "page-map.png").write_bytes(plot_map(mixed, "12 s").png())


def main(arguments: list[str]) -> None:
    """Refresh the notebooks that are named, or all."""
    measured = "--measured" in arguments
    arguments = [each for each in arguments if each != "--measured"]
    for path in [Path(argument).resolve() for argument in arguments] or notebooks():
        before = nbformat.read(path, as_version=4)
        done = execute(path)
        fresh = with_solutions(done.notebook, done.solutions)
        nbformat.write(fresh if measured else with_measurements_of(before, fresh), path)
        memory = "" if done.peak is None else f", {done.peak >> 20} MiB at most"
        print(f"{path.relative_to(ROOT)}: {len(done.solutions)} solutions{memory}")
    if not arguments:
        draw_pictures()


if __name__ == "__main__":
    main(sys.argv[1:])
