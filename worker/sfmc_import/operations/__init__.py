"""One function for each question and each action of an operator; command line, HTTP API and console call these."""
