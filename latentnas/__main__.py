"""``python -m latentnas`` is the command line."""

from .cli import main

main()
