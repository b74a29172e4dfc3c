"""Sequences with a tag for each step: columns as the CoNLL shared tasks have them, CoNLL-U, tables, and JSON Lines.

==============  =====================================================================================================
sentences.py    `Tagged`, and how rows of words become sentences
columns.py      which columns are read: by name, by number from the front, or from the back
rows.py         the rows of a file: parted by tabs, blanks or as a table's, comments and documents told apart
universal.py    CoNLL-U: multiword tokens and empty nodes
objects.py      JSON Lines: an object a sentence, with a list of words and a list of tags
reading.py      `read_tagged`
==============  =====================================================================================================
"""

from .reading import has_tags, read_tagged
from .sentences import Tagged

__all__ = ["Tagged", "has_tags", "read_tagged"]
