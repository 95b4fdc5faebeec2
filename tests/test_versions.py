"""The sixteen versions as a table: that it is whole, that each fact has a source, and that its code runs."""

import re

import pytest

import lazydestroy as ld

VERSIONS = ld.series.VERSIONS
MAIL = re.compile(r"[\w.-]+@[\w.-]+")
COMMIT = re.compile(r"[0-9a-f]{12}")
FACTS = [(version, fact) for version in VERSIONS for _, facts in version.told for fact in facts]


def test_sixteen_versions_in_order():
    assert [version.name for version in VERSIONS] == [f"v{number}" for number in range(1, 17)]
    assert list(VERSIONS) == sorted(VERSIONS, key=lambda version: version.sent)
    assert [version.patches for version in VERSIONS] == [11, 13, 14, 14, 14, 17, 17, 17, 18, 19, 19, 18, 6, 6, 6, 6]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_version_was_mailed_on_the_day_that_its_message_id_has(version):
    assert f"{version.sent:%Y%m%d}" == version.message_id[:8]
    assert MAIL.fullmatch(version.cover_letter) and version.cover_letter.startswith(f"{version.message_id}-1-")


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_version_says_what_changed_why_and_what_became_of_it(version):
    assert version.changed and version.why and version.then and version.here and version.turn


@pytest.mark.parametrize(("version", "fact"), FACTS, ids=lambda value: getattr(value, "name", ""))
def test_a_fact_has_a_source_and_is_told_in_short_sentences(version, fact):
    assert MAIL.fullmatch(fact.source) or COMMIT.fullmatch(fact.source)
    assert fact.said.endswith(".") or fact.said.endswith("?")
    assert not set("[]@") & set(fact.said)
    assert all(len(sentence.split()) <= 25 for sentence in re.split(r"(?<=[.?]) ", fact.said))


@pytest.mark.parametrize(("version", "fact"), FACTS, ids=lambda value: getattr(value, "name", ""))
def test_a_mail_of_a_version_has_a_number_that_the_version_has(version, fact):
    for each in VERSIONS:
        if fact.source.startswith(each.message_id):
            number = int(fact.source.removeprefix(each.message_id).split("-")[1])
            assert 1 <= number <= each.patches + 1


def test_the_code_in_the_table_runs():
    code = [each for version in VERSIONS for each in re.findall(r"``(ld\.[^`]+)``", version.here)]
    assert len(code) > 5
    for each in code:
        assert eval(each, {"ld": ld}) is not None


def test_text_and_html_tell_the_same():
    text, html = " ".join(repr(VERSIONS).split()), VERSIONS._repr_html_()
    for version, fact in FACTS:
        assert version.cover_letter in text and version.cover_letter in html
        assert f"{fact.said.replace('``', '')} [{fact.source}]" in text
        assert fact.html in html
    assert "``" not in text + html
    assert html.count("<tr>") == 1 + len(VERSIONS)
    assert max(map(len, repr(VERSIONS).splitlines())) <= 110


def test_a_source_is_a_link():
    by_mail, by_commit = ld.series.Fact("a < b.", "1@x.org"), ld.series.Fact("``c``.", "0123456789ab")
    assert 'a &lt; b. [<a href="https://lore.kernel.org/r/1@x.org/"' in by_mail.html
    assert '<code>c</code>. [<a href="https://git.kernel.org/torvalds/c/0123456789ab"' in by_commit.html


def test_a_patch_belongs_to_the_version_that_it_was_mailed_with():
    by_letter = {version.cover_letter: version.name for version in VERSIONS}
    for series, name in ((ld.series.v1, "v1"), (ld.series.v4, "v4")):
        assert {by_letter[layer.cover_letter] for layer in series.layers} == {name}
        assert len(series) == VERSIONS[int(name[1:]) - 1].patches
