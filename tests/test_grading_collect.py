"""What a learning-management system hands out is put where a course looks for it."""

import zipfile

import pytest

from lazydestroy.grading.collect import collect, main

ADA = "Ada Lovelace_123_assignsubmission_file_"


@pytest.fixture
def course(tmp_path):
    (tmp_path / "course/source/week-1").mkdir(parents=True)
    return tmp_path / "course"


def moodle(folder, *names):
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name, (2026, 10, 12, 9, 30, 0)), name)
    return folder / "all.zip"


def submitted(course):
    return {path.relative_to(course / "submitted").as_posix() for path in (course / "submitted").rglob("*.ipynb")}


@pytest.mark.parametrize("unpacked", [False, True])
def test_moodles_zip_is_taken_as_it_is_or_unpacked(tmp_path, course, capsys, unpacked):
    of = moodle(tmp_path, f"{ADA}/patch-3.ipynb", f"{ADA}/cv.pdf", "Bob_7_assignsubmission_file_/patch-4 (1).ipynb")
    if unpacked:
        zipfile.ZipFile(of).extractall(tmp_path / "all")
        of = tmp_path / "all"
    (tmp_path / "ids.csv").write_text("Bob,s4711\n", encoding="utf-8")
    assert main([str(of), str(course), "week-1", "--ids", str(tmp_path / "ids.csv")]) == 0
    assert submitted(course) == {"ada-lovelace/week-1/patch-3.ipynb", "s4711/week-1/patch-4 (1).ipynb"}
    assert "ada-lovelace         patch-3.ipynb" in capsys.readouterr().out


def test_when_a_file_was_changed_is_kept(tmp_path, course):
    collect(moodle(tmp_path, f"{ADA}/patch-3.ipynb"), course, "week-1")
    (file,) = course.rglob("patch-3.ipynb")
    assert file.stat().st_mtime < 1_800_000_000


@pytest.mark.parametrize("name", ["../up/patch-3.ipynb", "/patch-3.ipynb", "a/../../patch-3.ipynb"])
def test_a_zip_cannot_write_elsewhere(tmp_path, course, name):
    collect(moodle(tmp_path, name), course, "week-1")
    assert not list(tmp_path.rglob("*.ipynb"))


def test_what_cannot_be_collected_is_refused_with_what_to_do(tmp_path, course):
    with pytest.raises(ValueError, match=r"assignment='week-9': .*course has week-1"):
        collect(moodle(tmp_path, f"{ADA}/x.ipynb"), course, "week-9")
    with pytest.raises(ValueError, match="neither a folder nor a zip"):
        collect(tmp_path / "none.zip", course, "week-1")
    with pytest.raises(ValueError, match="would both be ada-lovelace; give a list with --ids"):
        collect(moodle(tmp_path, f"{ADA}/x.ipynb", "ADA Lovelace_4_file_/x.ipynb"), course, "week-1")
    with pytest.raises(ValueError, match="no student's id can be made of it"):
        collect(moodle(tmp_path, "_5_file_/x.ipynb"), course, "week-1")
