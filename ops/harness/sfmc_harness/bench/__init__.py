"""Measurements, each against its promise; nothing here is used by the product."""
