"""Delivers files to where Marketing Cloud reads them, before their request is submitted."""
