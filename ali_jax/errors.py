"""The one exception that is addressed to the user."""


class UserError(ValueError):
    """A mistake that the user can mend.

    The message is one sentence naming what is wrong, where, and what to do about it; `main` prints
    it and exits with status 1. Anything else that is raised is a defect of the program and keeps
    its traceback.
    """
