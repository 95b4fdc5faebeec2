"""Grade what students hand in: what counts is the text of their answers, judged in a fresh interpreter.

`handed_in` reads a notebook, and `judge` has each answer judged: `isolation` starts an interpreter with limits,
`inside` is what runs there, `allowed` says what an answer may use, `calculating` runs cells for a number. `reports`
puts the marks of one notebook together, `for_nbgrader` takes nbgrader's place where it would run a student's code, and
`course` grades a whole course. `collect` and `moodle` carry work from a learning-management system and points back.
Nothing else in this package needs them.
"""

from __future__ import annotations

import os
from pathlib import Path


def points(problem: str, of: float) -> float:
    """The points for the answer to a problem in the notebook that this is called from; also prints why.

    For graders that run a notebook cell by cell: this stands in the hidden tests. The notebook is looked for in the
    folder where it runs, and the answer's text is judged in an interpreter of its own, so what the cells before have
    changed in this one is of no effect there. But it can change what is made of the number here: where nbgrader grades,
    let `lazydestroy.grading.for_nbgrader` judge instead, which runs no cell of a student at all.

    Parameters
    ----------
    problem : str
        Name of the exercise.
    of : float
        How many points it is worth.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If no notebook in this folder answers it.
    """
    from ..exercises.feedback import worth_of
    from ..units import expect, shown
    from .handed_in import read
    from .judge import judge

    expect(str, problem, "problem", "the name of an exercise, such as 'flat-floor'")
    worth = float(worth_of(of))
    folder = Path.cwd()
    for file in sorted(folder.glob("*.ipynb")):
        handed_in = read(file)
        if problem in handed_in.problems:
            grading = os.environ.get("NBGRADER_EXECUTION") == "autograde"
            mark = judge(handed_in, [problem], folder.parent.name if grading else handed_in.student)[problem]
            print(mark.said)
            return round(worth * mark.share, 2)
    raise ValueError(f"problem={shown(problem)}: no notebook in {folder} has a cell {problem}-answer")


__all__ = ["points"]
