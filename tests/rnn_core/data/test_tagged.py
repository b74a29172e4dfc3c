"""`read_tagged`: columns as people have them, CoNLL-U, tables, JSON Lines; and what is refused, by file and line."""

from __future__ import annotations

import json
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core.data.files import FileWarning, Tagged, read_tagged
from tests import tagging_checks as checks

UNIVERSAL = (
    "# sent_id = 1\n# text = du pain\n1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n1\tde\tde\tADP\tP\t_\t3\tcase\t_\t_\n"
    "2\tle\tle\tDET\tD\t_\t3\tdet\t_\t_\n2.1\tnul\t_\tX\t_\t_\t_\t_\t_\t_\n3\tpain\tpain\tNOUN\tN\t_\t0\troot\t_\t_\n\n"
    "# sent_id = 2\n1\toui\toui\tINTJ\tI\t_\t0\troot\t_\t_\n"
)


@pytest.fixture
def read(tmp_path):
    """Return what writes a file and reads it; a remark is an error unless one is expected."""

    def call(name, text, says=None, **options):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        if says is None:
            return read_tagged(path, **options)
        with pytest.warns(FileWarning, match=says):
            return read_tagged(path, **options)

    return call


def joined(found: Tagged) -> str:
    """Return what was read on one line."""
    assert found.tags is not None
    rows = zip(found.tokens, found.tags, strict=True)
    return " | ".join(" ".join(f"{a}/{b}" for a, b in zip(*row, strict=True)) for row in rows)


# ── Columns ──────────────────────────────────────────────────────────────────────────────────────────────────────────

PLAIN = "EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\nPeter NNP B-NP B-PER\n"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN, PLAIN.rstrip("\n"), PLAIN + "\n\n", "\n\n" + PLAIN, PLAIN.replace("\n", "\r\n"), "\ufeff" + PLAIN,
        PLAIN.replace("\n", "  \n"), PLAIN.replace(" ", "\t"), PLAIN.replace(" ", "   "),
        PLAIN.replace(" ", "\t") + "\t \n",
        "-DOCSTART- -X- -X- O\n\n" + PLAIN, PLAIN.replace("\n\n", "\n\n\n-DOCSTART- -X- O O\n\n"),
        PLAIN.replace("\n\n", "\n \t\n"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.conll", "a.txt", "eng.train"])
def test_columns_in_all_their_clothes(read, name, text):
    assert joined(read(name, text)) == "EU/B-ORG rejects/O | Peter/B-PER"


def test_columns_are_chosen_by_number_from_either_end(read):
    assert joined(read("a.conll", PLAIN, tag="2")) == "EU/NNP rejects/VBZ | Peter/NNP"
    assert joined(read("a.conll", PLAIN, tag="-2")) == "EU/B-NP rejects/B-VP | Peter/B-NP"
    assert joined(read("a.conll", PLAIN, token=2, tag="1")) == "NNP/EU VBZ/rejects | NNP/Peter"


def test_columns_are_chosen_by_name(read):
    head = "word pos chunk ner\n"
    assert joined(read("a.conll", head + PLAIN, tag="ner")) == "EU/B-ORG rejects/O | Peter/B-PER"
    assert joined(read("a.tsv", "Token\tTag\nNew York\tB-LOC\n")) == "New York/B-LOC"
    assert joined(read("a.tsv", "Token\tTag\nNew York\tB-LOC\n", header=False)) == "Token/Tag New York/B-LOC"
    assert joined(read("a.tsv", "York\tB-LOC\n")) == "York/B-LOC"
    assert joined(read("a.tsv", "Token\tTag\nYork\tB-LOC\n", tag="1", token="2", header=True)) == "B-LOC/York"


def test_places_name_the_lines(read):
    found = read("a.conll", "-DOCSTART- -X- -X- O\n\n" + PLAIN)
    assert found.places == ("lines 3 to 4", "line 6")


def test_without_tags(read):
    found = read("a.txt", "EU\nrejects\n\nPeter\n", tagged=False)
    assert found.tokens == [["EU", "rejects"], ["Peter"]]
    assert found.tags is None
    assert read("a.conll", PLAIN, tagged=False).tokens == found.tokens


def test_comments_are_left_out_and_hashtags_are_not(read):
    text = "# id 1 domain=en\n#yes O\nand O\n\n# id 2 domain=en\n#no O\n"
    found = read("a.conll", text, says="2 lines left out that begin with # and are no rows; comments='# '")
    assert joined(found) == "#yes/O and/O | #no/O"
    assert joined(read("a.conll", text, comments="#")) == "and/O"
    assert joined(read("a.conll", "%% one\n# O\n", comments="%%")) == "#/O"


def test_a_file_without_blank_lines_is_remarked_on(read):
    assert len(read("a.conll", "a O\n" * 1000, says="one sequence of 1,000 steps; blank lines part").tokens) == 1


def test_unknown_tags(read):
    text = "a O\nb NA\nc null\n"
    assert joined(read("a.conll", text, allow_untagged=True)) == "a/O b/None c/None"
    assert joined(read("a.conll", text, keep_missing_labels=True)) == "a/O b/NA c/null"


@pytest.mark.parametrize(
    "top",
    [
        "# a comment\n",
        "# a comment\n\n",
        "# a comment\n-DOCSTART- -X- O\n\n",
        "# a comment\n\n-DOCSTART- -X- -X- O\n\n",
    ],
)
def test_a_comment_at_the_top_is_no_sentence_and_no_layout(read, top):
    found = read("a.conll", f"{top}EU NNP B-ORG\nrejects VBZ O\n", says="1 lines left out that begin with #")
    assert joined(found) == "EU/B-ORG rejects/O"


# ── CoNLL-U ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_universal_dependencies(read):
    assert joined(read("a.conllu", UNIVERSAL)) == "de/ADP le/DET pain/NOUN | oui/INTJ"
    assert joined(read("a.conllu", UNIVERSAL, multiword="whole")) == "du/ADP+DET pain/NOUN | oui/INTJ"
    assert joined(read("a.conllu", UNIVERSAL, token="lemma", tag="DEPREL")) == "de/case le/det pain/root | oui/root"
    assert joined(read("a.conllu", UNIVERSAL, token="2", tag="-3")) == "de/case le/det pain/root | oui/root"
    assert read("a.conllu", UNIVERSAL, multiword="whole", tagged=False).tokens == [["du", "pain"], ["oui"]]
    untagged = UNIVERSAL.replace("DET", "_")
    assert joined(read("a.conllu", untagged, allow_untagged=True)) == "de/ADP le/None pain/NOUN | oui/INTJ"


def test_sentences_and_words_by_hand():
    checks.universal_by_hand()
    checks.sentences_by_hand()


# ── Tables and JSON Lines ────────────────────────────────────────────────────────────────────────────────────────────


def test_tables(read):
    assert joined(read("a.csv", 'token,tag\n"a, b",X\n"say ""c""",Y\n\nd,Z\n')) == 'a, b/X say "c"/Y | d/Z'
    assert joined(read("a.csv", "id;word;ner\n1;a;X\n;;\n2;b;Y\n", separator=";")) == "a/X | b/Y"
    assert joined(read("a.csv", "a,X\n\nb,Y\n", header=False)) == "a/X | b/Y"
    kaggle = "Sentence #,Word,POS,Tag\nSentence: 1,a,N,X\n,b,N,Y\nSentence: 2,c,N,Z\nSentence: 2,d,N,Z\n"
    assert joined(read("a.csv", kaggle, sentence="sentence #", tag="Tag")) == "a/X b/Y | c/Z d/Z"


def test_json_lines(read):
    rows = [{"tokens": ["a", "b c"], "ner_tags": [0, 1], "id": 7}, {"ner_tags": [], "tokens": []},
            {"tokens": ["d"], "ner_tags": ["X"]}]  # fmt: skip
    text = "\n".join(map(json.dumps, rows))
    found = read("a.jsonl", text)
    assert joined(found) == "a/0 b c/1 | d/X"
    assert found.places == ("line 1", "line 3")
    assert joined(read("a.jsonl", '{"tokens": ["a"], "tags": [null]}', allow_untagged=True)) == "a/None"
    assert joined(read("a.jsonl", '{"w": ["a"], "t": ["X"], "tags": 1}', token="w", tag="t")) == "a/X"


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=6).filter(
    lambda word: not word.startswith(("#", "\ufeff")) and word.strip() and "-DOCSTART-" not in word
)


@given(st.lists(st.lists(st.tuples(WORDS, st.sampled_from(["O", "B-x", "I-x"])), min_size=1, max_size=4), min_size=1))
def test_what_is_written_is_read(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("tagged")
    expected = [[word for word, _ in row] for row in rows], [[tag for _, tag in row] for row in rows]
    texts = {
        "a.conll": "\n".join("".join(f"{word} {tag}\n" for word, tag in row) for row in rows),
        "b.conll": "\n".join("".join(f"{word}\t{tag}\n" for word, tag in row) for row in rows),
        "a.jsonl": "".join(
            json.dumps({"tokens": [word for word, _ in row], "tags": [tag for _, tag in row]}) + "\n" for row in rows
        ),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        found = read_tagged(folder / name, header=False)
        assert (found.tokens, found.tags) == expected


# ── What is refused ──────────────────────────────────────────────────────────────────────────────────────────────────

MANY = "".join(f"word{k} O\n" + "\n" * (k % 8 == 7) for k in range(1000)).splitlines(keepends=True)
MANY[811] = "word O\n" if MANY[811] == "\n" else MANY[811].replace(" O", "")


@pytest.mark.parametrize(
    "name, text, options, says",
    [
        ("a.conll", "".join(MANY), {}, r"'.*a.conll', line 812, must have 2 columns, as line 1, got 1: 'word"),
        ("a.conll", "a O\nb c O\n", {}, "line 2, must have 2 columns, as line 1, got 3: 'b c O'; a token may hold"),
        ("a.conll", "a\nb\n", {}, "line 1, must have a column of tokens and another of tags, got 1 column: 'a'"),
        ("a.conll", "a O\n", {"tag": "3"}, "line 1, must have a column 3, for tags, got 2: 'a, O'; tag says which"),
        ("a.conll", "a O\n", {"tag": "ner"}, "line 1, must name the column 'ner', got 'a, O'; without a line of names"),
        ("a.conll", "\n\n", {}, "a.conll' must hold at least a sentence, got none"),
        ("a.conll", "", {}, "a.conll' must hold at least a line, got none"),
        ("a.conll", "a O\rb O\rc O", {}, "line 1, must be one row, got line ends of an old Mac"),
        ("a.conll", "é O\n".encode("latin-1"), {}, "line 1, must be utf-8, got byte 0xe9"),
        ("a.conll", "a\tO\nb\t\n", {}, "line 2, must have a tag for 'b', got none; tag names another"),
        ("a.conll", "a\tO\n\tO\n", {}, "line 2, must have a token, got a blank one"),
        ("a.conll", "a O\nb nan\n", {}, "line 2, must have a tag for 'b', got 'nan', as pandas .*: keep_missing"),
        ("a.conll", "a O\n", {"separator": "x"}, "separator must be a blank, a comma, .* got 'x'"),
        ("a.csv", "word,pos,ner\na,N,O\n", {}, "line 1, must name one column of tags, such as 'tag' once, got 'wo"),
        ("a.csv", "token,tag\na,O\nb\n", {}, "line 3, must have 2 columns, as line 1, got 1: 'b'"),
        ("a.csv", 'token,tag\n"a,O\n', {}, "line 2, must be a row of a table, got a quotation mark that opens there"),
        ("a.jsonl", '{"tokens": ["a", "b"], "tags": ["O"]}', {}, "line 1, must have as many tags as tokens, got 1 f"),
        ("a.jsonl", '{"tokens": ["a"]}', {}, "line 1, must have one key of tags, such as 'tags', got tokens; tag n"),
        ("a.jsonl", '{"tokens": "a", "tags": ["O"]}', {}, "line 1, must have a list of tokens under 'tokens', got 'a'"),
        ("a.jsonl", '{"tokens": [1], "tags": ["O"]}', {}, "line 1, must have strings for tokens, got 1"),
        ("a.jsonl", '{"tokens": ["a"], "tags": [0.5]}', {}, "line 1, must have strings for tags, got 0.5"),
        ("a.jsonl", '{"tokens": ["\\ud83d"], "tags": ["O"]}', {}, "line 1, must be text, got half a character"),
        ("a.conllu", "1\ta\ta\tX\n", {}, "line 1, must have 10 columns, as the format has it, got 4"),
        ("a.conllu", "x" + UNIVERSAL[34:], {}, "line 1, must begin with an ID, such as 1, 1-2 or 1.1, got 'x"),
        ("a.conllu", UNIVERSAL.replace("DET", "_"), {}, "line 5, must have a tag for 'le', got '_'"),
        ("a.conllu", UNIVERSAL.replace("3\tpain", "1-2\tpain", 1).replace("2\tle", "1.7\tle"), {"multiword": "whole"},
         "line 3, must be followed by the words of token '1-2', got fewer"),
        ("a.conllu", UNIVERSAL, {"multiword": "half"}, "multiword must be one of parts, whole, got 'half'"),
    ],
)  # fmt: skip
def test_what_is_refused_names_file_and_line(read, name, text, options, says):
    with warnings.catch_warnings():
        warnings.simplefilter("error", FileWarning)
        with pytest.raises(ValueError, match=says) as caught:
            read(name, text, **options)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_folder_and_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="path must be a file, got the folder"):
        read_tagged(tmp_path)
    with pytest.raises(FileNotFoundError, match="path must be an existing file or folder"):
        read_tagged(tmp_path / "none.conll")
