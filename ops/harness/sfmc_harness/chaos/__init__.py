"""The chaos program: runs the whole system, injects faults, and checks that every promise was kept."""
