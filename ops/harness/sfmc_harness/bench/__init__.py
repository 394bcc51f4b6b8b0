"""Measurements, each compared with its goal."""
