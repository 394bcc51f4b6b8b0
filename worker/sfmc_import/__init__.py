"""The engine: deduplicates requests, starts ImportDefinitions, follows runs; knows no producer, no sandbox."""
