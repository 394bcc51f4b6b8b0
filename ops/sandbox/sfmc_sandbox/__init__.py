"""A local stand-in for Marketing Cloud's SOAP import service; shares no code with the worker."""
