"""Lets `python -m producers` run the producers' commands by themselves; holds nothing else."""

import click

from producers.cli import start, watch

if __name__ == "__main__":
    click.Group("producers", commands={"watch": watch, "start": start}, help="Announce files to sfmc-import.")()
