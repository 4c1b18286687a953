"""The pure core: what is true of artifacts, subjects, evidence and decisions. Standard library only."""
