"""A publication and a promotion on a running Triton, as things that can be killed."""

from contextlib import ExitStack
from functools import cached_property

from kill_case import Case, old_or_new
from marked import configure, publish_next, version_files

from engineroom.errors import LoadError
from engineroom.operate.apply import Options
from engineroom.operate.control import Control, controls
from engineroom.operate.plan import Request
from engineroom.operate.versions import intact, promote
from engineroom.repository.journal import recovered
from engineroom.repository.layout import ModelFolder, Repository
from engineroom.repository.lint.lint import lint_model
from engineroom.repository.policy import served_by
from engineroom.repository.publish import publish
from engineroom.serve.server import ServerOptions, running

BY = "kills@bench"


class Publish(Case):
    """A publication."""

    @property
    def model(self) -> ModelFolder:
        """The model that is published."""
        return Repository(self.folder / "model_repository").model("marked")

    def prepare(self, number: int) -> None:
        """Make the files of the next version."""
        if number == 1:
            publish_next(configure(self.model.path.parent), self.folder)
        version_files(self.folder, number + 1)

    def work(self, number: int) -> None:
        """Publish it, unless that was done."""
        if self.model.latest == number:
            publish(self.model, version_files(self.folder, number + 1))

    def state(self, number: int) -> str:
        """Whether the newest version is the old or the new one, every version whole, and everything lints clean."""
        _clean(self.model, number)
        for version in self.model.versions:
            intact(self.model, version)
        return old_or_new(number, self.model.latest or 0)


class Apply(Publish):
    """A promotion on a running Triton."""

    @cached_property
    def open(self) -> ExitStack:
        """What is ended at the end: the server."""
        return ExitStack()

    @property
    def control(self) -> Control:
        """The server."""
        return controls(self.model.path.parent, (), {})[0]

    def prepare(self, number: int) -> None:
        """Publish the next version; the first time, serve the one before."""
        super().prepare(number)
        if number == 1:
            promote(self.model, 1, Request("promote", by=BY), Options())
            self.open.enter_context(running(ServerOptions(self.model.path.parent)))
        super().work(number)

    def work(self, number: int) -> None:
        """Promote it."""
        options = Options((self.control,), observe_s=0)
        promote(self.model, number + 1, Request("promote", by=BY), options)

    def state(self, number: int) -> str:
        """Whether what stands is the old or the new version, at once and after it was put in order, and is served."""
        for (version,) in served_by(self.model).values():
            old_or_new(number, version)
        _clean(self.model, number)
        self._served(number)
        recovered(self.model, BY)
        _clean(self.model, number)
        self._served(number)
        ((version,),) = {*served_by(self.model).values()}  # both configurations now say the same
        return old_or_new(number, version)

    def _served(self, number: int) -> None:
        """Load the model as a restart would, and have it answer its golden input."""
        self.control.load(self.model.name)
        self.control.prove(self.model)
        (version,) = self.control.versions(self.model.name)
        old_or_new(number, version)

    def end(self) -> None:
        """End the server."""
        self.open.close()


def _clean(model: ModelFolder, number: int) -> None:
    if errors := [one for one in lint_model(model) if one.severity != "note"]:
        raise LoadError(f"round {number}: {errors[0].sentence}")
