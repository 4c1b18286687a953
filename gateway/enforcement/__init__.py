"""The PEP: every request passes `admission.Admission.admit`; nothing else opens a door."""
