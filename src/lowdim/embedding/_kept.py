"""Layouts on their way that a long fit keeps, and goes on with."""

from __future__ import annotations

from abc import ABC, abstractmethod

from lowdim._checkpoint import Arrays
from lowdim._journal import Journal, Stage
from lowdim.embedding._course import LIMIT, Course


class KeptSteps(ABC):
    """A layout that a loop moves, step by step.

    Attributes
    ----------
    course : Course
    """

    course: Course

    @abstractmethod
    def _arrays(self) -> Arrays:
        """What the next step depends on, beside what the descent was made of and its course."""

    @abstractmethod
    def _take(self, arrays: Arrays) -> None:
        """Put in its place what `_arrays` returned; the course was taken before."""

    def state(self) -> Arrays:
        """How far the descent has come, for the file that a long fit is kept in."""
        return {**self._arrays(), **self.course.state()}

    def taken_up(self, journal: Journal | None) -> Stage:
        """The stage of the loop, from where the journal has it."""
        stage = (Journal() if journal is None else journal).stage()
        if stage.kept is not None:
            self.course.take(stage.kept)
            self._take(stage.kept)
        return stage

    @property
    def goes_on(self) -> bool:
        """Whether the loop has not ended for a reason of its own."""
        return self.course.reason == LIMIT

    def stepped(self, stage: Stage) -> bool:
        """After a step that nothing has ended: keep it now and then; whether to go on."""
        stage.keep(self.state)
        if stage.asked:
            self.course.end_early()
        return not stage.asked


class Stateless:
    """What knows nothing of its earlier calls."""

    def state(self) -> Arrays:
        """What the next call depends on beside the points."""
        return {}

    def take(self, state: Arrays) -> None:
        """Put in its place what `state` returned."""
