"""The harness: suites, cells, workers, rows, tables and reports. See docs/decisions/ for why it is laid out so."""
