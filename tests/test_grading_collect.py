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


@pytest.mark.parametrize("assignment", ["..", ".", "", "/", "week-1/", "week-1/../week-1"])
def test_an_assignment_is_a_name_and_leads_nowhere_else(tmp_path, course, assignment):
    with pytest.raises(ValueError, match="assignment="):
        collect(moodle(tmp_path, f"{ADA}/x.ipynb"), course, assignment)


def flipped(of, local, central, bits):
    """Change two bytes of the only file in a zip, in both places where a zip has them."""
    raw = bytearray(of.read_bytes())
    for sign, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        at = raw.index(sign) + offset
        raw[at : at + len(bits)] = bits
    of.write_bytes(raw)
    return of


@pytest.mark.parametrize(
    ("local", "central", "bits", "why"),
    [
        (6, 8, b"\x01", "it is encrypted"),
        (8, 10, b"\x61", "not supported"),
        (14, 16, b"\0\0\0\0", "Bad CRC-32"),
        (22, 24, b"\xff\xff\xff\x7f", "2.000 GiB, which no notebook has"),
    ],
)
def test_what_a_zip_does_not_give_is_told_by_name(tmp_path, course, capsys, local, central, bits, why):
    of = flipped(moodle(tmp_path, f"{ADA}/x.ipynb"), local, central, bits)
    assert main([str(of), str(course), "week-1"]) == 2
    said = capsys.readouterr().err
    assert f"{ADA}/x.ipynb cannot be unpacked" in said and why in said


def test_a_day_that_there_is_not_and_the_ways_of_windows_are_taken(tmp_path, course):
    of = flipped(moodle(tmp_path, f"{ADA}\\X.IPYNB"), 10, 12, b"\0\0\0\0")
    assert collect(of, course, "week-1") == {"ada-lovelace": ["X.IPYNB"]}


def test_no_file_of_a_student_takes_the_place_of_another(tmp_path, course):
    of = moodle(tmp_path, *(f"{ADA}/{folder}x.ipynb" for folder in ("", "a/", "b/")))
    assert collect(of, course, "week-1") == {"ada-lovelace": ["x.ipynb", "x (1).ipynb", "x (2).ipynb"]}
    assert len(submitted(course)) == 3


def test_of_a_folder_only_files_are_taken(tmp_path, course):
    (tmp_path / "all" / ADA / "x.ipynb").mkdir(parents=True)
    (tmp_path / "all" / ADA / "y.ipynb").symlink_to("nowhere")
    assert collect(tmp_path / "all", course, "week-1") == {}


@pytest.mark.parametrize("line", [b"Ada;s1", b"Ada,", b"Ada", b"Ada,\xe4", b"Ada,a/b", b"Ada,..", b"Ada,a\x00b"])
def test_a_list_of_ids_that_has_none_is_refused(tmp_path, course, capsys, line):
    (tmp_path / "ids.csv").write_bytes(line + b"\n")
    of = moodle(tmp_path, "Ada_1_file_/x.ipynb")
    assert main([str(of), str(course), "week-1", "--ids", str(tmp_path / "ids.csv")]) == 2
    assert "id" in capsys.readouterr().err and not (course / "submitted").exists()


@pytest.mark.parametrize("kept", ["{", "[]", '{"week-1": 5}', '{"week-1": [1]}', "\x00"])
def test_what_was_kept_and_is_damaged_is_told(tmp_path, course, kept):
    (course / "collected.json").write_text(kept)
    with pytest.raises(ValueError, match=r"course=.*collected\.json is damaged; remove it"):
        collect(moodle(tmp_path, f"{ADA}/x.ipynb"), course, "week-1")
