"""Tells people and programs what happened: a consumer of the event stream for each [[notify]] of the policy file."""
