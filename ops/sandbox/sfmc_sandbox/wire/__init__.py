"""SOAP as bytes: the schema, reading of requests, writing of replies."""
