"""The version, for the package itself and for its build."""

__version__ = "0.1.0"
