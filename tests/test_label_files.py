"""Label files in the shapes that other programs write, read to the millisecond; and what is wrong with some of them."""

# ruff: noqa: W291 - Praat ends its lines with a space
import codecs
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audiornn.corpus.label_files import ALL_TIERS, LabelFile, read_label_file, read_segments, recording_stem
from audiornn.corpus.label_files.timed import Timed, seconds
from audiornn.corpus.manifest import Segment
from audiornn.errors import CorpusError
from audiornn.listen.formats import format_result
from audiornn.listen.results import Labelling, TimedLabel

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0 
xmax = 2.3 
tiers? <exists> 
size = 3 
item []: 
    item [1]:
        class = "IntervalTier" 
        name = "words" 
        xmin = 0 
        xmax = 2.3 
        intervals: size = 3 
        intervals [1]:
            xmin = 0 
            xmax = 0.7 
            text = "" 
        intervals [2]:
            xmin = 0.7 
            xmax = 1.25 
            text = "say ""hi"" 5 <b>" 
        intervals [3]:
            xmin = 1.25 
            xmax = 2.3 
            text = "zwei
Zeilen" 
    item [2]:
        class = "TextTier" 
        name = "bells" 
        xmin = 0 
        xmax = 2.3 
        points: size = 2 
        points [1]:
            number = 0.5 
            mark = "ding" 
        points [2]:
            number = 2.29 
            mark = "dong" 
    item [3]:
        class = "IntervalTier" 
        name = "empty" 
        xmin = 0 
        xmax = 2.3 
        intervals: size = 0 
"""
SHORT = """File type = "ooTextFile"
"TextGrid"

0
2.3
<exists>
3
"IntervalTier"
"words"
0
2.3
3
0
0.7
""
0.7
1.25
"say ""hi"" 5 <b>"
1.25
2.3
"zwei
Zeilen"
"TextTier"
"bells"
0
2.3
2
0.5
"ding"
2.29
"dong"
"IntervalTier"
"empty"
0
2.3
0
"""
WORDS = (Segment(0.7, 1.25, 'say "hi" 5 <b>'), Segment(1.25, 2.3, "zwei Zeilen"))


@pytest.fixture
def file(tmp_path):
    """Writes a label file."""

    def write(name, content, encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


# --- Praat ---


@pytest.mark.parametrize("content", [LONG, SHORT], ids=["long", "short"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be with a mark", "CRLF"])
def test_textgrids_long_and_short_in_every_encoding(file, content, encoding):
    if encoding == "CRLF":
        path = file("a.TextGrid", content.replace("\n", "\r\n"))
    elif "mark" in encoding:
        path = file("a.TextGrid", codecs.BOM_UTF16_BE + content.encode("utf-16-be"))
    else:
        path = file("a.TextGrid", content, encoding)
    assert read_segments(path, tier="words") == WORDS
    assert read_segments(path, tier="bells", point=0.1) == (Segment(0.45, 0.55, "ding"), Segment(2.24, 2.34, "dong"))
    assert read_segments(path, tier="empty") == ()
    assert read_label_file(path).tiers == ("words", "bells", "empty")


def test_a_textgrid_that_praat_and_its_library_write(file, tmp_path):
    call = pytest.importorskip("parselmouth.praat", reason="praat-parselmouth is not installed").call
    praatio = pytest.importorskip("praatio.textgrid", reason="praatio is not installed")
    grid = call("Create TextGrid", 0.0, 2.0, "speech bells", "bells")
    call(grid, "Insert boundary", 1, 0.5)
    call(grid, "Insert boundary", 1, 1.25)
    call(grid, "Set interval text", 1, 2, "Grüße")
    call(grid, "Insert point", 2, 1.0, "ding")
    for command in ("Save as text file", "Save as short text file"):
        call(grid, command, str(tmp_path / "p.TextGrid"))
        assert read_segments(tmp_path / "p.TextGrid", tier="speech") == (Segment(0.5, 1.25, "Grüße"),)
    binary = tmp_path / "b.TextGrid"
    call(grid, "Save as binary file", str(binary))
    with pytest.raises(CorpusError, match=r"b\.TextGrid: in Praat's binary format"):
        read_segments(binary)
    call(grid, "Save as chronological text file", str(tmp_path / "c.TextGrid"))
    with pytest.raises(CorpusError, match=r"c\.TextGrid: a chronological TextGrid"):
        read_segments(tmp_path / "c.TextGrid")
    call([grid, grid], "Save as text file", str(tmp_path / "two.TextGrid"))
    with pytest.raises(CorpusError, match=r"two\.TextGrid: a Collection"):
        read_segments(tmp_path / "two.TextGrid")
    call(call(grid, "Down to Table", True, 6, True, False), "Save as tab-separated file", str(tmp_path / "t.tsv"))
    assert read_segments(tmp_path / "t.tsv", tier="speech") == (Segment(0.5, 1.25, "Grüße"),)
    assert read_label_file(tmp_path / "t.tsv", label="bells").segments(tier="bells") == (Segment(0.975, 1.025, "ding"),)
    for name in ("short_textgrid", "long_textgrid"):
        made = praatio.Textgrid()
        made.addTier(praatio.IntervalTier("w", [(0.5, 1.0, "a"), (1.0, 1.5, "b")], 0, 2))
        made.save(str(tmp_path / "q.TextGrid"), format=name, includeBlankSpaces=True)
        assert read_segments(tmp_path / "q.TextGrid") == (Segment(0.5, 1.0, "a"), Segment(1.0, 1.5, "b"))


def test_a_tier_that_is_not_there_is_named_with_the_nearest(file):
    path = file("a.TextGrid", LONG)
    with pytest.raises(CorpusError, match=r"a\.TextGrid: has no tier 'word'; did you mean 'words'"):
        read_segments(path, tier="word")
    with pytest.raises(CorpusError, match=r"3 tiers, 'words', 'bells', 'empty'; --label names one"):
        read_segments(path)
    assert len(read_segments(path, tier=ALL_TIERS)) == 4


@pytest.mark.parametrize(
    "content",
    [
        LONG[:400],
        "no grid",
        'File type = "ooTextFile"\nObject class = "Pitch"\n',
        LONG.replace("size = 3", "size = 1e400"),
        LONG.replace("intervals: size = 3", "intervals: size = 1e400"),
    ],
)
def test_a_damaged_textgrid_says_so(file, content):
    with pytest.raises(CorpusError, match=r"a\.TextGrid: .*TextGrid"):
        read_segments(file("a.TextGrid", content))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.TextGrid", b"ooBinaryFile\x08TextGrid\0\0\0\0@\x02fff", "Praat's binary format"),
        ("a.TextGrid", '"Praat chronological TextGrid text file"\n0 2.3   ! Time domain.\n', "chronological TextGrid"),
        ("a.txt", '"Praat chronological TextGrid text file"\n0 2.3   ! Time domain.\n', "chronological TextGrid"),
        ("a.TextGrid", 'File type = "ooTextFile"\nObject class = "Collection"\n\nsize = 1\n', "Collection of Praat"),
        ("a.TextGrid", "<!DOCTYPE html>\n<html><title>404</title></html>", "web page"),
        ("a.csv", "\n<html>404</html>", "web page"),
        ("a.TextGrid", " \n", "is empty"),
        ("a.eaf", "", "is empty"),
    ],
)
def test_what_is_no_label_file_is_called_by_its_name(file, name, content, said):
    with pytest.raises(CorpusError, match=rf"{name}: .*{said}.*(?:Praat|ELAN|again)"):
        read_segments(file(name, content))


# --- ELAN ---

EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="me" DATE="2024-01-01T00:00:00+01:00" FORMAT="3.0" VERSION="3.0">
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/a.wav" MIME_TYPE="audio/x-wav" RELATIVE_MEDIA_URL="./a.wav"{origin}/>
        <PROPERTY NAME="lastUsedAnnotationId">9</PROPERTY>
    </HEADER>
    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/>
        <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="500"/>
        <TIME_SLOT TIME_SLOT_ID="ts3"/>
        <TIME_SLOT TIME_SLOT_ID="ts4"/>
        <TIME_SLOT TIME_SLOT_ID="ts5" TIME_VALUE="2000"/>
        <TIME_SLOT TIME_SLOT_ID="ts6" TIME_VALUE="2000"/>
    </TIME_ORDER>
    <TIER LINGUISTIC_TYPE_REF="default-lt" PARTICIPANT="ann" TIER_ID="utterance">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts6">
            <ANNOTATION_VALUE>drei Wörter &amp; Punkt</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="sub" PARENT_REF="utterance" TIER_ID="words">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
            <ANNOTATION_VALUE>drei</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4">
            <ANNOTATION_VALUE>Wörter</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a4" TIME_SLOT_REF1="ts4" TIME_SLOT_REF2="ts5">
            <ANNOTATION_VALUE></ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="ref" PARENT_REF="utterance" TIER_ID="gloss">
        <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a6" ANNOTATION_REF="a1" PREVIOUS_ANNOTATION="a5">
            <ANNOTATION_VALUE>words</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
        <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a5" ANNOTATION_REF="a1">
            <ANNOTATION_VALUE>three</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="ref" PARENT_REF="gloss" TIER_ID="note">
        <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a7" ANNOTATION_REF="a6">
            <ANNOTATION_VALUE>noun</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
    </TIER>
    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>
</ANNOTATION_DOCUMENT>
"""


def test_elan_s_tiers_slots_without_times_and_tiers_that_refer(file):
    path = file("a.eaf", EAF.format(origin=""))
    assert read_segments(path, tier="utterance") == (Segment(0.5, 2.0, "drei Wörter & Punkt"),)
    assert read_segments(path, tier="words") == (Segment(0.5, 1.0, "drei"), Segment(1.0, 1.5, "Wörter"))
    assert read_segments(path, tier="gloss") == (Segment(0.5, 1.25, "three"), Segment(1.25, 2.0, "words"))
    assert read_segments(path, tier="note") == (Segment(1.25, 2.0, "noun"),)
    noted = Segment(1.25, 2.0, "note")
    assert read_segments(path, tier="tiers:[wn]o*") == (Segment(0.5, 1.0, "words"), Segment(1.0, 1.5, "words"), noted)
    assert read_label_file(path).voices(tier="utterance") == ((0.5, 2.0, "ann"),)
    assert not read_label_file(path).voices(tier="gloss")
    shifted = file("b.eaf", EAF.format(origin=' TIME_ORIGIN="250"'))
    assert read_segments(shifted, tier="utterance") == (Segment(0.75, 2.25, "drei Wörter & Punkt"),)
    with pytest.raises(CorpusError, match=r"no tier 'word'; did you mean 'words'"):
        read_segments(path, tier="word")


MEDIA = '<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/{0}" MIME_TYPE="{1}" RELATIVE_MEDIA_URL="./{0}"{2}/>'


def test_the_origin_is_that_of_elan_s_medium_that_is_the_recording(file):
    plain = EAF.format(origin=' TIME_ORIGIN="100"')
    start, end = plain.index("<MEDIA"), plain.index("<PROPERTY")

    def first_start(name, *media):
        path = file(name, plain[:start] + "".join(MEDIA.format(*m) for m in media) + plain[end:])
        return read_segments(path, tier="utterance")[0].start

    film = ("my%20talk.mp4", "video/mp4", ' TIME_ORIGIN="100"')
    sound = ("my%20talk.wav", "audio/x-wav", ' TIME_ORIGIN="250"')
    assert first_start("my talk.eaf", ("b.mp4", "video/mp4", ' TIME_ORIGIN="50"'), film) == 0.6
    assert first_start("my talk.eaf", film, sound) == 0.75
    assert first_start("other.eaf", film, sound) == 0.6


def test_what_elan_s_library_writes(tmp_path):
    pympi = pytest.importorskip("pympi", reason="pympi-ling is not installed")
    eaf = pympi.Elan.Eaf(author="me")
    eaf.add_tier("birds")
    eaf.add_annotation("birds", 1200, 1900, "tit")
    eaf.add_annotation("birds", 100, 300, "finch")
    eaf.to_file(str(tmp_path / "a.eaf"))
    assert read_segments(tmp_path / "a.eaf", tier="birds") == (Segment(0.1, 0.3, "finch"), Segment(1.2, 1.9, "tit"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<ANNOTATION_DOCUMENT>", "not well-formed"),
        ('<?xml version="1.0" encoding="klingon"?><ANNOTATION_DOCUMENT/>', "unknown encoding"),
        ('<?xml version="1.0" encoding="utf-7"?><ANNOTATION_DOCUMENT/>', "encoding"),
        ("<TEI/>", "no file of ELAN"),
        (EAF.format(origin="").replace('"2000"', '"2 s"'), "TIME_VALUE of 'ts5' is '2 s', no number"),
        (EAF.format(origin=' TIME_ORIGIN="late"'), "TIME_ORIGIN of 'file:///C:/a.wav' is 'late', no number"),
        (EAF.format(origin="").replace("milliseconds", "PAL-frames"), "PAL-frames"),
        (EAF.format(origin="").replace('ANNOTATION_REF="a1"', 'ANNOTATION_REF="a99"'), "'a99'"),
        (EAF.format(origin="").replace('TIME_SLOT_REF2="ts6"', 'TIME_SLOT_REF2="ts7"'), "'ts7'"),
    ],
)
def test_a_damaged_eaf_says_so(file, content, said):
    with pytest.raises(CorpusError, match=rf"a\.eaf.*{said}"):
        read_segments(file("a.eaf", content))


# --- lines ---


def test_audacity_with_frequencies_points_commas_and_a_mark(file):
    content = "0.500000\t1.250000\tdog\n\\\t120.5\t3000.0\n1.5\t1.5\tclick\n2\t3\t\n"
    expected = (Segment(0.5, 1.25, "dog"), Segment(1.475, 1.525, "click"))
    assert read_segments(file("a.txt", content)) == expected
    assert read_segments(file("b.txt", content.replace(".", ",").replace("a,t", "a.t"), "utf-8-sig")) == expected
    assert read_segments(file("c.txt", content.replace("\n", "\r\n"))) == expected
    assert read_segments(file("d.lab", "0.5 1.25 dog barks\n")) == (Segment(0.5, 1.25, "dog barks"),)
    assert read_segments(file("e.txt", "")) == ()


def test_audacity_s_frequencies_are_a_band_where_each_label_has_them(file):
    content = "0.5\t1.0\tdog\n\\\t120,5\t3000,0\n2.0\t3.0\tbat\n\\\t20000.0\t45000.0\n"
    assert read_label_file(file("a.txt", content)).band == (120.5, 45000.0)
    for other in (content + "4.0\t5.0\tdog\n", content.replace("45000", "-1"), content.replace("\t120,5", "")):
        assert read_label_file(file("b.txt", other)).band is None, "a frog without one may lie below"


def test_labels_that_are_all_without_a_name_are_refused(file):
    said = r"none of its labels \(2\) has a name"
    with pytest.raises(CorpusError, match=rf"a\.txt: {said}"):
        read_segments(file("a.txt", "0.500000\t1.250000\t\n1.5\t1.5\t\n"))
    with pytest.raises(CorpusError, match=rf"a\.csv: {said}"):
        read_segments(file("a.csv", "start,end,label\n0.5,1.25,\n1.5,2\n"))


def test_htk_s_whole_numbers_are_tenths_of_a_microsecond(file):
    content = "0 2799999 sil\n2799999 12000000 a\n"
    assert read_segments(file("a.lab", content)) == (Segment(0.0, 0.28, "sil"), Segment(0.28, 1.2, "a"))
    samples = "0 9640 h#\n9640 112400 sh\n"
    scored = "0 2800000 sil -1210.5\n2800000 12000000 a -99.1\n"
    assert read_segments(file("d.lab", scored)) == read_segments(file("a.lab", content))
    for name, refused in (("b.txt", content), ("c.lab", samples)):
        with pytest.raises(CorpusError, match=rf"{name}: its times are whole numbers up to 1.*samples or HTK's"):
            read_segments(file(name, refused))
    assert read_segments(file("e.lab", "0 2 sil\n2 5 a\n")) == (Segment(0.0, 2.0, "sil"), Segment(2.0, 5.0, "a"))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.rttm", "SPEAKER my rec 1 0.5 1.2 <NA> <NA> ann <NA> <NA>"),
        ("a.rttm", "SPEAKER my rec 1 0.5 1.2 <NA> <NA> ann <NA>"),
        ("a.rttm", "SPEAKER rec 1 0.5 1.2 <NA> <NA> mary ann <NA>"),
        ("a.ctm", "my rec 1 0.5 0.2 hello"),
        ("a.ctm", "my rec 1 0.5 0.2 hello 0.9"),
        ("a.ctm", "my long rec 1 0.5 0.2 hello"),
        ("a.ctm", "rec 1 0.5 0.2 good bye 0.9"),
        ("a.ctm", "rec 1 0.5 0.2 hello 0.9 lex ann smith"),
    ],
)
def test_spaces_in_the_names_of_rttm_and_ctm_are_named(file, name, line):
    good = {"a.rttm": "SPEAKER rec 1 0.1 0.2 <NA> <NA> ann <NA> <NA>\n", "a.ctm": "rec 1 0.1 0.2 hi NA lex ann\n"}
    with pytest.raises(CorpusError, match=rf"{name}, line 2: .*is there a space in a name\? write %20"):
        read_segments(file(name, good[name] + line + "\n"))


@pytest.mark.parametrize("stem", ["my talk", "50%20", "a;b", "Grüße", "bad\udcff"])
def test_recordings_names_in_rttm_and_ctm_are_read_as_they_were(file, stem):
    result = Labelling((TimedLabel("a", 0.5, 1.0, 0.5),), 2.0)
    for name in ("rttm", "ctm"):
        path = file(f"a.{name}", format_result(result, name, audio=f"{stem}.wav", task="label"))
        assert read_label_file(path).recordings == (stem,)
        assert read_segments(path, recording=stem) == (Segment(0.5, 1.0, "a"),)


def test_a_percent_that_encodes_nothing_stays(file):
    line = "SPEAKER 50%FF 1 0.5 0.5 <NA> <NA> ann <NA> <NA>\n"
    assert read_label_file(file("a.rttm", line)).recordings == ("50%FF",)


def test_channels_of_rttm_and_ctm_are_not_told_apart(file):
    expected = (Segment(0.0, 1.0, "ann"), Segment(0.5, 1.5, "bob"))
    rttm = "SPEAKER r 1 0 1 <NA> <NA> ann <NA> <NA>\nSPEAKER r 2 0.5 1 <NA> <NA> bob <NA> <NA>\n"
    assert read_segments(file("a.rttm", rttm)) == expected
    assert read_segments(file("a.ctm", "r A 0 1 ann\nr B 0.5 1 bob\n")) == expected


def test_rttm_of_pyannote_and_of_nist(file):
    pyannote = "SPEAKER meet 1 0.500 0.750 <NA> <NA> ann <NA> <NA>\nSPEAKER other 1 3.0 1.0 <NA> <NA> bob <NA> <NA>\n"
    path = file("a.rttm", pyannote)
    assert read_segments(path, recording="meet") == (Segment(0.5, 1.25, "ann"),)
    with pytest.raises(CorpusError, match="2 recordings, meet, other"):
        read_segments(path)
    nist = (
        ";; a remark\nSPKR-INFO meet 1 <NA> <NA> <NA> adult_male ann <NA>\n"
        "SPEAKER meet 1 0.5 0.75 <NA> <NA> ann <NA>\nNON-SPEECH meet 1 2.0 0.5 <NA> noise <NA> <NA>\n"
        "LEXEME meet 1 0.5 0.2 hello lex ann 0.9\n"
    )
    path = file("b.rttm", nist)
    assert read_label_file(path).tiers == ("SPEAKER", "NON-SPEECH", "LEXEME")
    assert read_segments(path, tier="SPEAKER") == (Segment(0.5, 1.25, "ann"),)
    assert read_segments(path, tier="NON-SPEECH") == (Segment(2.0, 2.5, "noise"),)
    assert read_segments(path, tier="LEXEME") == (Segment(0.5, 0.7, "hello"),)
    with pytest.raises(CorpusError, match=r"c\.rttm, line 1: 3 fields"):
        read_segments(file("c.rttm", "SPEAKER a 1\n"))


def test_rttm_as_pyannote_s_library_writes_it(tmp_path):
    core = pytest.importorskip("pyannote.core", reason="pyannote.core is not installed")
    annotation = core.Annotation(uri="meet")
    annotation[core.Segment(0.5, 1.25)] = "ann"
    annotation[core.Segment(1.0, 2.0)] = "bob"
    with open(tmp_path / "a.rttm", "w") as out:
        annotation.write_rttm(out)
    assert read_segments(tmp_path / "a.rttm") == (Segment(0.5, 1.25, "ann"), Segment(1.0, 2.0, "bob"))


def test_ctm_with_remarks_alternatives_and_nothing(file):
    content = (
        ";; a remark\nmeet A 0.10 0.20 hello 0.98\nmeet A 0.30 0.10 <eps>\nmeet 1 * * <ALT_BEGIN>\n"
        "meet 1 0.5 0.2 uh\nmeet 1 * * <ALT>\nmeet 1 0.5 0.2 um\nmeet 1 * * <ALT_END>\nmeet A 1.0 0.5 you 0.5 lex\n"
    )
    assert read_segments(file("a.ctm", content)) == (
        Segment(0.1, 0.3, "hello"),
        Segment(0.5, 0.7, "uh"),
        Segment(1.0, 1.5, "you"),
    )


# --- tables ---


@pytest.mark.parametrize(
    "content",
    [
        "start,end,label\n0.5,1.25,dog\n2,3,cat\n",
        "Start;End;Label\n0,5;1,25;dog\n2;3;cat\n",
        "onset\toffset\tevent_label\n0.5\t1.25\tdog\n2.0\t3.0\tcat\n",
        "0.5\t1.25\tdog\n2.0\t3.0\tcat\n",
        "label,start_time,duration\ndog,0.5,0.75\ncat,2,1\n",
        "start (ms),end (ms),class\n500,1250,dog\n2000,3000,cat\n",
        "\ufeffbegin,end,text\n00:00.5,00:01.25,dog\n0:00:02,0:00:03.0,cat\n",
        "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tSpecies\n1\tS\t1\t0.5\t1.25\t20\tdog\n"
        "2\tS\t1\t2\t3\t20\tcat\n",
        '"start","end","label"\n"2","3","cat"\n"0.5","1.25","dog"\n',
        "# by ann\n# start,duration,label\n0.5,0.75,dog\n2,1,cat\n",
        "# onset\tduration\tlabel\n0.5\t0.75\tdog\n2\t1\tcat\n",
        "#start_ms,end_ms,label\n500,1250,dog\n2000,3000,cat\n",
        "#label,start,end\ndog,0.5,1.25\ncat,2,3\n",
        "# start,duration,label\n0.5,0.75,dog,\n2,1,cat,\n",
        "# start,end,bird\n0.5,1.25,dog\n2,3,cat\n",
        "# n,start,duration,bird\n1,0.5,0.75,dog\n2,2,1,cat\n",
        "#,by ann,\n0.5,1.25,dog\n2,3,cat\n",
        "#\trecorded by ann\t2020\n0.5\t1.25\tdog\n2\t3\tcat\n",
        "#,Name,Start,End,Length\nR1,dog,0:00.5,0:01.25,0:00.75\nR2,cat,0:02,0:03,0:01\n",
        "# start,duration,label\nstart,end,label\n0.5,1.25,dog\n2,3,cat\n",  # the line above is an old remark
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_tables_of_many_kinds(file, content, name):
    assert read_segments(file(name, content)) == (Segment(0.5, 1.25, "dog"), Segment(2.0, 3.0, "cat"))


def test_a_table_of_many_recordings(file):
    for content in (
        "filename,onset,offset,event_label\na/x.wav,0,1,dog\ny.wav,1,2,cat\n",
        "a\\x.wav,0,1,dog\ny.wav,1,2,cat\n",
    ):
        path = file("all.csv", content)
        assert read_label_file(path).recordings == ("a/x.wav", "y.wav")
        assert read_segments(path, recording="y.wav") == (Segment(1.0, 2.0, "cat"),)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name,colour\nx,red\n", "no columns of start and end"),
        ("start,end,label\n0,x,dog\n", "line 2: 'x' is no time"),
        ("start,end,label\n-1,1,dog\n", "line 2: 'dog' begins at -1 s, before the recording"),
        ("start,end,label\n2,1,dog\n", "line 2: 'dog' ends at 1 s, before it begins at 2 s"),
        ("start,end,label\nnan,1,dog\n", "line 2: 'dog' has a time that is no number"),
        ("start,end,label\n3\n", r"line 2: a start without an end \('3'\)"),
        ("start,end,label\n0,1,cat\n3,,dog\n", "line 3: a start without an end"),
        ("start,duration,label\n3,,dog\n", "line 2: a start without an end"),
        ('start,end,label\n0,1,"a\nb"\n1,x,dog\n', "line 4: 'x' is no time"),
        ('start,end,label\n0,1,"dog\n1,2,cat\n', r"line 2: cannot be read as a table .*quotation mark"),
        ("start,end,sex\n0,1,dog\n", "no column of labels among 'start', 'end', 'sex'; call it label"),
        ("start,end\n0,1\n", "no column of labels among 'start', 'end'; call it label"),
        ("0,1\n2,3\n", "no column of labels"),
        ("x.wav,0,1\n", "no column of labels"),
        ("FRAME,VALUE,DURATION,LABEL\n22050,1,44100,dog\n", "its times are samples .column 'FRAME'.; export it again"),
    ],
)
def test_tables_that_make_no_sense_name_the_line(file, content, said):
    with pytest.raises(CorpusError, match=rf"a\.csv.*{said}"):
        read_segments(file("a.csv", content))


def test_boxes_from_0_hz_on_do_not_say_how_high_a_sound_reaches(file):
    rows = "1\tWaveform 1\t1\t0.5\t1.25\t0.0\t24000.0\ttit\n", "1\tSpectrogram 1\t1\t0.5\t1.25\t{}\t9000.0\ttit\n"
    head = RAVEN.replace("\n", "\tSpecies\n")
    assert read_label_file(file("a.txt", head + rows[0] + rows[1].format(3000))).band == (0.0, 9000.0)
    assert read_label_file(file("b.txt", head + rows[0] + rows[1].format(0))).band is None
    written = format_result(
        Labelling((TimedLabel("tit", 0.5, 1.25, 0.9),), 2.0), "raven", audio="c.wav", task="label", highest=11025.0
    )
    assert "\t0.0\t11025.0\ttit\n" in written, "without a box crowsetta refuses the table"
    again = read_label_file(file("c.selections.txt", written))
    assert (again.segments(), again.band) == ((Segment(0.5, 1.25, "tit"),), None)


@pytest.mark.parametrize("name", ["tag", "Annotation", "event_label", "Phone", "transcription", "Common Name"])
def test_columns_of_labels_by_many_names(file, name):
    path = file("a.csv", f"start,end,{name},speaker\n0.5,1.25,dog,ann\n")
    assert read_segments(path) == (Segment(0.5, 1.25, "dog"),)


def test_a_label_may_be_empty_or_a_table_without_rows(file):
    assert read_segments(file("a.csv", "start,end,label\n0,1,\n1,2,dog\n2,3\n")) == (Segment(1.0, 2.0, "dog"),)
    assert read_segments(file("b.csv", "start,end,label\n")) == ()
    assert read_segments(file("c.txt", RAVEN)) == ()


def test_quotation_marks_in_a_table_with_tabs_part_no_rows(file):
    content = 'start\tend\tlabel\n0\t1\t"a\n1\t2\t"say ""hi"""\n'
    assert read_segments(file("a.tsv", content)) == (Segment(0.0, 1.0, '"a'), Segment(1.0, 2.0, 'say "hi"'))
    assert read_segments(file("b.csv", 'start,end,label\n0,1,"""a"""\n')) == (Segment(0.0, 1.0, '"a"'),)


RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\n"
RAVEN_FILES = (
    "Selection\tView\tChannel\tBegin File\tBegin Time (s)\tEnd Time (s)\tFile Offset (s)\tSpecies\n"
    "1\tWaveform 1\t1\ta.wav\t0.5\t1.25\t0.5\ttit\n1\tSpectrogram 1\t1\ta.wav\t0.5\t1.25\t0.5\ttit\n"
    "2\tWaveform 1\t1\tb.wav\t10.5\t11.25\t0.75\tfinch\n2\tSpectrogram 1\t1\tb.wav\t10.5\t11.25\t0.75\tfinch\n"
)


def test_raven_shows_a_selection_in_every_view(file):
    rows = [
        (1, 0.5, 1.25),
        (2, 0.5, 1.25),
        (1, 2, 3),
    ]  # two that are alike are one, and joined tables begin to count again
    content = RAVEN.replace("\n", "\tSpecies\n") + "".join(
        f"{number}\t{view} 1\t1\t{start}\t{end}\t20\t8000\ttit\n"
        for number, start, end in rows
        for view in ("Waveform", "Spectrogram")
    )
    assert read_segments(file("a.txt", content)) == (Segment(0.5, 1.25, "tit"), Segment(2.0, 3.0, "tit"))
    without_view = "\n".join(re.sub(r"\t(View|Waveform 1|Spectrogram 1)\t", "\t", line) for line in content.split("\n"))
    assert "View" not in without_view
    assert read_segments(file("b.txt", without_view)) == read_segments(file("a.txt", content))


def test_raven_s_times_in_a_list_of_files_are_those_in_the_file(file):
    path = file("all.Table.1.selections.txt", RAVEN_FILES)
    assert read_segments(path, recording="a.wav") == (Segment(0.5, 1.25, "tit"),)
    assert read_segments(path, recording="b.wav") == (Segment(0.75, 1.5, "finch"),)
    running = RAVEN_FILES.replace("File Offset (s)", "Delta Time (s)")
    with pytest.raises(CorpusError, match=r"several files under 'Begin File' but no column 'File Offset \(s\)'"):
        read_segments(file("all.txt", running), recording="a.wav")


def test_raven_s_table_without_a_column_of_labels_is_refused(file):
    with pytest.raises(CorpusError, match=r"a\.txt: no column of labels among 'Selection', 'View'"):
        read_segments(file("a.txt", RAVEN + "1\tSpectrogram 1\t1\t0.5\t1.25\t20\t8000\n"))


@pytest.mark.parametrize(
    "ending", [".Table.1.selections.txt", ".selections.txt", ".BirdNET.selection.table.txt", ".lab"]
)
def test_the_recording_that_a_label_file_stands_beside(ending):
    assert recording_stem(f"a.b{ending}") == "a.b"


REGIONS = "0.500000000,1,0.750000000,dog\n2.000000000,2,1.000000000,cat\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("regions.csv", REGIONS),
        ("regions.txt", REGIONS.replace(",", "\t")),
        ("header.csv", "TIME,VALUE,DURATION,LABEL\n" + REGIONS),
        ("pitches.csv", "0.5,0.25,0.75,dog\n2.0,220.5,1.0,cat\n"),
        ("notes.csv", "0.500000000,69,0.750000000,0.8,dog\n2.000000000,57,1.000000000,0.8,cat\n"),
        ("notes-header.csv", "TIME,VALUE,DURATION,LEVEL,LABEL\n0.5,220.5,0.75,0.8,dog\n2.0,440.5,1,0.8,cat\n"),
        ("no-value.csv", "0.5,1.25,0.75,dog\n2,3,1,cat\n"),
    ],
)
def test_sonic_visualiser_s_time_value_duration_and_label(file, name, content):
    assert read_segments(file(name, content)) == (Segment(0.5, 1.25, "dog"), Segment(2.0, 3.0, "cat"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("0.5,1.25,0.9,dog\n2.0,3.0,0.7,cat\n", "4 columns without names may be"),  # a score?
        ("1,0.5,1.25,dog\n2,2.0,3.0,cat\n", "4 columns without names may be"),  # a count of rows?
        ("22050,1,44100,dog\n", "4 columns without names may be"),  # samples?
        ("0.5,1,0.75,dog\n", "4 columns without names may be"),
        ("0.5,1,0.75\n2.0,2,1.0\n", "third column, which has no name, holds fractions"),
        ("0.500000000,New Point\n1.5,New Point\n", "a time and no end a row"),
    ],
)
def test_columns_without_names_that_may_mean_several_things_are_refused(file, content, said):
    with pytest.raises(CorpusError, match=rf"a\.csv: .*{said}"):
        read_segments(file("a.csv", content))


def test_digits_are_labels(file):
    assert read_segments(file("a.csv", "0,1,7\n1,2,3\n")) == (Segment(0.0, 1.0, "7"), Segment(1.0, 2.0, "3"))


PRAAT_TABLE = "tmin\ttier\ttext\ttmax\n0.5\twords\ta\t1.25\n0.5\tphones\tAH\t0.75\n"
ALIGNER = "Begin,End,Label,Type,Speaker\n0.5,1.25,a,words,ann\n0.5,0.75,AH,phones,ann\n"


@pytest.mark.parametrize(("name", "content"), [("a.tsv", PRAAT_TABLE), ("a.csv", ALIGNER)])
def test_a_column_of_tiers_is_chosen_from_as_tiers_are(file, name, content):
    path = file(name, content)
    assert read_label_file(path).tiers == ("words", "phones")
    assert read_segments(path, tier="phones") == (Segment(0.5, 0.75, "AH"),)
    assert read_label_file(path, label="words").segments(tier="words") == (Segment(0.5, 1.25, "a"),)
    assert len(read_label_file(path, label=ALL_TIERS).segments(tier=ALL_TIERS)) == 2
    with pytest.raises(CorpusError, match=r"2 tiers, 'words', 'phones'; --label names one"):
        read_segments(path)
    with pytest.raises(CorpusError, match=r"has no column 'word'; did you mean 'words'"):
        read_label_file(path, label="word")


def test_a_column_of_labels_leaves_no_choice_of_one_tier(file):
    one = read_label_file(file("a.tsv", PRAAT_TABLE.replace("phones", "words")), label="text")
    assert one.tiers == ("",)
    types = read_label_file(file("a.csv", "start,end,label,type\n0,1,a,song\n1,2,b,call\n"))
    assert types.tiers == ("",)


ELAN_MARK = '"#file:///home/ann/a.wav -- offset: 0"\n'
ELAN_DEFAULT = (
    "birds\tann\t00:00:00.500\t0.5\t00:00:01.250\t1.25\t00:00:00.750\t0.75\twren\n"
    "birds\tann\t00:01:02.000\t62.0\t00:01:03.000\t63.0\t00:00:01.000\t1.0\t7\n"
)
ELAN_NO_PARTICIPANT = ELAN_DEFAULT.replace("ann", "")
ELAN_MILLISECONDS = (
    "birds\t00:00:00.500\t0.5\t500\t00:00:01.250\t1.25\t1250\t00:00:00.750\t0.75\t750\twren\n"
    "birds\t00:01:02.000\t62.0\t62000\t00:01:03.000\t63.0\t63000\t00:00:01.000\t1.0\t1000\t7\n"
)
ELAN_CLOCK = "birds\t00:00:00.500\t00:00:01.250\t00:00:00.750\twren\nbirds\t00:01:02.0\t00:01:03.0\t00:00:01.0\t7\n"
ELAN_COLUMNS = (
    "Begin Time - hh:mm:ss.ms\tBegin Time - ss.msec\tEnd Time - hh:mm:ss.ms\tEnd Time - ss.msec\t"
    "Duration - hh:mm:ss.ms\tDuration - ss.msec\tbirds\n"
    "00:00:00.500\t0.5\t00:00:01.250\t1.25\t00:00:00.750\t0.75\twren\n"
    "00:01:02.000\t62.0\t00:01:03.000\t63.0\t00:00:01.000\t1.0\t7\n"
)
ELAN_WHOLE_NUMBERS = "birds\tann\t500\t1250\t750\twren\nbirds\tann\t62000\t63000\t1000\t7\n"
ELAN_ONLY_MILLISECONDS = "Begin Time - msec\tEnd Time - msec\tbirds\n500\t1250\twren\n62000\t63000\t7\n"


@pytest.mark.parametrize(
    "content",
    [
        ELAN_MARK + ELAN_DEFAULT,
        ELAN_NO_PARTICIPANT,
        ELAN_MILLISECONDS,
        ELAN_CLOCK,
        ELAN_COLUMNS,
        ELAN_WHOLE_NUMBERS,
        ELAN_ONLY_MILLISECONDS,
    ],
)
def test_elan_s_tab_delimited_text(file, content):
    labels = read_label_file(file("a.txt", content), label="birds")
    assert labels.tiers == (("birds",) if "birds\t" in content else ("",))
    assert labels.segments() == (Segment(0.5, 1.25, "wren"), Segment(62.0, 63.0, "7"))


def test_elan_s_tab_delimited_text_of_several_files_and_tiers(file):
    more = ELAN_DEFAULT.replace("wren\n", "wren\tC:\\tape\\b.eaf\n").replace("7\n", "7\tC:\\tape\\c.eaf\n")
    labels = read_label_file(file("all.txt", more.replace("birds", "frogs") + more))
    assert labels.recordings == ("C:/tape/b", "C:/tape/c")
    assert labels.segments("C:/tape/c", "frogs") == (Segment(62.0, 63.0, "7"),)


def test_a_name_before_start_end_and_duration_is_a_recording_s(file):
    labels = read_label_file(file("a.csv", "a.wav,0.5,1.25,0.75,dog\nb.wav,2,3,1,cat\n"))
    assert labels.recordings == ("a.wav", "b.wav")
    assert labels.segments("b.wav") == (Segment(2.0, 3.0, "cat"),)


# --- what is written is read again ---

timed = st.lists(
    st.tuples(st.integers(1, 400), st.integers(1, 300), st.sampled_from(["a", "grün b", 'q"x'])), max_size=6
)


@given(parts=timed)
def test_every_format_that_is_written_is_read_back(tmp_path_factory, parts):
    at, found = 0, []
    for gap, length, label in parts:
        found.append(TimedLabel(label, (at + gap) / 1000, (at + gap + length) / 1000, 0.5))
        at += gap + length
    result = Labelling(tuple(found), (at + 10) / 1000)
    folder = tmp_path_factory.mktemp("written")
    for name, ending in (
        ("textgrid", "TextGrid"),
        ("elan", "eaf"),
        ("audacity", "txt"),
        ("csv", "csv"),
        ("rttm", "rttm"),
        ("ctm", "ctm"),
    ):
        path = folder / f"a.{ending}"
        path.write_text(format_result(result, name, audio="a.wav", task="label"), encoding="utf-8")
        read = read_segments(path)
        assert [(round(s.start, 3), round(s.end, 3)) for s in read] == [(s.start, s.end) for s in found], name
        assert [s.label.replace("_", " ") for s in read] == [s.label for s in found], name


# --- what once went wrong without a word, or was refused for nothing ---


@pytest.mark.parametrize(
    "text",
    [
        "Tier\tBegin Time - hh:mm:ss.ms\tEnd Time - hh:mm:ss.ms\tDuration - hh:mm:ss.ms\tAnnotation\n"
        "words\t00:00:00.500\t00:00:01.250\t00:00:00.750\ta b\n",
        "Tier\tBegin Time - hh:mm:ss.ms\tEnd Time - hh:mm:ss.ms\tAnnotation\nwords\t00:00:00.500\t00:00:01.250\ta b\n",
        "words\t\t0.500\t1.250\ta b\nwords\t\t2.0\t3.5\tc\n",
        "words\t\t500\t1250\ta b\nwords\t\t2000\t3500\tc\n",
        "words\tAnn\t500\t1250\ta b\nwords\tAnn\t2000\t3500\tc\n",
    ],
)
def test_elan_s_columns_however_few_were_asked_for(tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    assert read_segments(tmp_path / "a.txt")[0] == Segment(0.5, 1.25, "a b")


def test_commas_in_labels(tmp_path):
    table = tmp_path / "a.csv"
    table.write_text('start, end, label\n0.38, 0.87, "high, tone"\n')
    assert read_segments(table) == (Segment(0.38, 0.87, "high, tone"),)
    table.write_text("start,end,label\n0.1,0.2,low\n0.38,0.87,high, tone\n")
    with pytest.raises(CorpusError, match=r"line 3: has 4 columns, its first line 3; .*quotation marks"):
        read_segments(table)


def test_labels_that_begin_like_remarks(tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("# by ann\nlabel,start,end\n#low,0.1,0.2\nhigh,0.3,0.4\n")
    assert read_segments(table) == (Segment(0.1, 0.2, "#low"), Segment(0.3, 0.4, "high"))
    table.write_text("start,end,label\n#0.1,0.2,low\n0.3,0.4,high\n")
    assert read_segments(table) == (Segment(0.3, 0.4, "high"),)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("label,start,end\n# a remark\nlow,0.1,0.2\n", ["low"]),
        ('start,end,label\n0.1, 0.2, "Hello" she said\n', ['"Hello" she said']),
        ("start,end,label\n0.1,0.2,low,a note\n0.3,0.4,high,another\n", ["low", "high"]),
        ("start,label,end\n0.1,low,0.2\n0.3,high,0.4,a note\n", ["low", "high"]),
    ],
)
def test_tables_with_remarks_notes_and_quotation_marks(tmp_path, text, labels):
    (tmp_path / "a.csv").write_text(text)
    assert [segment.label for segment in read_segments(tmp_path / "a.csv")] == labels


def test_lists_in_which_nothing_happens(tmp_path):
    table = tmp_path / "all.tsv"
    table.write_text("filename\tonset\toffset\tevent_label\na.wav\t\t\t\nb.wav\t\t\t\n")
    assert read_label_file(table).recordings == ("a.wav", "b.wav")
    table.write_text("filename\ttier\tonset\toffset\tevent_label\na.wav\tbirds\t0.1\t0.2\twren\nb.wav\t\t\t\t\n")
    read = read_label_file(table)
    assert read.tiers == ("birds",)
    assert read.segments("b.wav") == ()


def test_a_recording_in_which_nothing_happens(tmp_path):
    table = tmp_path / "all.tsv"
    table.write_text("filename\tonset\toffset\tevent_label\na.wav\t0.5\t1.0\tdog\nb.wav\t\t\t\n")
    read = read_label_file(table)
    assert read.recordings == ("a.wav", "b.wav")
    assert read.segments("a.wav") == (Segment(0.5, 1.0, "dog"),)
    assert read.segments("b.wav") == ()
    table.write_text("filename\tonset\toffset\tevent_label\na.wav\t\t1.0\tdog\n")
    with pytest.raises(CorpusError, match="line 2"):
        read_label_file(table)


def test_a_textgrid_with_commas(tmp_path):
    rows = ("0", "1,5", "<exists>", "1", '"IntervalTier"', '"a"', "0", "1,5", "1", "0,25", "1,5", '"yes"')
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
    (tmp_path / "a.TextGrid").write_text(head + "\n".join(rows) + "\n")
    assert [(s.start, s.end, s.label) for s in read_segments(tmp_path / "a.TextGrid")] == [(0.25, 1.5, "yes")]


def test_a_point_at_the_beginning_begins_there():
    (segment,) = LabelFile(Path("a"), (Timed(0.01, 0.01, "click"),)).segments()
    assert (segment.start, segment.end) == (0.0, pytest.approx(0.035))


def test_a_grid_that_begins_late_but_is_of_the_whole_stays():
    grid = LabelFile(Path("a"), (Timed(2.0, 3.0, "a"),), (1.5, 4.0))
    assert grid.begun_at_zero(4.0) == grid
    assert grid.begun_at_zero(2.5).labels[0].start == 0.5


def test_a_mark_goes_before_the_encoding_asked_for(file):
    old, new = "0\t1\tlé\n".encode("latin-1"), "0\t1\tlé\n".encode("utf-16")
    for name, content in (("a.txt", old), ("b.txt", new), ("c.txt", "\ufeff0\t1\tlé\n".encode())):
        assert read_segments(file(name, content), encoding="latin-1") == (Segment(0.0, 1.0, "lé"),)


def test_points_at_one_time_and_of_several_tiers_each_last(file):
    def tier(number, name, *marks):
        points = "".join(
            f'points [{i}]:\nnumber = {time}\nmark = "{mark}"\n' for i, (time, mark) in enumerate(marks, start=1)
        )
        return f'item [{number}]:\n"TextTier"\n"{name}"\n0\n3\n{len(marks)}\n{points}'

    tiers = [("tone", (1.5, "H*"), (1.5, "")), ("break", (1.5, "4"), (1.52, "1")), ("misc", (1.5, "x"), (1.5, "y"))]
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n0\n3\n<exists>\n3\n'
    path = file("a.TextGrid", head + "".join(tier(i, *one) for i, one in enumerate(tiers, start=1)))
    assert read_segments(path, tier="tone") == (Segment(1.475, 1.525, "H*"),)
    assert read_segments(path, tier="break") == (Segment(1.475, 1.51, "4"), Segment(1.51, 1.545, "1"))
    assert {s.label for s in read_segments(path, tier="*")} == {"H*", "4", "1", "x", "y"}
    assert [s.label for s in read_segments(path, tier="misc")] == ["x", "y"]


def test_two_tiers_of_one_name_are_told_apart(file):
    tier = '"IntervalTier"\n"w"\n0\n2\n1\n0\n2\n"{}"\n'
    content = 'File type = "ooTextFile"\nObject class = "TextGrid"\n0\n2\n<exists>\n2\n'
    path = file("a.TextGrid", content + tier.format("said") + tier.format("Ann"))
    assert read_segments(path, tier="w") == (Segment(0.0, 2.0, "said"),)
    assert read_segments(path, tier="w (2)") == (Segment(0.0, 2.0, "Ann"),)
    with pytest.raises(CorpusError, match=r"holds 2 tiers, 'w', 'w \(2\)'"):
        read_segments(path)


@pytest.mark.parametrize(
    ("header", "row", "label", "note"),
    [
        ("event,start,end,class", "17,1,2,tit", "tit", ""),
        ("event,start,end,tags", "tit,1,2,outdoor", "tit", "'event'; --label takes another ('tags')"),
        ("name,start,end,species", "Anna,1,2,tit", "tit", "'species'; --label takes another ('name')"),
        ("start,end,annotation,species", "1,2,,tit", "tit", ""),
        ("start,end,text,gloss", "1,2,tit,Meise", "tit", "'text'; --label takes another ('gloss')"),
        ("DATE,TIME,OFFSET,DURATION,MANUAL ID", "2020-05-01,00:00:00,1,1,tit", "tit", "('DATE')"),
        ("onset,offset,duration,event_label", "1,2,1,tit", "tit", ""),
    ],
)
def test_which_column_is_of_labels_and_which_of_times(file, header, row, label, note):
    found = read_label_file(file("a.csv", f"{header}\n{row}\n"))
    assert found.segments() == (Segment(1.0, 2.0, label),)
    assert found.notes.endswith(note)
    assert bool(found.notes) == bool(note)


def test_two_columns_of_labels_without_names_are_refused(file):
    for row in ("1.0\t2.0\t1.0\tx\t\n3.0\t4.0\t1.0\t\tq\n", "1.0,2.0,x,\n3.0,4.0,,q\n"):
        with pytest.raises(CorpusError, match=r"a\.(txt|csv), line 2: columns . and ., which have no names, may"):
            read_label_file(file("a.txt" if "\t" in row else "a.csv", row))


@pytest.mark.parametrize(
    ("name", "content", "labels"),
    [
        ("a.csv", "start,end,label,name\n0,1,,Anna\n1,2,dog,Bob\n", ["dog"]),  # no label: not its annotator
        ("a.csv", "0,1,dog,loud\n1,2,,wind\n2,3,cat,\n", ["dog", "cat"]),  # notes, and no label
        ("a.lab", "0 1 speaker 1\n1 2 speaker 2\n", ["speaker 1", "speaker 2"]),  # no scores
        ("a.csv", "date,time,duration,label\n2020-05-01,0.5,0.5,tit\n", ["tit"]),
        ("b.srt", "00:00:01,000 --> 00:00:02,000\n5\n00:00:02,000 --> 00:00:03,000\nsix\n", ["5", "six"]),
        ("b.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ann>a\n\n00:02.000 --> 00:03.000\nb\n", ["a", "b"]),
    ],
)
def test_what_is_nearly_something_else(file, name, content, labels):
    assert [segment.label for segment in read_segments(file(name, content))] == labels


def test_an_empty_column_of_labels_is_not_passed_over(file):
    with pytest.raises(CorpusError, match="none of its labels"):
        read_segments(file("a.csv", "start,end,label,name\n0,1,,Anna\n"))


def test_a_recording_before_a_speaker_or_a_scene_is_no_tier(file):
    found = read_label_file(file("a.csv", "a.wav,street,1,2,dog\nb.wav,street,1,2,cat\n"))
    assert (found.recordings, found.tiers) == (("a.wav", "b.wav"), ("",))
    assert "'street' (not used)" in found.notes


def test_the_medium_s_offset_in_elan_s_table_is_told(file):
    head = '"#file:///home/a.wav -- offset: {}"\nTier\tBegin Time - ss.msec\tEnd Time - ss.msec\tAnnotation\n'
    row = "tx\t1.0\t2.0\tx\n"
    empty = "\t\t\t\n" * 20_000  # as spreadsheets leave them; the search for the offset is not to wander through them
    assert not read_label_file(file("b.txt", head.format(0) + row + empty)).notes
    assert "names an offset" in read_label_file(file("a.txt", head.format(2500) + row)).notes
    assert not read_label_file(file("a.txt", head.format(0) + row)).notes


# --- subtitles, TIMIT ---

SRT = "1\n00:00:01,000 --> 00:00:02,500\n<i>Hello</i>\n{\\an8}you\n\n2\n00:01:03,000 --> 00:01:04,250\nbye\n"
VTT = """WEBVTT - a title

NOTE 00:00 is not 00:01
two lines

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.500 align:start
<v Ann>Hello <c.loud>you</c></v>

01:03.000 --> 01:04.250
<v Bob>bye &amp; bye</v>
"""


def test_subtitles(file):
    said = (Segment(1.0, 2.5, "Hello you"), Segment(63.0, 64.25, "bye"))
    for name, content in (("a.srt", SRT), ("a.txt", SRT), ("b.srt", SRT.replace("\n\n", "\n")), ("c.srt", SRT[2:])):
        assert read_segments(file(name, content)) == said
    assert read_segments(file("d.srt", SRT.replace("\n", "\r\n"))) == said
    voices = read_label_file(file("a.vtt", VTT))
    assert voices.tiers == ("Ann", "Bob")
    assert voices.segments(tier="*") == (Segment(1.0, 2.5, "Hello you"), Segment(63.0, 64.25, "bye & bye"))
    assert read_segments(file("e.vtt", "WEBVTT\n")) == ()
    with pytest.raises(CorpusError, match="holds no line of times"):
        read_segments(file("f.srt", "hello\n"))


def test_timit_s_samples_by_the_rate_of_the_recording(file, tmp_path):
    path = file("SA1.PHN", "0 3050 h#\n3050 4559 sh\n")
    with pytest.raises(CorpusError, match="no recording of its name lies beside it"):
        read_segments(path)
    soundfile.write(tmp_path / "SA1.wav", np.zeros(5000), 16000)
    assert read_segments(path) == (Segment(0.0, 0.190625, "h#"), Segment(0.190625, 0.284938, "sh"))
    with pytest.raises(CorpusError, match=r"SA1\.WRD, line 1: not a first sample"):
        read_segments(file("SA1.WRD", "0.5 1.5 she\n"))


def test_hours_count():
    assert seconds("1:02:03.5", "") == 3723.5
    assert seconds("02:03,5", "") == 123.5


# --- of programs in which people transcribe ---


CHAT = """@UTF8
@Begin
@Participants:\tCHI Target_Child, MOT Mother
*MOT:\twhat's that [?] ? \x15500_1200\x15
%mor:\tpro:int|what~cop|be&3S pro:dem|that ?
*CHI:\t&-uh (be)cause <the the> [//] the doggie@c (.) xxx goed [* m:=ed]
\tthere . \x151300_2900\x15
*CHI:\t0 [=! cries] . \x153000_3500\x15
*CHI:\tno time .
@End
"""


def test_chat(file):
    path = file("a.cha", CHAT)
    assert read_segments(path, tier="MOT") == (Segment(0.5, 1.2, "what's that"),)
    assert read_segments(path, tier="CHI") == (Segment(1.3, 2.9, "uh because the the the doggie goed there"),)
    with pytest.raises(CorpusError, match="no line of a speaker has a time"):
        read_segments(file("b.cha", "*CHI:\tno time .\n"))


def test_stm(file):
    content = (
        ";; remark\nm_1 A spk1 0.5 1.25 <o,f0,male> hello there\nm_1 A spk2 1.5 2 (%hesitation) well\n"
        "m_1 A x 2 3 ignore_time_segment_in_scoring\nm_2 1 x 0:00:01 2 { again / a gain } { uh / @ }\n"
    )
    path = file("all.stm", content)
    assert read_segments(path, recording="m_1") == (
        Segment(0.5, 1.25, "hello there"),
        Segment(1.5, 2.0, "(%hesitation) well"),
    )
    assert read_segments(path, recording="m_2") == (Segment(1.0, 2.0, "again uh"),)
    with pytest.raises(CorpusError, match="line 1: 3 fields, STM has at least 5"):
        read_segments(file("b.stm", "a 1 x\n"))


def test_mlf(file):
    content = '#!MLF!#\n"*/s1/a.lab"\n0 5000000 sil -3.25\n5000000 9000000 call -12.5\n.\n"*/b.rec"\n0 1000000 x\n.\n'
    labels = read_label_file(file("all.mlf", content))
    assert labels.recordings == ("s1/a", "b")
    assert labels.segments("b") == (Segment(0.0, 0.1, "x"),)
    assert labels.segments("s1/a")[1].start == 0.5
    with pytest.raises(CorpusError, match=r"c\.mlf, line 4: 'y' is not a start"):
        read_label_file(file("c.mlf", '#!MLF!#\n"*/a.lab"\n0 1000000 x\ny\n.\n""\n.\n'))
    with_states = '#!MLF!#\n"*/a.rec"\n0 5000000 th -3.2 three\n5000000 9000000 r -1.5\n.\n'
    assert [s.label for s in read_label_file(file("d.mlf", with_states)).segments("a")] == ["th", "r"]
    with pytest.raises(CorpusError, match="not #!MLF!#"):
        read_segments(file("b.mlf", "a\n"))


@pytest.mark.parametrize("head", ["", "signal a\ntype 0\ncolor 121\nseparator ;\nnfields 1\n"])
def test_esps(file, head):
    path = file(
        "a.lab", head + "#\n    0.50000  125 pau\n    0.98460  125 three; 3\n".replace("; 3", "; 3" * bool(head))
    )
    assert read_segments(path) == (Segment(0.0, 0.5, "pau"), Segment(0.5, 0.9846, "three"))


def test_whisper_s_json(file):
    segments = [{"id": 0, "start": 0.5, "end": 1.2, "text": " hello there"}, {"start": 2, "end": 3, "text": "again"}]
    assert read_segments(file("a.json", json.dumps({"text": "…", "segments": segments, "language": "en"}))) == (
        Segment(0.5, 1.2, "hello there"),
        Segment(2.0, 3.0, "again"),
    )
    spoken = [{**segment, "speaker": f"S{i}"} for i, segment in enumerate(segments)]
    assert read_segments(file("b.json", json.dumps({"segments": spoken})), tier="S1") == (Segment(2.0, 3.0, "again"),)
    mute = json.dumps({"segments": [{"start": 0, "end": 1, "text": None}]})
    assert read_label_file(file("m.json", mute)).segments() == ()
    deep = "[" * 100_000 + "]" * 100_000
    for wrong in ("[]", "{}", "{", '{"segments": [{"start": 1}]}', '{"segments": 3}', deep):
        with pytest.raises(CorpusError, match="no JSON with segments of start, end"):
            read_segments(file("c.json", wrong))


def test_label_studio_s_exports(file):
    region = {"start": 0.5, "end": 1.0, "channel": 0, "labels": ["call", "loud"]}
    said = {"start": 0.5, "end": 1.0, "text": ["hello"]}
    full = [
        {
            "data": {"audio": "/data/upload/1/0a1b2c3d-a%20b.wav"},
            "annotations": [
                {"was_cancelled": True, "result": []},
                {
                    "result": [
                        {"value": region, "from_name": "label", "type": "labels"},
                        {"value": said, "from_name": "words", "type": "textarea"},
                        {"value": {"choices": ["good"]}, "from_name": "quality", "type": "choices"},
                    ]
                },
            ],
        },
        {"data": {"audio": "/data/local-files/?d=tapes/c.wav"}, "annotations": [{"result": []}]},
    ]
    labels = read_label_file(file("p.json", json.dumps(full)))
    assert labels.recordings == ("a b.wav", "c.wav")
    assert labels.segments("a b.wav", "label") == (Segment(0.5, 1.0, "call"), Segment(0.5, 1.0, "loud"))
    assert labels.segments("a b.wav", "words") == (Segment(0.5, 1.0, "hello"),)
    short = [{"audio": "https://host/x/0a1b2c3d-a.wav", "id": 1, "label": [region], "annotator": 1}]
    labels = read_label_file(file("q.json", json.dumps(short)))
    assert labels.segments("a.wav", "label") == (Segment(0.5, 1.0, "call"), Segment(0.5, 1.0, "loud"))
    for other in ([1], [{"text": "x"}], [{"data": {"image": "x.png"}, "annotations": []}]):
        with pytest.raises(CorpusError, match="no JSON with segments"):
            read_label_file(file("r.json", json.dumps(other)))


BLANK_LINE = " "  # which only a space fills, so that it ends no block
YOUTUBE = f"""WEBVTT
Kind: captions
Language: en

00:00:00.500 --> 00:00:01.983 align:start position:0%
{BLANK_LINE}
three<00:00:01.538><c> seven</c>

00:00:01.983 --> 00:00:01.993 align:start position:0%
three seven
{BLANK_LINE}

00:00:02.300 --> 00:00:03.852 align:start position:0%
three seven
five<00:00:03.462><c> eight</c>
"""


def test_captions_that_roll_up_say_each_line_once(file):
    assert read_segments(file("a.vtt", YOUTUBE)) == (
        Segment(0.5, 1.983, "three seven"),
        Segment(2.3, 3.852, "five eight"),
    )


def test_subtitles_in_whole_seconds(file):
    assert read_segments(file("a.srt", "1\n00:00:01 --> 00:00:02,500\na\n\n2\n00:00:03 --> 00:00:04\nb\n")) == (
        Segment(1.0, 2.5, "a"),
        Segment(3.0, 4.0, "b"),
    )


def test_a_table_of_a_spreadsheet_that_says_what_parts_its_columns(file):
    assert read_segments(file("a.csv", "sep=;\nstart;end;label\n0,5;1,5;a\n")) == (Segment(0.5, 1.5, "a"),)


def test_decimal_commas_that_part_columns_are_refused(file):
    with pytest.raises(
        CorpusError, match="line 2: has 5 columns, its first line 3; are the times written with decimal"
    ):
        read_segments(file("a.csv", "start,end,label\n1,5,1,9,crow\n2,3,2,7,crow\n"))
    assert read_segments(file("b.csv", "start,end,label\n1,5,crow,loud\n2,3,crow,far\n"))[0].label == "crow"


def test_what_only_looks_like_another_format(file):
    """A remark is no head of ESPS', a blank line of spaces ends a block, notes behind numbers are notes."""
    two = (Segment(0.5, 1.5, "yes"), Segment(2.0, 2.5, "no"))
    assert read_segments(file("a.txt", "#\n0.5\t1.5\tyes\n2.0\t2.5\tno\n")) == two
    cues = "WEBVTT\n\n1\n00:00.500 --> 00:01.500\nyes\n  \nnext\n00:02.000 --> 00:02.500\nno\n"
    assert read_segments(file("a.vtt", cues)) == two
    notes = "start,end,label\n0.5,1.5,3,clear\n2.0,2.5,4,far\n"
    assert [s.label for s in read_segments(file("a.csv", notes))] == ["3", "4"]
    selected = "selection,start,end,label\n1,0.5,1.5,a\n1,0.5,1.5,b\n"
    assert {s.label for s in read_segments(file("b.csv", selected))} == {"a", "b"}


def test_the_same_label_twice_is_one(file):
    line = "SPEAKER a {} 1 1 <NA> <NA> ann <NA> <NA>\n"
    assert read_segments(file("a.rttm", line.format(1) + line.format(2))) == (Segment(1.0, 2.0, "ann"),)
