"""How nbgrader makes the students' version of an assignment from the one with solutions, and grades what comes back.

cd notebooks/exercises
nbgrader generate_assignment write-the-patch
nbgrader autograde write-the-patch
"""

config = get_config()  # noqa: F821 (nbgrader's loader defines it)

config.CourseDirectory.course_id = "lazydestroy"

# Valid as a statement of its own and as the body of a function: an untouched notebook runs to its end, and each check
# says what is missing.
config.ClearSolutions.code_stub = {"python": "pass  # YOUR CODE HERE"}
config.ClearSolutions.text_stub = "YOUR ANSWER HERE"

# The searches take their time on a small machine.
config.ExecutePreprocessor.timeout = 600
