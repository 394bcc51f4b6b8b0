"""A local server that answers like the import service of Marketing Cloud's SOAP API, for tests and demos."""
