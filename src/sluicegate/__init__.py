"""sluicegate: an egress boundary for autonomous agents, with evidence a stranger can verify."""

__version__ = "0.1.0"
