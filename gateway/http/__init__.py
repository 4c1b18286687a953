"""The wire: requests in, renderings and bytes out. No decision is taken here."""
