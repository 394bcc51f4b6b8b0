"""The checks that need no test: style, types, import contracts, size limits and the files of ops/."""
