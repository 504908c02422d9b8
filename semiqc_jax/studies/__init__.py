"""Studies: what each figure in `docs/results` rests on, run by one command."""
