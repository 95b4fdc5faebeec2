"""Whose problems these are: the seed from which a student's numbers are drawn."""

from __future__ import annotations

import os

from ..units import plain, shown

NOBODY = "your student id"
"""What stands in a notebook before a student has put an id there."""

VARIABLE = "JUPYTERHUB_USER"
"""Environment variable in which a JupyterHub says who works there. It is nbgrader's id of the student, too."""


def seed_of(name: str) -> str:
    """Return the seed for an id, however it is typed: blanks around it and capitals do not matter.

    Examples
    --------
    >>> seed_of(" ADA ")
    'ada'
    """
    return name.strip().casefold()


def student(given: str | int = NOBODY) -> str:
    """Return the seed for a student's problems, and say so if it cannot be the one that will be graded.

    On a JupyterHub it is who has logged in, whatever is given. Blanks around an id and capitals do not matter.

    Parameters
    ----------
    given : str or int
        The student's id, as the course has it.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If it is neither text nor a number.

    Examples
    --------
    >>> student("Ada ")
    'ada'
    """
    given = plain(given, "given")
    if not isinstance(given, str | int) or isinstance(given, bool) or (isinstance(given, int) and given >= 10**50):
        raise ValueError(f"given={shown(given)}: use your student id, such as 'ada' or 4711")
    known = os.environ.get(VARIABLE, "").strip()
    name = str(given).strip()
    if known:
        if name != NOBODY and seed_of(name) != seed_of(known):
            print(f"These are the problems of {known}, who has logged in, not of {name}.")
        return seed_of(known)
    if name == NOBODY:
        print("Put your student id in the cell above and run it: as they are, these problems are not graded.")
    return seed_of(name)


__all__ = ["NOBODY", "seed_of", "student"]
