"""The engine: deduplicates requests, starts ImportDefinitions and follows their runs; knows no producer and no sandbox."""
