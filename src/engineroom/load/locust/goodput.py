"""Goodput against an SLO in anybody's Locust file.

    from engineroom.load.locust.goodput import goodput
    from locust import events

    goodput(events, slo_ms=50)

It stands in the statistics of the terminal, on a tab of Locust's page, in `PREFIX_goodput.csv` beside the other files
of `--csv`, and with `--min-goodput-ratio` in the exit status. Several processes are counted together.
"""

import json
import time
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from engineroom.errors import BadInput
from engineroom.load.locust.counts import Counts, csv_from_counts, lines_from_counts, rows_from_counts

KEY = "goodput"


def goodput(events: Any, slo_ms: float | None = None, min_ratio: float | None = None) -> "GoodputPlugin":
    """Count goodput in the Locust run that these events are of.

    Args:
        events: `locust.events`.
        slo_ms: The latency promised; `--slo-ms` says otherwise. None counts nothing unless that option is given.
        min_ratio: Exit with 1 where a smaller share keeps the promise; `--min-goodput-ratio` says otherwise.
    """
    plugin = GoodputPlugin(slo_ms, min_ratio)
    plugin.listen(events)
    events.quitting.add_listener(plugin.on_quitting)
    return plugin


class GoodputPlugin:
    """What is counted in one Locust process. A failed request is no goodput, and none without a response time counts.

    Args:
        slo_ms: The latency promised, unless `--slo-ms` says otherwise.
        min_ratio: The least share that must keep it, unless `--min-goodput-ratio` says otherwise.
    """

    def __init__(self, slo_ms: float | None = None, min_ratio: float | None = None) -> None:
        self.slo_ms, self.min_ratio = slo_ms, min_ratio
        self.counts = Counts()
        self._environment: Any = None

    def listen(self, events: Any) -> None:
        """Count from now on, and show it; to judge is the caller's."""
        events.init_command_line_parser.add_listener(self._add_options)
        events.init.add_listener(self._on_init)
        events.test_start.add_listener(self._on_test_start)
        events.request.add_listener(self._on_request)
        events.reset_stats.add_listener(self._on_reset)
        events.spawning_complete.add_listener(self._on_spawning_complete)
        events.report_to_master.add_listener(self._on_report_to_master)
        events.worker_report.add_listener(self._on_worker_report)
        events.quit.add_listener(self._on_quit)

    def on_quitting(self, environment: Any, **_: Any) -> None:
        """Exit with 1 where too few kept the promise."""
        total = self.counts.total
        if self.slo_ms is None or self.min_ratio is None or _is_worker(environment):
            return
        if total.ratio < self.min_ratio:
            click.echo(f"error: goodput ratio {total.ratio:.4f} is below {self.min_ratio:g}", err=True)
            environment.process_exit_code = environment.process_exit_code or 1

    def _add_options(self, parser: Any) -> None:
        group = parser.add_argument_group("goodput")
        words = "Latency, in ms, that goodput is counted against."
        group.add_argument("--slo-ms", type=text_of_number, default=_text(self.slo_ms), help=words)
        words = "Exit with 1 where a smaller share of the requests is rightly answered within the SLO."
        group.add_argument("--min-goodput-ratio", type=text_of_number, default=_text(self.min_ratio), help=words)
        show_on_page(group)

    def _on_init(self, environment: Any, **_: Any) -> None:
        self._environment = environment
        self._read_options()
        _show_below_statistics(lambda: lines_from_counts(self.counts, self.slo_ms))
        if environment.web_ui is not None:
            self._extend_page(environment.web_ui)

    def _on_test_start(self, **_: Any) -> None:
        # On Locust's page, the options may be others at every start.
        self._read_options()
        self._on_reset()

    def _read_options(self) -> None:
        options = getattr(self._environment, "parsed_options", None)
        if options is not None:
            self.slo_ms = number_from_option(options.slo_ms, "--slo-ms")
            self.min_ratio = number_from_option(options.min_goodput_ratio, "--min-goodput-ratio")

    def _on_request(self, **told: Any) -> None:
        took_ms = told["response_time"]
        if self.slo_ms is not None and took_ms is not None:
            kind = "failed" if told.get("exception") else "in_time" if took_ms <= self.slo_ms else "too_late"
            self.counts.add(told["request_type"], told["name"], kind, time.time())

    def _on_reset(self, **_: Any) -> None:
        self.counts.clear(time.time())

    def _on_spawning_complete(self, **_: Any) -> None:
        # As Locust does with its own statistics, after --reset-stats.
        if getattr(self._environment, "reset_stats", False):
            self._on_reset()

    def _on_report_to_master(self, data: dict[str, Any], **_: Any) -> None:
        data[KEY] = self.counts.handed_over()

    def _on_worker_report(self, data: dict[str, Any], **_: Any) -> None:
        self.counts.take(data.get(KEY, []), time.time())

    def _extend_page(self, page: Any) -> None:
        from flask import Response, request

        shown = page.template_args
        shown["extended_tabs"] = [*shown.get("extended_tabs", []), {"title": "Goodput", "key": KEY}]
        columns = [{"key": name, "title": title} for name, title in Counts.COLUMNS.items()]
        shown["extended_tables"] = [*shown.get("extended_tables", []), {"key": KEY, "structure": columns}]
        file = {"href": "./goodput/csv", "title": "Download goodput CSV"}
        shown["extended_csv_files"] = [*shown.get("extended_csv_files", []), file]

        @page.app.after_request  # type: ignore[untyped-decorator]  # Locust's page is
        def with_goodput(response: Any) -> Any:
            if request.path.endswith("/stats/requests") and response.is_json:
                told = response.get_json()
                others = [one for one in told.get("extended_stats", []) if one["key"] != KEY]
                told["extended_stats"] = [*others, {"key": KEY, "data": rows_from_counts(self.counts, self.slo_ms)}]
                response.set_data(json.dumps(told))
            return response

        @page.app.route("/goodput/csv")  # type: ignore[untyped-decorator]
        @page.auth_required_if_enabled  # type: ignore[untyped-decorator]
        def goodput_csv() -> Any:
            headers = {"Content-Disposition": "attachment;filename=goodput.csv"}
            return Response(csv_from_counts(self.counts, self.slo_ms), mimetype="text/csv", headers=headers)

    def _on_quit(self, **_: Any) -> None:
        options = getattr(self._environment, "parsed_options", None)
        prefix = getattr(options, "csv_prefix", None)
        if prefix and self.slo_ms is not None and not _is_worker(self._environment):
            Path(f"{prefix}_goodput.csv").write_text(csv_from_counts(self.counts, self.slo_ms), encoding="utf-8")


def show_on_page(group: Any) -> None:
    """Have a group's options on the form of Locust's page, too, which leaves groups out."""
    for action in group._group_actions:
        action.include_in_web_ui = getattr(action, "include_in_web_ui", True)
        action.is_secret = action.is_required = action.is_multiple = False


def text_of_number(text: str) -> str:
    """Check an option that is a number, or nothing. It stays text, because the field of Locust's page may be emptied.

    Raises:
        ArgumentTypeError: It is no number.
    """
    try:
        number_from_option(text, "")
    except BadInput as error:
        raise ArgumentTypeError(f"{text!r} is no number") from error
    return text


def number_from_option(text: str, name: str) -> float | None:
    """Read an option that `text_of_number` has checked, or that came from Locust's page; None of an empty one.

    Raises:
        BadInput: It is no number.
    """
    try:
        return float(text) if text else None
    except ValueError as error:
        raise BadInput(f"{name} {text}: expected a number.") from error


def _text(number: float | None) -> str:
    return "" if number is None else f"{number:g}"


def _show_below_statistics(lines: Callable[[], list[str]]) -> None:
    """Let Locust print further lines wherever it prints its table: it offers no other way into the terminal."""
    from locust import stats

    theirs = stats.get_stats_summary

    def summary(*given: Any, **named: Any) -> list[str]:
        return [*theirs(*given, **named), *lines()]

    stats.get_stats_summary = summary


def _is_worker(environment: Any) -> bool:
    from locust.runners import WorkerRunner

    return isinstance(getattr(environment, "runner", None), WorkerRunner)
