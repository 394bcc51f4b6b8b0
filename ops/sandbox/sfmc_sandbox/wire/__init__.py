"""SOAP as bytes: schema, reading of requests and writing of replies; knows nothing of imports or their state."""
