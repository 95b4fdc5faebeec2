"""How nbgrader makes the students' version of an assignment from the one with solutions, and grades what comes back.

cd notebooks/exercises
nbgrader generate_assignment write-the-patch
nbgrader autograde write-the-patch
"""

import os

config = get_config()  # noqa: F821 (nbgrader's loader defines it)

config.CourseDirectory.course_id = "lazydestroy"

# Valid as a statement of its own and as the body of a function: an untouched notebook runs to its end, and each check
# says what is missing.
config.ClearSolutions.code_stub = {"python": "pass  # YOUR CODE HERE"}
config.ClearSolutions.text_stub = "YOUR ANSWER HERE"

# What students have solved is not the teacher's own progress.
os.environ["LAZYDESTROY_PROGRESS"] = "off"

# The searches take their time on a small machine.
config.ExecutePreprocessor.timeout = 600
