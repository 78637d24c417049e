"""What is timed, and against what: run by `make bench`."""
