"""`engineroom new`: a project of one's own."""

from pathlib import Path

import click

from engineroom.scaffold.layout import MODEL


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--name", "model", default=MODEL, show_default=True, help="The model's name, as in build/NAME.py.")
@click.option("--dry-run", is_flag=True, help="List the files. Writes nothing.")
def new(folder: Path, model: str, dry_run: bool) -> None:
    """Lay out a project in DIR: one working recipe, what asks, measures and tests it, and a Makefile.

    DIR must be new or empty. `make demo` in it works at once.
    """
    from engineroom.scaffold.layout import check_folder, lay_out, project_files

    if dry_run:
        files = [folder / path for path in project_files(model)]
        check_folder(folder)
    else:
        files = list(lay_out(folder, model))
    click.echo(f"{folder}: {len(files)} files {'would be ' * dry_run}written")
    click.echo("\n".join(f"  {path.relative_to(folder)}" for path in files))
    if not dry_run:
        click.echo(f"\nNext:\n  cd {folder}\n  make demo    builds, serves, asks, checks the answers, stops")
        click.echo("  make help    lists the rest")
