"""Cells whose step looks at a whole row of units: a step becomes a chain of segments, between which threads meet.

A mean over a row, or its product with a matrix, is there when every unit of the row has come so far. So the levels
of a program (cutting.py) are done one after the other. schedule.py puts them into *segments* of two kinds:

- of *tiles*: a thread has its own units, as in a plain cell's step. Products begin it, panel by panel: of W_h and h,
  or of a matrix and vectors that segments before have left as rows. Then come a level's operations.
- of *whole rows*: a thread has some rows of its group, and all units of them. It walks over a row once a level, and
  adds up the means of the next level as it goes. So any number of levels with means between them wants no meeting.

What goes from level to level lies in rows of the step's own (layout.py), which the next step uses again.

A mean is added up by one thread, vector by vector and then across the lanes, without the lanes that are no units: its
bits depend on the row alone.
"""
