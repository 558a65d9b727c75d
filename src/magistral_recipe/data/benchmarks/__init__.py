"""Published benchmarks: one row of YAML each, the catalogue that reads them, the loaders of their schemas."""
