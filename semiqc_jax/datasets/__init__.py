"""Raw files -> `Study` -> records: readers, the phantom, splits, the tfds builder and the packed form."""
