"""The integrity check: what a source holds, subject by subject, before anything is built of it."""
