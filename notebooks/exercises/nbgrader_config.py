"""How nbgrader makes the students' version of an assignment from the one with solutions, and grades what comes back.

Run nbgrader in the folder where this file is, one that `make course` made: nbgrader generate_assignment week-1. To
grade, run make grade COURSE=... in the repository.
"""

import os

from nbgrader.converters import Autograde
from nbgrader.preprocessors import Execute

from lazydestroy.grading.for_nbgrader import JudgeAnswers

config = get_config()  # noqa: F821 (nbgrader's loader defines it)

config.CourseDirectory.course_id = "lazydestroy"

# Valid as a statement of its own and as the body of a function: an untouched notebook runs to its end, and each check
# says what is missing.
config.ClearSolutions.code_stub = {"python": "pass  # YOUR CODE HERE"}
config.ClearSolutions.text_stub = "YOUR ANSWER HERE"

# What students have solved is not the teacher's own progress.
os.environ["LAZYDESTROY_PROGRESS"] = "off"

# No cell that a student has written is run to grade it: the text of each answer is judged in an interpreter of its own.
config.Autograde.autograde_preprocessors = [
    JudgeAnswers if step is Execute else step for step in Autograde.autograde_preprocessors.default()
]

# Points for each problem, not only for each assignment.
config.ExportApp.plugin_class = "lazydestroy.grading.for_nbgrader.PointsPerProblem"

# Where a notebook is run all the same, because it has tests that a teacher has written.
config.ExecutePreprocessor.timeout = 120
