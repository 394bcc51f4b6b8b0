"""A simulation of the whole system in one process, on virtual time: a seed decides who fails, and at which call."""
