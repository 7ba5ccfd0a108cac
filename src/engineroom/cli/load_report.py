"""`engineroom load report`: measurements as one page for people."""

from pathlib import Path

import click

from engineroom.cli.measuring import FILE


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--output", type=FILE, default=Path("report.html"), show_default=True, help="The page to write.")
def report(files: tuple[Path, ...], output: Path) -> None:
    """Write the results in FILES as one HTML page, which needs no network: pictures, their figures, their commands."""
    from engineroom.load.report.page import page_to_file
    from engineroom.load.report.shown import shown_from_files

    shown = shown_from_files(files)
    page_to_file(shown, output)
    click.echo(f"{output}: {', '.join(one.name for one in shown)}")
