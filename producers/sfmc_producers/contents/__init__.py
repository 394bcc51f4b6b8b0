"""Where the files lie that the events of a source only name: how their content is read, and what is listed."""
