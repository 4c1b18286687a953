"""model-gateway: a policy-as-code gateway for third-party AI models."""

__version__ = "0.1.0"
