"""Tools for those who write lessons: `python -m tools.lessons`, `python -m tools.hover`. They need only Python."""
