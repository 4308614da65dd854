"""`python -m digest`: the `digest` command of the Python that is asked."""

from digest.cli import main

main()
