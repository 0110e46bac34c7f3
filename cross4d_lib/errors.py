"""One shape for every refusal: what is wrong, where, and the fix.

A reader of a traceback should never have to open the library to learn what to do next, so each error of ours
carries three parts and prints them in one message. Anything else that escapes a reader is a bug.
"""


class Cross4DError(Exception):
    """Base of every error the library raises on purpose.

    Parameters
    ----------
    what : the fault, in one clause.
    where : file, clip, frame or argument that has it.
    fix : what the reader can do about it.
    """

    def __init__(self, what: str, where: object = "", fix: str = ""):
        self.what, self.where, self.fix = what, str(where), fix
        message = what
        if self.where:
            message += f" [{self.where}]"
        if fix:
            message += f". Fix: {fix}"
        super().__init__(message)

    def __reduce__(self):  # exceptions cross process borders when targets are built in parallel
        return type(self), (self.what, self.where, self.fix)


class DataError(Cross4DError):
    """A data file or a clip that cannot be used: truncated, empty, of another format, without a single point."""


class EmptyVideoError(DataError):
    """A video without a point in any frame."""


class ConfigError(Cross4DError, ValueError):
    """An argument that names nothing we know or contradicts another one."""


class TeacherError(Cross4DError):
    """A teacher that cannot be loaded or does not fit the render it is given."""


class TargetError(Cross4DError):
    """A target store that cannot be written, or that is not the one asked for."""


class SparseRenderWarning(UserWarning):
    """A render whose subject fills little of the image: a teacher sees it in a few patches only."""
