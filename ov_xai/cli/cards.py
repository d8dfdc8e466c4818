"""`ov-xai cards`: what is known about families of models."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from ov_xai.cards import Card, Match, read_card, shipped_cards
from ov_xai.cli.console import say, say_json


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def cards(files: tuple[Path, ...], as_json: bool) -> None:
    """List the cards that come with ov-xai, or check and show FILES."""
    found = [read_card(file) for file in files] if files else list(shipped_cards())
    if as_json:
        say_json(msgspec.to_builtins(found))
        return
    for card in found:
        say(f"{card.name:<28} {card.title}")
        say(f"{'':<28} when {_conditions(card)}")


def _conditions(card: Card) -> str:
    """Return the conditions that differ from a card without any."""
    given, plain = msgspec.to_builtins(card.match), msgspec.to_builtins(Match())
    return ", ".join(f"{name} = {value}" for name, value in given.items() if value != plain[name]) or "always"
