"""One file per training method: how one update learns."""
