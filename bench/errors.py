"""The error that is the user's to mend: an unknown name, a suite file with a typo, a folder that cannot be written.

The command line turns it into one line of text and exit code 2, without a traceback. Anything else that is raised is a
fault of depthbench's own and shows where it comes from.
"""

from __future__ import annotations


class InputError(ValueError):
    """Bad usage or bad input, with a message for the person who gave it."""
