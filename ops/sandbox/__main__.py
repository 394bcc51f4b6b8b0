"""`python -m ops.sandbox`: the same as `sfmc-import sandbox`."""

from ops.sandbox.cli import sandbox

sandbox(prog_name="python -m ops.sandbox")
