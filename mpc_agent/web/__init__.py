"""The agent over HTTP, read-only: metrics, health, and the page."""
