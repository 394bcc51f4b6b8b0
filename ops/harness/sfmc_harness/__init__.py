"""Tools of this project that are never shipped: chaos, bench, checks and generated pages."""
