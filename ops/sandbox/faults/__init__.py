"""Faults on request: which exist, and which of them strike a call; carries none of them out."""

from ops.sandbox.faults.catalogue import CATALOGUE, FaultKind, Stage
from ops.sandbox.faults.rules import Faults, Rule, RuleError, Struck

__all__ = ["CATALOGUE", "FaultKind", "Faults", "Rule", "RuleError", "Stage", "Struck"]
