"""The command line of sfmc-import."""
